//! What a Kafka partition adds to a Raft group: batches with offsets, leader epochs and idempotent producers.

pub mod batch;
pub mod control;
pub mod log;
pub mod producers;
pub mod replica;
pub mod restore;

#[cfg(test)]
mod tests;

pub use batch::{BatchError, BatchHeader};
pub use control::Control;
pub use log::{Appended, EpochStart, Log, Refused};
pub use replica::{Acks, Answer, Order, Replica};
pub use restore::Restore;
