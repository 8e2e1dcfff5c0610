//! The clients' door: Kafka's protocol. Nothing here knows a term or a log index.
//!
//! A frame's way: [`listener`] (permits), `connection` (order), `frame` (bounds), `dispatch` (decode, one table),
//! `api/<name>` (the decisions), `crate::broker` (the domain), and back through `error_code` and `outbox`.

mod api;
mod budget;
mod call;
pub mod connection;
pub mod dispatch;
mod error_code;
pub mod frame;
mod header;
pub mod listener;
mod outbox;
mod response;
mod schema;
mod versions;
mod walker;
mod wire;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::broker::Broker;
use crate::broker::coordinator::CoordinatorHandle;
use crate::metrics::Metrics;
use budget::Budget;
use connection::ConnectionLimits;
use frame::FrameLimits;

/// A timeout is at most this part of its length late.
const PATROLS_PER_TIMEOUT: u32 = 4;

/// Everything that connections share.
pub struct Door {
    broker: Broker,
    coordinator: CoordinatorHandle,
    /// Where the node keeps its log: clients see the name.
    log_dir: PathBuf,
    limits: Limits,
    requests: Budget,
    /// Records on their way to clients that may be slow to take them.
    answers: Budget,
    metrics: Arc<Metrics>,
}

/// The door's bounds.
#[derive(Clone, Debug)]
pub struct Limits {
    pub connections: usize,
    /// What all requests of the node may hold together, and again their answers.
    pub request_bytes: u64,
    pub frame: FrameLimits,
    pub connection: ConnectionLimits,
}

impl Door {
    pub fn new(
        broker: Broker,
        coordinator: CoordinatorHandle,
        log_dir: PathBuf,
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> Door {
        let requests = Budget::new(limits.request_bytes);
        let answers = Budget::new(limits.request_bytes);
        Door {
            broker,
            coordinator,
            log_dir,
            limits,
            requests,
            answers,
            metrics,
        }
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    pub(crate) fn coordinator(&self) -> &CoordinatorHandle {
        &self.coordinator
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Tells how much requests hold together at the moment.
    fn note_budget(&self) {
        let held_bytes = self
            .limits
            .request_bytes
            .saturating_sub(self.requests.available_bytes());
        self.metrics
            .kafka
            .request_bytes_in_flight
            .set(held_bytes as i64);
    }
}

impl Limits {
    /// Often enough to keep every timeout of a connection that is read within a part of its length.
    fn patrol_interval(&self) -> Duration {
        let ConnectionLimits {
            idle_timeout,
            write_timeout,
            ..
        } = self.connection;
        let shortest = idle_timeout
            .min(write_timeout)
            .min(self.frame.arrival_timeout);
        shortest / PATROLS_PER_TIMEOUT
    }
}

/// Returns once the node stops, or once nobody could tell.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    _ = stopping.wait_for(|stopping| *stopping).await;
}
