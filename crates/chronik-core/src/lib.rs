//! The pure heart of Chronik: Raft groups, partition logs, the catalog and consumer groups as state machines.
//!
//! Nothing here knows a clock, a socket, a file or a thread. Events and the time come in as values, orders go out
//! as actions, and whoever owns the I/O obeys them in order. That is what makes every distributed bug a script.
//!
//! - [`ids`]: the words for nodes, groups, topics and partitions.
//! - [`group`]: one Raft group: `step(event) -> actions`.
//! - [`partition`]: what a Kafka partition adds to a group: offsets, epochs, idempotent producers.
//! - [`catalog`]: the replicated state of the metadata group: topics, placement, configs, producer ids.
//! - [`compaction`]: which records a log keeps of each key.
//! - [`consumer_group`]: the classic group coordinator.
//! - [`plan`]: where replicas go, and how a group gets from the members it has to those it should have.
//! - [`throttle`]: so many bytes in a second, for replicas on the move.
//! - [`wire`]: the small bounded reader and writer that the disk formats above share.

pub mod catalog;
pub mod compaction;
pub mod consumer_group;
pub mod group;
pub mod ids;
pub mod partition;
pub mod plan;
pub mod throttle;
pub mod wire;
