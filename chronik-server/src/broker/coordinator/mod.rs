//! The coordinator of consumer groups: one task owns every group whose partition of `__consumer_offsets` this node
//! leads, and feeds the pure state machine of `chronik_core::consumer_group`.
//!
//! A [`CoordinatorHandle`] asks, [`Coordinators`] answers. What the state machine wants to write goes the way of every
//! produce; what it answers before that is durable waits here. A partition is loaded from its kept state and the
//! records after it before it serves, and is dropped the moment another node leads it.

mod batch;
mod handle;
mod load;
mod partition;
mod placement;
mod task;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chronik_core::consumer_group::Config;
use tokio::sync::mpsc;

pub use handle::CoordinatorHandle;
pub(crate) use load::{LoadError, image};
pub use placement::OFFSETS_TOPIC;
pub use task::Coordinators;

use super::Broker;

/// What the coordinator is told once.
#[derive(Clone, Debug)]
pub struct Options {
    pub groups: Config,
    /// Requests that wait to be looked at; one more is refused with a retriable error.
    pub inbox: usize,
    /// How long a partition may take to load before its clients are told to come back.
    pub load_timeout: Duration,
    /// After so many bytes of records a partition keeps its state and lets go of them.
    pub keep_state_after_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            groups: Config::default(),
            inbox: 4_096,
            load_timeout: Duration::from_secs(10),
            keep_state_after_bytes: 4 << 20,
        }
    }
}

/// The asking and the answering half. Nothing is served before [`Coordinators::run`] runs.
pub fn new(broker: Broker, options: Options) -> (CoordinatorHandle, Coordinators) {
    let (sender, inbox) = mpsc::channel(options.inbox);
    (
        CoordinatorHandle::new(broker.clone(), sender),
        Coordinators::new(broker, options, inbox),
    )
}
