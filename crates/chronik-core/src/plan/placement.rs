//! Where replicas of new partitions go, and who of them should lead.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::ids::NodeId;

/// What a node carries already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Load {
    leads: usize,
    holds: usize,
}

/// Places `partitions` with `factor` replicas each, the preferred leader first. Leaders and replicas are spread
/// evenly over the nodes with all that is there, and replicas of one partition over as many racks as there are.
/// Founders that were never seen hold replicas only where there are too few others, and lead nothing: they find what
/// they should hold when they come. Drained nodes get nothing. None if there are fewer nodes than replicas.
pub fn place(catalog: &Catalog, partitions: usize, factor: usize) -> Option<Vec<Vec<NodeId>>> {
    let nodes = catalog.nodes.keys().chain(&catalog.meta_voters);
    let nodes = nodes.filter(|node| !catalog.drained.contains(*node));
    let mut loads: BTreeMap<NodeId, Load> = nodes.map(|node| (*node, Load::default())).collect();
    if factor == 0 || loads.len() < factor || catalog.nodes.is_empty() {
        return None;
    }
    let present = catalog.topics.values().flat_map(|topic| &topic.partitions);
    present.for_each(|partition| count(&mut loads, &partition.replicas));
    let place_one = |_| {
        let replicas = choose(catalog, &loads, factor);
        count(&mut loads, &replicas);
        replicas
    };
    Some((0..partitions).map(place_one).collect())
}

fn choose(catalog: &Catalog, loads: &BTreeMap<NodeId, Load>, factor: usize) -> Vec<NodeId> {
    let is_absent = |node: &NodeId| !catalog.nodes.contains_key(node);
    let leader = loads
        .iter()
        .min_by_key(|(node, load)| (is_absent(node), **load, **node));
    let mut replicas = vec![*leader.expect("there are nodes").0];
    let rack = |node: &NodeId| {
        catalog
            .nodes
            .get(node)
            .and_then(|node| node.rack.as_deref())
    };
    while replicas.len() < factor {
        let free = loads.iter().filter(|(node, _)| !replicas.contains(node));
        let next = free.min_by_key(|(node, load)| {
            let is_shared = rack(node)
                .is_some_and(|name| replicas.iter().any(|other| rack(other) == Some(name)));
            (is_absent(node), is_shared, load.holds, **node)
        });
        replicas.push(*next.expect("there are as many nodes as replicas").0);
    }
    replicas
}

fn count(loads: &mut BTreeMap<NodeId, Load>, replicas: &[NodeId]) {
    for (position, node) in replicas.iter().enumerate() {
        if let Some(load) = loads.get_mut(node) {
            load.holds += 1;
            load.leads += usize::from(position == 0);
        }
    }
}
