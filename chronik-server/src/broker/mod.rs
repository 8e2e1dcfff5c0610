//! The domain between the clients' door and the Raft shell: partitions, topics and what may be done with them.
//!
//! Nothing here knows a Kafka version or error number, and nothing but `raft/` touches a group. A [`Broker`] is a
//! cheap handle; clone it freely.

mod append;
pub mod coordinator;
mod elect;
mod fetch;
mod moves;
mod offsets;
mod proposals;
mod quorum;
mod topics;
pub mod view;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use chronik_core::catalog::Topic;
use chronik_core::ids::{NodeId, TopicId};
use tokio::sync::watch;

pub use crate::raft::event::{
    AppendError, Appended, Bounds, Description, GroupError, Hint, KeptState, ProposeError, Quorum,
    QuorumMember, ReadError, ReadPartition, Sought, Source, TrimError,
};
pub use append::{Appends, PendingAppend, all_replicas};
pub use chronik_core::partition::Acks;
pub use fetch::{FetchLimits, Fetched};
pub use offsets::{BatchFound, EpochEnd};
pub use topics::{CreateRefused, ExtendRefused, MIN_INSYNC_REPLICAS, TopicSpec};
pub use view::{Leader, View};

use crate::metrics::Metrics;
use crate::peer::Peers;
use crate::raft::ShardHandle;

/// What the broker is told once, at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    pub node: NodeId,
    /// Where clients reach this node.
    pub kafka_address: (String, u16),
    /// Different in every life of the process.
    pub boot: u64,
    /// The other nodes that the configuration names.
    pub peers: Vec<NodeId>,
    pub auto_create_topics: bool,
    pub default_partitions: u32,
    pub default_replication_factor: u32,
    pub min_insync_replicas: u32,
    pub offsets_partitions: u32,
}

#[derive(Clone)]
pub struct Broker {
    settings: Arc<Settings>,
    shard: ShardHandle,
    peers: Peers,
    /// The number of the next proposal.
    proposals: Arc<AtomicU64>,
    view: watch::Receiver<Arc<View>>,
    leader_changes: watch::Receiver<u64>,
    reader: chronik_wal::Reader,
    metrics: Arc<Metrics>,
}

impl Broker {
    pub(crate) fn new(
        settings: Settings,
        shard: ShardHandle,
        peers: Peers,
        view: watch::Receiver<Arc<View>>,
        leader_changes: watch::Receiver<u64>,
        reader: chronik_wal::Reader,
        metrics: Arc<Metrics>,
    ) -> Broker {
        Broker {
            settings: Arc::new(settings),
            shard,
            peers,
            // 0 is the founding of the cluster.
            proposals: Arc::new(AtomicU64::new(1)),
            view,
            leader_changes,
            reader,
            metrics,
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The state of the cluster as this node knows it now.
    pub fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// To wait until a group on this node gets another leader.
    pub fn leader_changes(&self) -> watch::Receiver<u64> {
        self.leader_changes.clone()
    }

    /// To wait until something about the catalog or the set of groups changes.
    pub fn view_changes(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.view.borrow().catalog.topic(name).cloned()
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.view.borrow().catalog.topic_by_id(id).cloned()
    }
}
