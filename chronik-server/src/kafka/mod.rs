//! The clients' door: Kafka's protocol. Nothing here knows a term or a log index.
//!
//! A frame's way: [`listener`] (permits), `connection` (order), `frame` (bounds), `dispatch` (decode, one table),
//! `api/<name>` (the decisions), `crate::broker` (the domain), and back through `error_code` and `outbox`.

pub mod listener;
pub mod connection;
pub mod frame;
pub mod dispatch;
mod call;
mod header;
mod versions;
mod walker;
pub mod records;
mod schema;
mod wire;
mod response;
mod outbox;
mod error_code;
mod api;

use std::time::Duration;

use tokio::sync::watch;

use connection::ConnectionLimits;
use frame::{FrameLimits, RequestBudget};

/// Everything that connections share.
#[derive(Debug)]
pub struct Door {
    limits: Limits,
    budget: RequestBudget,
}

/// The door's bounds.
#[derive(Clone, Debug)]
pub struct Limits {
    pub connections: usize,
    /// What all requests of the node may hold together.
    pub request_bytes: u64,
    pub frame: FrameLimits,
    pub connection: ConnectionLimits,
}

impl Door {
    pub fn new(limits: Limits) -> Door {
        let budget = RequestBudget::new(limits.request_bytes);
        Door { limits, budget }
    }
}

impl Limits {
    /// Often enough to keep every timeout within a quarter of its length.
    fn patrol_interval(&self) -> Duration {
        let ConnectionLimits { idle_timeout, write_timeout, drain_timeout, .. } = self.connection;
        idle_timeout.min(write_timeout).min(drain_timeout).min(self.frame.arrival_timeout) / 4
    }
}

/// Returns once the node stops, or once nobody could tell.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    _ = stopping.wait_for(|stopping| *stopping).await;
}
