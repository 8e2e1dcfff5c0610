//! Moves as a whole, in any order of orders: what the catalog wants, what leaders do about it, and what becomes of it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{cluster, make};
use crate::catalog::{
    Catalog, Command, Destination, Expected, Move, NewTopic, Order, Outcome, Partition,
};
use crate::group::{Members, Peer};
use crate::ids::{NodeId, TopicId};
use crate::plan::membership;

const TOPIC: TopicId = TopicId([7; 16]);
const NODES: u64 = 5;
const PARTITIONS: usize = 3;
/// Entries of every log, which does not grow.
const ENTRIES: u64 = 1000;
/// What a learner may lack when it becomes a voter.
const MOST_BEHIND: u64 = 64;

/// What somebody orders, or what happens by itself.
#[derive(Clone, Debug)]
enum Step {
    /// These nodes, unless the partition moves.
    Move(usize, Vec<u64>),
    Pause(usize, bool),
    Cancel(usize),
    RollBack(usize),
    /// A leader takes a step, if it may.
    Reconcile(usize),
    /// The learners of a group get so many entries, if they may.
    Copy(usize, u64),
    /// What has arrived is finished.
    Finish,
}

/// A partition's group, with nodes as its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    members: Members,
    /// Entries that a node has; one that is no member has none.
    has: BTreeMap<u64, u64>,
}

struct World {
    catalog: Catalog,
    groups: Vec<Group>,
    /// Where each partition stood still, the oldest place first.
    stood: Vec<Vec<Vec<NodeId>>>,
    /// Groups as they were when their moves were paused.
    frozen: BTreeMap<usize, Group>,
}

impl World {
    fn new() -> World {
        let mut catalog = cluster(NODES, 0);
        let replicas = [1, 2, 3].map(NodeId).to_vec();
        catalog.apply(Command::CreateTopics(vec![NewTopic {
            name: "moved".to_owned(),
            id: TOPIC,
            internal: false,
            partitions: vec![replicas.clone(); PARTITIONS],
            configs: Vec::new(),
        }]));
        let group = Group {
            members: Members::of_voters(vec![1, 2, 3]),
            has: [1, 2, 3].map(|node| (node, ENTRIES)).into(),
        };
        World {
            catalog,
            groups: vec![group; PARTITIONS],
            stood: vec![vec![replicas]; PARTITIONS],
            frozen: BTreeMap::new(),
        }
    }

    fn partition(&self, at: usize) -> &Partition {
        &self
            .catalog
            .topic_by_id(TOPIC)
            .expect("it is there")
            .partitions[at]
    }

    fn operation(&self, at: usize) -> u64 {
        self.partition(at).moved_at
    }

