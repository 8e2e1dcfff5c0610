//! The door to other nodes: two lanes to each of them, who is alive, and a breaker that refuses at once what a dead
//! or slow node could not take.
//!
//! This room knows nodes and nothing of what they tell each other: group messages go out by reference and come in
//! without a copy, requests and answers are bytes. It never blocks the one who sends; what does not fit is refused.

mod backoff;
mod breaker;
mod call;
mod codec;
mod dial;
pub mod frame;
mod limits;
mod link;
mod liveness;
pub mod message;
mod outbox;
mod peers;
mod serve;
mod transport;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chronik_core::ids::NodeId;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::metrics::Metrics;

pub use call::CallError;
pub use frame::Identity;
pub use limits::Limits;
pub use liveness::{Doubt, Liveness};
pub use message::GroupMessage;
pub use peers::{Peers, Refused};
pub use transport::Transport;

/// Two ways to a node, so that a long append never delays a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Signs of life, votes, answers, heartbeats, requests.
    Control,
    /// Messages with entries or snapshots.
    Bulk,
}

/// A node and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub node: NodeId,
    /// `HOST:PORT`.
    pub peer_address: String,
}

/// The part of this node's identity that it gets only when it joins a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Belonging {
    /// None until birth.
    pub cluster_id: Option<Arc<str>>,
    /// Which life of the node this is; 0 as long as nobody has counted it.
    pub incarnation: u64,
}

/// What the transport needs to know of this node.
pub struct Options {
    pub node: NodeId,
    /// Different in every life of the process.
    pub boot: u64,
    pub belonging: watch::Receiver<Belonging>,
    /// Whether the log takes writes: false once work has waited for too long for a sync.
    pub wal_ok: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Time between two signs of life.
    pub ping: Duration,
    /// Silence after which a node is suspected.
    pub suspect_after: Duration,
    pub limits: Limits,
    pub metrics: Arc<Metrics>,
}

/// Where messages of other nodes arrive. Nothing here may block: it runs on the tasks that read the network.
pub trait Inbox: Send + Sync + 'static {
    /// In the order in which they were sent on their lane. What cannot be taken is dropped by the inbox.
    fn messages(&self, from: NodeId, messages: Vec<GroupMessage>);

    /// A request that wants an answer.
    fn call(&self, from: NodeId, request: Bytes) -> BoxFuture<'static, Result<Bytes, String>>;

    /// A node came, went, or lost what was sent to it.
    fn liveness(&self, change: Liveness);
}

/// The two halves: the sending one for everybody, and the one that does the work.
pub fn new(options: Options) -> (Peers, Transport) {
    transport::new(options)
}

#[cfg(test)]
mod tests;
