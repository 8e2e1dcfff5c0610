//! Plans are balanced, and lead where they should.

mod moves;

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
    fn drained_nodes_get_nothing(nodes in 2u64..8, drained in 1u64..8, factor in 1usize..6) {
        let mut catalog = cluster(nodes, 2);
        catalog.drained.insert(NodeId(drained));
        let rest = nodes - u64::from(drained <= nodes);
        let placed = placement::place(&catalog, 9, factor);
        prop_assert_eq!(placed.is_some(), factor as u64 <= rest);
        prop_assert!(placed.into_iter().flatten().flatten().all(|node| node != NodeId(drained)));
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
            make(&mut members, &changes);
            prop_assert!(!members.voters.is_empty());
        }
        members.voters.sort_unstable();
        prop_assert_eq!(members.voters, wanted);
        prop_assert_eq!(members.learners, Vec::<u64>::new());
    }
}

/// All changes at once, without the joint state between.
fn make(members: &mut Members, changes: &[Change]) {
    for change in changes {
        let (Change::Voter(replica) | Change::Learner(replica) | Change::Remove(replica)) = *change;
        members.voters.retain(|other| *other != replica);
        members.learners.retain(|other| *other != replica);
        match change {
            Change::Voter(_) => members.voters.push(replica),
            Change::Learner(_) => members.learners.push(replica),
            Change::Remove(_) => {}
        }
    }
}

