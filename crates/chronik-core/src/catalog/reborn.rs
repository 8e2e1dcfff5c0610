//! A catalog without its cluster: all nodes were lost, and a new cluster begins with what was known.
//!
//! One node begins with everything, because only one can: two that began alike would each believe to be the first.
//! The others come empty, are let in like any new node, and the groups grow to the replicas that they had.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::{Catalog, Life, Partition, Topic};
use crate::ids::{NodeId, ReplicaId};

/// Producer ids that may have been given out after this catalog was written down: nobody gets one of them again.
const SKIPPED_PRODUCER_IDS: i64 = 1_000_000;

impl Catalog {
    /// The catalog of a new cluster of these `nodes`, of which `first` holds everything until the others are there.
    /// Replicas of nodes that are not among them go to those that are.
    #[must_use]
    pub fn reborn(&self, cluster_id: &str, first: NodeId, nodes: &[NodeId]) -> Catalog {
        let version = self.version + 1;
        let mut turn = 0;
        let mut place = |partition: &Partition| {
            turn += 1;
            let replicas = places(partition, nodes, turn);
            let is_elsewhere = !replicas.contains(&first);
            // It goes to where it should be as any partition that moves.
            let before = if is_elsewhere {
                vec![first]
            } else {
                Vec::new()
            };
            Partition {
                group: partition.group,
                replicas,
                born: vec![ReplicaId::new(first, 1)],
                home: before.clone(),
                before,
                moved_at: if is_elsewhere { version } else { 0 },
                left: Vec::new(),
            }
        };
        let topics = self.topics.iter().map(|(name, topic)| {
            let topic = Topic {
                partitions: topic.partitions.iter().map(&mut place).collect(),
                ..(**topic).clone()
            };
            (name.clone(), Arc::new(topic))
        });
        let topics = topics.collect();
        let life = Life {
            incarnation: 1,
            directory: [0; 16],
            has_ended: false,
        };
        Catalog {
            version,
            cluster_id: cluster_id.into(),
            nodes: OrdMap::new(),
            topics,
            names: self.names.clone(),
            meta_voters: nodes.to_vec(),
            drained: OrdSet::new(),
            throttle: self.throttle,
            paused: OrdSet::new(),
            lives: OrdMap::unit(first, life),
            next_uid: self.next_uid,
            next_producer_id: self.next_producer_id + SKIPPED_PRODUCER_IDS,
        }
    }
}

/// The nodes that held a partition and are there still, then others in turn until there are as many as before.
fn places(partition: &Partition, nodes: &[NodeId], turn: usize) -> Vec<NodeId> {
    let factor = partition.replicas.len().min(nodes.len());
    let held = partition.replicas.iter().copied();
    let mut replicas: Vec<NodeId> = held.filter(|node| nodes.contains(node)).collect();
    let others = nodes.iter().cycle().skip(turn).take(nodes.len());
    for node in others {
        if replicas.len() < factor && !replicas.contains(node) {
            replicas.push(*node);
        }
    }
    replicas
}
