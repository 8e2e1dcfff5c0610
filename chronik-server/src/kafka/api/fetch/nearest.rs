//! Where a client should read: its leader sends it to a replica in its own rack.

use chronik_core::catalog::Partition;
use chronik_core::ids::NodeId;

use crate::broker::View;

/// Another node that the leader `own` would send a client of this rack to; none if it may as well stay.
pub(super) fn replica(
    view: &View,
    partition: &Partition,
    own: NodeId,
    rack: &str,
) -> Option<NodeId> {
    // Only the leader sends anybody anywhere, or two replicas could send a client to and fro.
    if view.leader(partition.group).node != Some(own) || is_in(view, own, rack) {
        return None;
    }
    let serves = |node: &&NodeId| {
        **node != own && is_in(view, **node, rack) && view.is_in_sync(partition.group, **node)
    };
    partition.replicas.iter().find(serves).copied()
}

fn is_in(view: &View, node: NodeId, rack: &str) -> bool {
    let known = view.catalog.nodes.get(&node);
    known.is_some_and(|known| known.rack.as_deref() == Some(rack))
}