    /// All partitions whose newest move this is go somewhere.
    fn send(&mut self, operation: u64, to: &Destination) -> Outcome {
        let part = |at: &usize| self.operation(*at) == operation;
        let is_cancel = *to == Destination::Back;
        let wanted = (0..PARTITIONS).filter(part);
        let wanted = wanted.filter(|at| !is_cancel || self.partition(*at).is_moving());
        let moves = wanted.map(|at| Move {
            topic: TOPIC,
            partition: at as u32,
            to: to.clone(),
            expected: Expected::Moving { since: operation },
        });
        let order = Order {
            moves: moves.collect(),
            ..Order::default()
        };
        self.catalog.apply(Command::MoveReplicas(order))
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Move(at, nodes) => {
                let from = self.partition(at).replicas.clone();
                let moves = vec![Move {
                    topic: TOPIC,
                    partition: at as u32,
                    to: Destination::Nodes(nodes.into_iter().map(NodeId).collect()),
                    expected: Expected::At(from),
                }];
                let order = Order {
                    moves,
                    ..Order::default()
                };
                self.catalog.apply(Command::MoveReplicas(order));
            }
            Step::Pause(at, is_paused) => {
                let operation = self.operation(at);
                self.catalog.apply(Command::PauseMoves {
                    operation,
                    is_paused,
                });
            }
            Step::Cancel(at) => _ = self.send(self.operation(at), &Destination::Back),
            Step::RollBack(at) => self.roll_back(self.operation(at)),
            Step::Reconcile(at) => self.reconcile(at),
            Step::Copy(at, entries) => self.copy(at, entries),
            Step::Finish => (0..PARTITIONS).for_each(|at| self.finish(at)),
        }
        self.check_frozen();
    }

    /// Everything of an operation goes back to where it stood before, half-way or arrived.
    fn roll_back(&mut self, operation: u64) {
        if operation == 0 {
            return;
        }
        let part = |at: &usize| self.operation(*at) == operation;
        let wanted: Vec<(usize, Vec<NodeId>)> = (0..PARTITIONS)
            .filter(part)
            .map(|at| {
                let stood = &self.stood[at];
                let back = match self.partition(at).is_moving() {
                    true => stood.len() - 1,
                    false => stood.len() - 2,
                };
                (at, stood[back].clone())
            })
            .collect();
        let outcome = self.send(operation, &Destination::Home);
        assert!(matches!(outcome, Outcome::Topics(_)), "{outcome:?}");
        for (at, place) in wanted {
            assert_eq!(self.partition(at).replicas, place);
            assert!(!self.catalog.is_paused(self.partition(at)));
        }
    }

    fn reconcile(&mut self, at: usize) {
        let partition = self.partition(at).clone();
        let Group { members, has } = &mut self.groups[at];
        let (voters, learners) = match self.catalog.is_paused(&partition) {
            true => membership::as_they_are(members, |node| node),
            false => (
                partition.replicas.iter().map(|node| node.0).collect(),
                Vec::new(),
            ),
        };
        let peers: Vec<Peer> = has
            .iter()
            .map(|(node, has)| Peer {
                replica: *node,
                matched: *has,
                is_active: true,
            })
            .collect();
        let step = membership::next_step(members, &voters, &learners, &peers, ENTRIES);
        make(members, &step.unwrap_or_default());
        members
            .learners
            .iter()
            .for_each(|node| _ = has.entry(*node).or_insert(0));
        has.retain(|node, _| members.contains(*node));
        for voter in &members.voters {
            assert!(
                has[voter] + MOST_BEHIND >= ENTRIES,
                "{voter} votes too early"
            );
        }
        assert!(members.voters.len() >= 2, "too few vote");
    }

    fn copy(&mut self, at: usize, entries: u64) {
        if self.catalog.is_paused(self.partition(at)) {
            return;
        }
        let Group { members, has } = &mut self.groups[at];
        for node in members.voters.iter().chain(&members.learners) {
            let has = has.get_mut(node).expect("a member has a log");
            *has = (*has + entries).min(ENTRIES);
        }
    }

    fn has_arrived(&self, at: usize) -> bool {
        let mut voters = self.groups[at].members.voters.clone();
        let wanted = self.partition(at).replicas.iter();
        let mut wanted: Vec<u64> = wanted.map(|node| node.0).collect();
        voters.sort_unstable();
        wanted.sort_unstable();
        voters == wanted && self.groups[at].members.learners.is_empty()
    }

    fn finish(&mut self, at: usize) {
        if !self.partition(at).is_moving() || !self.has_arrived(at) {
            return;
        }
        self.catalog.apply(Command::FinishMove {
            topic: TOPIC,
            partition: at as u32,
            moved_at: self.operation(at),
        });
        let place = self.partition(at).replicas.clone();
        self.stood[at].push(place);
    }

    /// What is paused stays as it was in the moment of the pause.
    fn check_frozen(&mut self) {
        for at in 0..PARTITIONS {
            match self.catalog.is_paused(self.partition(at)) {
                true => {
                    let group = &self.groups[at];
                    let before = self.frozen.entry(at).or_insert_with(|| group.clone());
                    assert_eq!(before, group, "a paused move goes on");
                }
                false => _ = self.frozen.remove(&at),
            }
        }
    }

    /// Everything goes on until nothing moves any more.
    fn settle(&mut self) {
        for _ in 0..200 {
            for at in 0..PARTITIONS {
                self.take(Step::Pause(at, false));
                self.take(Step::Copy(at, 300));
                self.take(Step::Reconcile(at));
            }
            self.take(Step::Finish);
        }
        assert_eq!(self.catalog.moving().count(), 0, "something never arrives");
        assert!(self.catalog.paused.is_empty());
        assert!((0..PARTITIONS).all(|at| self.has_arrived(at)));
    }
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..PARTITIONS;
    let nodes = prop::sample::subsequence((1..=NODES).collect::<Vec<_>>(), 2..4).prop_shuffle();
    prop_oneof![
        3 => (at.clone(), nodes).prop_map(|(at, nodes)| Step::Move(at, nodes)),
        2 => (at.clone(), any::<bool>()).prop_map(|(at, is_paused)| Step::Pause(at, is_paused)),
        1 => at.clone().prop_map(Step::Cancel),
        1 => at.clone().prop_map(Step::RollBack),
        8 => at.clone().prop_map(Step::Reconcile),
        4 => (at, 1u64..800).prop_map(|(at, entries)| Step::Copy(at, entries)),
        2 => Just(Step::Finish),
    ]
}

proptest! {
    #[test]
    fn moves_arrive_or_go_back_whatever_is_ordered(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.take(step));
        world.settle();
    }
}

#[test]
fn half_an_operation_is_rolled_back_as_a_whole() {
    let mut world = World::new();
    let before: Vec<Vec<NodeId>> = (0..PARTITIONS)
        .map(|at| world.partition(at).replicas.clone())
        .collect();
    let moves = (0..2).map(|at| Move {
        topic: TOPIC,
        partition: at,
        to: Destination::Nodes([4, 5, 3].map(NodeId).to_vec()),
        expected: Expected::At(before[at as usize].clone()),
    });
    let order = Order {
        moves: moves.collect(),
        ..Order::default()
    };
    world.catalog.apply(Command::MoveReplicas(order));
    let operation = world.operation(0);
    // The first partition arrives, the second is half-way: one of its two replicas has been replaced.
    for _ in 0..6 {
        world.take(Step::Copy(0, ENTRIES));
        world.take(Step::Reconcile(0));
    }
    world.take(Step::Finish);
    for _ in 0..3 {
        world.take(Step::Copy(1, ENTRIES));
        world.take(Step::Reconcile(1));
    }
    assert!(!world.partition(0).is_moving());
    assert_eq!(world.groups[1].members.voters.len(), 3);
    assert!(world.groups[1].members.voters.contains(&4));
    world.take(Step::Pause(1, true));
    world.roll_back(operation);
    world.settle();
    for (at, place) in before.iter().enumerate() {
        assert_eq!(world.partition(at).replicas, *place);
    }
    // Nothing of that operation is left to go back.
    let again = world.send(operation, &Destination::Home);
    assert_eq!(again, Outcome::Topics(Vec::new()));
}
