//! What is known of a cluster at one moment: plain values, which can be written down and read again.

use std::collections::BTreeMap;

use chronik_admin::v1::{
    ClusterEvent, ClusterView, NodeRow, OperationList, RaftGroup, RaftStatus, TopicList,
};
use serde::{Deserialize, Serialize};

/// Everything that one poll found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Data {
    pub(crate) at_ms: u64,
    pub(crate) cluster: ClusterView,
    pub(crate) raft: RaftStatus,
    pub(crate) topics: TopicList,
    pub(crate) operations: OperationList,
}

/// A consumer group as it was seen last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct GroupRow {
    pub(crate) group: String,
    pub(crate) state: String,
    pub(crate) members: u64,
    pub(crate) coordinator: i32,
    pub(crate) lag: i64,
    pub(crate) committed: i64,
    /// Partitions with a position, and what each of them lacks.
    pub(crate) partitions: Vec<PositionRow>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PositionRow {
    pub(crate) partition: String,
    pub(crate) committed: i64,
    pub(crate) end: Option<i64>,
    pub(crate) lag: Option<i64>,
    pub(crate) below_start: bool,
}

/// What comes from outside, apart from keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum News {
    Polled(Box<Data>),
    /// A poll found nobody who answers: what was known stays.
    Failed(String),
    Groups(Vec<GroupRow>),
    Happened(Vec<ClusterEvent>),
}

impl Data {
    /// A node's row.
    pub(crate) fn node(&self, id: u64) -> Option<&NodeRow> {
        self.cluster.nodes.iter().find(|row| row.node_id == id)
    }

    /// A Raft group by its name.
    pub(crate) fn group(&self, name: &str) -> Option<&RaftGroup> {
        self.raft.groups.iter().find(|group| group.name == name)
    }

    /// How many groups each node leads, in the order of the nodes.
    pub(crate) fn leaders(&self) -> BTreeMap<u64, u64> {
        let rows = self.raft.nodes.iter();
        rows.map(|node| (node.node_id, node.leaders)).collect()
    }
}
