//! What a Kafka partition adds to a Raft group: batches with offsets, leader epochs and idempotent producers.

pub mod batch;
pub mod log;
pub mod producers;

#[cfg(test)]
mod tests;

pub use batch::{BatchError, BatchHeader};
pub use log::{Appended, Log, Refused};
