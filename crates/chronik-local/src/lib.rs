//! Starts, stops, kills, pauses, restarts and inspects real broker processes on this machine.
//!
//! Chronik and Apache Kafka are both a [`Node`]: the same handle over a different command line, so a driver that
//! is proven against one of them runs unchanged against the other.

mod chronik;
mod cluster;
pub mod contender;
mod error;
pub mod foreign;
mod host;
pub mod kafka;
pub mod log_police;
mod node;
mod paths;
mod ports;
pub mod probe;
mod process;
mod store;
pub mod wait;

pub use chronik::{ChronikOptions, Doors};
pub use cluster::Cluster;
pub use error::LocalError;
pub use host::Host;
pub use kafka::KafkaOptions;
pub use node::Node;
pub use paths::{checkout_commit, target_dir, workspace_dir};
pub use ports::free_port;
pub use process::{Launch, Process, Sample, process_exists, terminate};
pub use store::Store;