#[test]
fn what_stands_still_keeps_its_members_and_takes_a_wiped_one_back() {
    let mut members = Members::of_voters(vec![1, 2, 3]);
    members.learners = vec![4];
    assert_eq!(
        membership::as_they_are(&members, |replica| replica),
        (vec![1, 2, 3], vec![4])
    );
    // Node 2 was wiped, and its new replica learns already.
    members.learners.push(102);
    let present = |replica| if replica == 2 { 102 } else { replica };
    let wanted = (vec![1, 102, 3], vec![4]);
    assert_eq!(membership::as_they_are(&members, present), wanted);
    let peers = [4, 102].map(|replica| Peer {
        replica,
        matched: 9,
        is_active: true,
    });
    assert_eq!(
        membership::next_step(&members, &wanted.0, &wanted.1, &peers, 9),
        Some(vec![Change::Voter(102), Change::Remove(2)])
    );
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

#[test]
fn a_learner_that_never_answered_does_not_vote_however_short_the_log_is() {
    let mut members = Members::of_voters(vec![1, 2, 3]);
    members.learners = vec![4];
    let silent = Peer {
        replica: 4,
        matched: 0,
        is_active: true,
    };
    let wanted = [1, 2, 4];
    let next = |peer: Peer| membership::next_step(&members, &wanted, &[], &[peer], 5);
    assert_eq!(next(silent), None);
    let answers = Peer {
        matched: 1,
        ..silent
    };
    let swap = vec![Change::Voter(4), Change::Remove(3)];
    assert_eq!(next(answers), Some(swap));
}

mod rebalance {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use crate::ids::{GroupUid, NodeId};
    use crate::plan::rebalance::{Change, Goal, Impossible, Layout, Placed, plan};

    fn nodes(count: u64, racks: u64) -> BTreeMap<NodeId, Option<String>> {
        let rack = |id: u64| (racks > 0).then(|| format!("rack-{}", id % racks));
        (1..=count).map(|id| (NodeId(id), rack(id))).collect()
    }

    /// Any layout on the first nodes; the others are empty.
    fn layouts() -> impl Strategy<Value = Layout> {
        let sizes = (3u64..7, 0u64..3, 0u64..4);
        sizes.prop_flat_map(|(used, more, racks)| {
            let order: Vec<u64> = (1..=used).collect();
            let placed = (0usize..3, Just(order).prop_shuffle(), 1usize..4);
            let partitions = prop::collection::vec(placed, 1..40);
            partitions.prop_map(move |partitions| {
                let numbered = partitions.into_iter().enumerate();
                let placed = numbered.map(|(number, (topic, order, factor))| Placed {
                    group: GroupUid(1024 + number as u64),
                    topic,
                    replicas: order.into_iter().take(factor).map(NodeId).collect(),
                    is_moving: false,
                });
                Layout {
                    nodes: nodes(used + more, racks),
                    partitions: placed.collect(),
                }
            })
        })
    }

    fn check_sound(layout: &Layout, changes: &[Change]) {
        let after = layout.after(changes);
        for (before, after) in layout.partitions.iter().zip(&after.partitions) {
            let distinct: BTreeSet<&NodeId> = after.replicas.iter().collect();
            assert_eq!(distinct.len(), before.replicas.len(), "{after:?}");
            assert!(
                after
                    .replicas
                    .iter()
                    .all(|node| layout.nodes.contains_key(node))
            );
        }
        assert!(changes.iter().all(|change| change.from != change.to));
    }

    fn domains(layout: &Layout, replicas: &[NodeId]) -> usize {
        let domain = |node: &NodeId| match &layout.nodes[node] {
            Some(rack) => rack.clone(),
            None => node.to_string(),
        };
        replicas.iter().map(domain).collect::<BTreeSet<_>>().len()
    }

    fn copies(changes: &[Change]) -> usize {
        changes.iter().map(Change::copies).sum()
    }

    proptest! {
        #[test]
        fn balance_is_reached_with_the_fewest_copies(layout in layouts()) {
            let layout = Layout { nodes: nodes(layout.nodes.len() as u64, 0), ..layout };
            let changes = plan(&layout, Goal::Balance).unwrap();
            check_sound(&layout, &changes);
            let before: Vec<usize> = layout.shares().values().map(|share| share.0).collect();
            let total: usize = before.iter().sum();
            let (least, most) = (total / before.len(), total.div_ceil(before.len()));
            let shares = layout.after(&changes).shares();
            for (holds, _) in shares.values() {
                prop_assert!((least..=most).contains(holds), "{shares:?}");
            }
            let above: usize = before.iter().map(|holds| holds.saturating_sub(most)).sum();
            let below: usize = before.iter().map(|holds| least.saturating_sub(*holds)).sum();
            // Nobody can do with less: what is too much has to go, and what is missing has to come.
            prop_assert_eq!(copies(&changes), above.max(below));
            prop_assert_eq!(plan(&layout.after(&changes), Goal::Balance).unwrap(), vec![]);
        }

        #[test]
        fn no_plan_puts_replicas_into_fewer_racks(layout in layouts(), leaves in 1u64..4) {
            for goal in [Goal::Balance, Goal::Fill(NodeId(1)), Goal::Leaders] {
                let changes = plan(&layout, goal).unwrap();
                check_sound(&layout, &changes);
                for change in &changes {
                    prop_assert!(domains(&layout, &change.to) >= domains(&layout, &change.from));
                }
                prop_assert_eq!(&changes, &plan(&layout, goal).unwrap());
            }
            let node = NodeId(leaves);
            match plan(&layout, Goal::Drain(node)) {
                Ok(changes) => {
                    check_sound(&layout, &changes);
                    let held = layout.shares()[&node].0;
                    prop_assert_eq!(copies(&changes), held);
                    prop_assert_eq!(layout.after(&changes).shares()[&node].0, 0);
                }
                Err(refused) => {
                    let is_full = matches!(refused, Impossible::NoRoom { .. });
                    prop_assert!(is_full, "{refused}");
                }
            }
        }

        #[test]
        fn leaders_are_evened_out_without_a_copy(layout in layouts()) {
            let layout = Layout {
                partitions: layout.partitions.into_iter().map(|mut placed| {
                    // Everybody may lead everything: then nothing is in the way of an even share.
                    let missing = layout.nodes.keys().filter(|node| !placed.replicas.contains(node));
                    let missing: Vec<NodeId> = missing.copied().collect();
                    placed.replicas.extend(missing);
                    placed
                }).collect(),
                nodes: layout.nodes,
            };
            let changes = plan(&layout, Goal::Leaders).unwrap();
            prop_assert_eq!(copies(&changes), 0);
            let shares = layout.after(&changes).shares();
            let leads = shares.values().map(|share| share.1);
            prop_assert!(leads.clone().max().unwrap() - leads.min().unwrap() <= 1, "{shares:?}");
        }
    }

    fn three_of_each(partitions: u64, nodes_there: u64) -> Layout {
        let placed = |number: u64| Placed {
            group: GroupUid(1024 + number),
            topic: 0,
            replicas: (0..3)
                .map(|place| NodeId((number + place) % 3 + 1))
                .collect(),
            is_moving: false,
        };
        Layout {
            nodes: nodes(nodes_there, 0),
            partitions: (0..partitions).map(placed).collect(),
        }
    }

    #[test]
    fn a_fourth_node_gets_its_share_and_nothing_else_is_copied() {
        let layout = three_of_each(12, 4);
        for goal in [Goal::Balance, Goal::Fill(NodeId(4))] {
            let changes = plan(&layout, goal).unwrap();
            assert_eq!(copies(&changes), 9);
            let shares = layout.after(&changes).shares();
            assert!(shares.values().all(|share| *share == (9, 3)), "{shares:?}");
        }
    }

    #[test]
    fn what_has_nowhere_to_go_or_moves_already_stays() {
        let layout = three_of_each(6, 3);
        let refused = plan(&layout, Goal::Drain(NodeId(2))).unwrap_err();
        let node = NodeId(2);
        let partitions = 6;
        assert_eq!(refused, Impossible::NoRoom { node, partitions });
        let mut layout = three_of_each(6, 4);
        layout.partitions[0].is_moving = true;
        let refused = plan(&layout, Goal::Drain(node)).unwrap_err();
        let partitions = 1;
        assert_eq!(refused, Impossible::Moving { node, partitions });
        let changes = plan(&layout, Goal::Balance).unwrap();
        assert!(changes.iter().all(|change| change.group != GroupUid(1024)));
        let unknown = plan(&layout, Goal::Fill(NodeId(9))).unwrap_err();
        assert_eq!(unknown, Impossible::UnknownNode(NodeId(9)));
    }
}
