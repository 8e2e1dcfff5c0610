//! Plans are balanced, and lead where they should.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{membership, placement};
use crate::catalog::{Catalog, Node};
use crate::group::{Change, Members, Peer};
use crate::ids::NodeId;

fn cluster(nodes: u64, racks: u64) -> Catalog {
    let mut catalog = Catalog::default();
    for id in 1..=nodes {
        let node = Node {
            id: NodeId(id),
            incarnation: 1,
            peer_address: format!("node-{id}:9192"),
            kafka_host: format!("node-{id}"),
            kafka_port: 9092,
            rack: (racks > 0).then(|| format!("rack-{}", id % racks)),
        };
        catalog.nodes.insert(node.id, Arc::new(node));
    }
    catalog
}

proptest! {
    #[test]
    fn replicas_and_leaders_are_spread(nodes in 1u64..8, partitions in 1usize..60, factor in 1usize..6) {
        let catalog = cluster(nodes, 0);
        let placed = placement::place(&catalog, partitions, factor);
        prop_assert_eq!(placed.is_some(), factor as u64 <= nodes);
        let mut leads = BTreeMap::new();
        let mut holds = BTreeMap::new();
        for replicas in placed.into_iter().flatten() {
            *leads.entry(replicas[0]).or_insert(0) += 1;
            let mut distinct = replicas.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), factor);
            replicas.iter().for_each(|node| *holds.entry(*node).or_insert(0) += 1);
        }
        for counts in [leads, holds] {
            let (least, most) = (counts.values().min(), counts.values().max());
            prop_assert!(most.unwrap_or(&0) - least.unwrap_or(&0) <= 2, "{:?}", counts);
        }
    }

    #[test]
    fn racks_are_shared_only_if_there_are_too_few(partitions in 1usize..30) {
        let catalog = cluster(6, 3);
        for replicas in placement::place(&catalog, partitions, 3).expect("there are enough nodes") {
            let mut racks: Vec<u64> = replicas.iter().map(|node| node.0 % 3).collect();
            racks.sort_unstable();
            prop_assert_eq!(racks, [0, 1, 2]);
        }
    }

    #[test]
    fn every_plan_of_members_arrives(
        from in prop::collection::btree_set(1u64..9, 1..5),
        wanted in prop::collection::btree_set(1u64..9, 1..5),
    ) {
        let wanted: Vec<u64> = wanted.into_iter().collect();
        let mut members = Members::of_voters(from.into_iter().collect());
        for _ in 0..20 {
            let all = members.voters.iter().chain(&members.learners);
            let peers: Vec<Peer> = all.map(|replica| Peer { replica: *replica, matched: 9, is_active: true }).collect();
            let Some(changes) = membership::next_step(&members, &wanted, &[], &peers, 9) else { break };
            for change in changes {
                let (Change::Voter(replica) | Change::Learner(replica) | Change::Remove(replica)) = change;
                members.voters.retain(|other| *other != replica);
                members.learners.retain(|other| *other != replica);
                match change {
                    Change::Voter(_) => members.voters.push(replica),
                    Change::Learner(_) => members.learners.push(replica),
                    Change::Remove(_) => {}
                }
            }
            prop_assert!(!members.voters.is_empty());
        }
        members.voters.sort_unstable();
        prop_assert_eq!(members.voters, wanted);
        prop_assert_eq!(members.learners, Vec::<u64>::new());
    }
}

#[test]
fn founders_that_are_missing_hold_only_what_others_cannot() {
    let mut catalog = cluster(2, 0);
    catalog.meta_voters = vec![NodeId(1), NodeId(2), NodeId(3)];
    for replicas in placement::place(&catalog, 4, 3).expect("three are to come") {
        assert_ne!(replicas[0], NodeId(3));
        assert_eq!(replicas[2], NodeId(3));
    }
    for replicas in placement::place(&catalog, 4, 2).expect("two are there") {
        assert!(!replicas.contains(&NodeId(3)));
    }
    assert_eq!(placement::place(&catalog, 1, 4), None);
}

#[test]
fn a_learner_that_lags_does_not_vote_yet() {
    let mut members = Members::of_voters(vec![1, 2, 3]);
    members.learners = vec![4];
    let lagging = Peer {
        replica: 4,
        matched: 10,
        is_active: true,
    };
    assert_eq!(
        membership::next_step(&members, &[1, 2, 4], &[], &[lagging], 1000),
        None
    );
    let caught_up = Peer {
        matched: 1000,
        ..lagging
    };
    assert_eq!(
        membership::next_step(&members, &[1, 2, 4], &[], &[caught_up], 1000),
        Some(vec![Change::Voter(4), Change::Remove(3)])
    );
}
