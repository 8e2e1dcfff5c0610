//! What every room may know at once: the catalog and who leads which group.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chronik_core::catalog::{Catalog, Node};
use chronik_core::ids::{GroupUid, NodeId};
use imbl::OrdMap;

/// One published state of the cluster as this node knows it.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub catalog: Catalog,
    pub groups: OrdMap<GroupUid, Arc<GroupStatus>>,
    /// Nodes that no client can talk to, as seen from here.
    pub away: BTreeSet<NodeId>,
}

/// Who leads a group, as one value: a term never goes back, and term and leader never mix.
#[derive(Debug, Default)]
pub struct GroupStatus {
    /// The term in the upper half; in the lower one more than the leader, 0 for nobody.
    packed: AtomicU64,
    /// Nodes that do not keep up, as the leader says. Almost always empty, and locked for one look.
    lagging: Mutex<Vec<NodeId>>,
}

/// A leader and its epoch, as clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    pub node: Option<NodeId>,
    pub epoch: i32,
}

impl View {
    /// Whether a replica keeps up; one that nobody told anything about does.
    pub fn is_in_sync(&self, group: GroupUid, node: NodeId) -> bool {
        let status = self.groups.get(&group);
        status.is_none_or(|status| status.is_in_sync(node))
    }

    /// Who leads a partition; nobody if its group does not exist here yet.
    pub fn leader(&self, group: GroupUid) -> Leader {
        self.groups.get(&group).map_or(
            Leader {
                node: None,
                epoch: -1,
            },
            |status| status.leader(),
        )
    }

    /// Whom clients are sent to: the leader, unless it is away, as far as is known here.
    pub fn reachable_leader(&self, group: GroupUid) -> Leader {
        let leader = self.leader(group);
        Leader {
            node: leader.node.filter(|node| !self.away.contains(node)),
            ..leader
        }
    }

    /// The nodes that clients can go to.
    pub fn present_nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        let nodes = self.catalog.nodes.values();
        nodes.filter(|node| !self.away.contains(&node.id))
    }
}

impl GroupStatus {
    pub fn leader(&self) -> Leader {
        let packed = self.packed.load(Ordering::Acquire);
        let node = packed & u64::from(u32::MAX);
        Leader {
            node: node.checked_sub(1).map(NodeId),
            epoch: (packed >> 32) as i32,
        }
    }

    /// Whether a node that holds the group keeps up with its leader, as far as is known here.
    pub fn is_in_sync(&self, node: NodeId) -> bool {
        let lagging = self.lagging.lock().unwrap_or_else(PoisonError::into_inner);
        !lagging.contains(&node)
    }

    pub(crate) fn set_lagging(&self, nodes: &[NodeId]) {
        let mut lagging = self.lagging.lock().unwrap_or_else(PoisonError::into_inner);
        if *lagging != nodes {
            *lagging = nodes.to_vec();
        }
    }

    pub(crate) fn add_lagging(&self, node: NodeId) {
        let mut lagging = self.lagging.lock().unwrap_or_else(PoisonError::into_inner);
        if !lagging.contains(&node) {
            lagging.push(node);
        }
    }

    /// Only the owner of the group publishes.
    pub(crate) fn publish(&self, epoch: i32, node: Option<NodeId>) {
        let node = node.map_or(0, |node| node.0 + 1);
        let packed = (u64::from(epoch as u32) << 32)
            | u64::from(u32::try_from(node).expect("node ids fit 32 bits"));
        self.packed.store(packed, Ordering::Release);
    }
}
