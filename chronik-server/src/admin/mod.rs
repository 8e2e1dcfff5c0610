//! The operators' door: HTTP for metrics and health. It translates only; it decides nothing.

mod http;
mod readiness;
mod routes;

use std::sync::Arc;

use tokio::sync::watch;

use crate::metrics::Metrics;

pub use http::serve;
pub use readiness::Readiness;

/// What the routes show.
#[derive(Clone, Debug)]
pub struct State {
    /// The node's figures.
    pub metrics: Arc<Metrics>,
    /// Whether the node serves clients.
    pub readiness: watch::Receiver<Readiness>,
}

#[cfg(test)]
mod tests;
