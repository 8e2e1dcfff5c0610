//! The classic group coordinator: members join, one of them assigns, offsets are kept, and the log remembers it all.
//!
//! One [`Coordinator`] holds the groups of one partition of `__consumer_offsets`. It is built from the [`Image`] that
//! the partition's records give, takes events and returns actions; no answer that promises durability is given
//! before the append it stands for was reported back.
//!
//! - [`message`]: what clients ask and what they are told.
//! - [`records`]: the bytes in the log, Kafka's own; [`image`]: what they add up to.
//! - `group`, `member`: the living state; `rebalance`: how one generation follows another.
//! - one file per verb: `join`, `sync`, `heartbeat`, `leave`, `commit`, `fetch`, `delete`, `describe`, `expire`.

mod append;
mod commit;
mod coordinator;
mod delete;
mod describe;
mod error;
mod expire;
mod fetch;
mod group;
mod groups;
mod heartbeat;
pub mod image;
mod join;
mod leave;
mod member;
pub mod message;
mod rebalance;
pub mod records;
mod static_member;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;

pub use append::{AppendError, Token};
pub use coordinator::{Action, Config, Coordinator, Event};
pub use error::GroupError;
pub use image::{Image, RestoreError};
pub use message::{Reply, Request, Ticket};
pub use records::{RawRecord, Record, RecordError};
