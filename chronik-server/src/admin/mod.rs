//! The operators' door: health and metrics, the admin API as gRPC, and its HTTP mirror on the same port.
//!
//! It translates only. What groups are and who leads them is asked of `raft/`; what is wrong with it all is decided by
//! [`assess`], which is pure.

mod assess;
mod balance;
mod calls;
mod clock;
mod cluster;
mod complaints;
mod config;
mod configs;
mod desk;
mod edges;
mod events;
mod gate;
mod group_changes;
mod groups;
mod grpc;
mod history;
mod http;
mod members;
mod mirror;
mod names;
mod node;
mod operations;
mod placement;
mod producers;
mod raft;
mod readiness;
mod routes;
mod snapshots;
mod steering;
mod system;
mod topic_changes;
mod topics;

use std::sync::Arc;

use tokio::sync::watch;

use crate::metrics::Metrics;

pub use desk::{About, Desk};
pub use http::serve;
pub use readiness::Readiness;
pub use snapshots::{inspect_file, verify_file};

/// What the routes show.
#[derive(Clone)]
pub struct State {
    /// The node's figures.
    pub metrics: Arc<Metrics>,
    /// Whether the node serves clients.
    pub readiness: watch::Receiver<Readiness>,
    /// Where questions about the cluster are answered.
    pub desk: Arc<Desk>,
}

#[cfg(test)]
mod tests;
