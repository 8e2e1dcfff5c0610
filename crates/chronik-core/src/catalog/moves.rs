//! How replicas get from node to node, and nodes out of the cluster, as far as everybody has to agree on it.
//!
//! A move says who shall hold a partition. Its leader changes the members of the group, one step at a time; once they
//! are those that were wanted, the move is finished, and only then do the others destroy what they hold.

use std::sync::Arc;

use super::{
    Catalog, Destination, Expected, Move, Order, Outcome, Partition, Refused, Topic, TopicOutcome,
};
use crate::ids::{NodeId, TopicId};

impl Partition {
    pub fn is_moving(&self) -> bool {
        !self.before.is_empty()
    }

    /// Nodes that are to hold it and did not before.
    pub fn adding(&self) -> Vec<NodeId> {
        match self.is_moving() {
            true => without(&self.replicas, &self.before),
            false => Vec::new(),
        }
    }

    /// Nodes that hold it until the move is finished.
    pub fn removing(&self) -> Vec<NodeId> {
        without(&self.before, &self.replicas)
    }

    /// Everybody who holds it now or is about to, those who shall hold it first.
    pub fn holders(&self) -> Vec<NodeId> {
        let mut holders = self.replicas.clone();
        holders.extend(self.removing());
        holders
    }

    /// Where it goes if the move that is under way is given up.
    pub fn way_back(&self) -> &[NodeId] {
        match self.home.is_empty() {
            true => &self.before,
            false => &self.home,
        }
    }

    /// How often the node's replica of this group was destroyed.
    pub fn times_left(&self, node: NodeId) -> u32 {
        let left = self.left.iter().find(|(other, _)| *other == node);
        left.map_or(0, |(_, times)| *times)
    }
}

impl Move {
    /// It was made for a layout, and is not to meet another one.
    fn is_planned(&self) -> bool {
        self.expected != Expected::Anything
    }
}

impl Catalog {
    /// Whether the moves of an operation stand still.
    pub fn is_paused(&self, partition: &Partition) -> bool {
        partition.is_moving() && self.paused.contains(&partition.moved_at)
    }

    /// Begins moves, marks a node and sets a limit. A plan is one thing: if the layout is another one by now, nothing is
    /// done.
    pub(super) fn move_replicas(&mut self, order: Order) -> Outcome {
        let untouched = self.clone();
        let Order {
            moves,
            mark,
            throttle,
            is_homeless,
        } = order;
        let is_plan = mark.is_some() || moves.iter().any(Move::is_planned);
        if let Some(mark) = mark {
            if !self.nodes.contains_key(&mark.node) {
                return Outcome::Refused(Refused::UnknownNode(mark.node));
            }
            match mark.is_drained {
                true => self.drained.insert(mark.node),
                false => self.drained.remove(&mark.node),
            };
        }
        if let Some(limit) = throttle {
            self.throttle = limit;
        }
        let begun = moves
            .into_iter()
            .map(|wanted| self.begin_move(wanted, is_homeless));
        let outcomes: Vec<TopicOutcome> = begun.collect();
        let refusal = outcomes.iter().find_map(|outcome| match outcome {
            TopicOutcome::Refused(refused) => Some(refused.clone()),
            _ => None,
        });
        match refusal.filter(|_| is_plan) {
            Some(refused) => {
                *self = untouched;
                Outcome::Refused(refused)
            }
            None => {
                self.forget_pauses();
                Outcome::Topics(outcomes)
            }
        }
    }

    fn begin_move(&mut self, wanted: Move, is_homeless: bool) -> TopicOutcome {
        let at = wanted.partition as usize;
        let Some(mut topic) = self.topic_with(wanted.topic, at) else {
            return TopicOutcome::Refused(Refused::UnknownPartition);
        };
        let replicas = match self.destination(&topic, wanted) {
            Ok(replicas) => replicas,
            Err(refused) => return TopicOutcome::Refused(refused),
        };
        let version = self.version;
        let partition = &mut topic.partitions[at];
        if is_homeless {
            partition.home.clear();
        } else if !partition.is_moving() {
            partition.home.clone_from(&partition.replicas);
        }
        // Whoever may have begun a replica for a move that is given up has to destroy it.
        let mut before = std::mem::take(&mut partition.before);
        let added = without(&partition.replicas, &before);
        before.extend(added);
        partition.before = before;
        partition.replicas = replicas;
        partition.moved_at = version;
        TopicOutcome::Moved(self.put(topic))
    }

    pub(super) fn set_throttle(
        &mut self,
        limit: Option<u64>,
        expected: Option<Option<u64>>,
    ) -> Outcome {
        if expected.is_some_and(|expected| expected != self.throttle) {
            return Outcome::Refused(Refused::OtherThrottle);
        }
        self.throttle = limit;
        Outcome::Done
    }

    /// The moves of an operation stand still or go on, as long as one of them is under way.
    pub(super) fn pause_moves(&mut self, operation: u64, is_paused: bool) -> Outcome {
        if !self.is_under_way(operation) {
            return Outcome::Refused(Refused::NoOperation(operation));
        }
        match is_paused {
            true => self.paused.insert(operation),
            false => self.paused.remove(&operation),
        };
        Outcome::Done
    }

    /// Nothing is left of some operations that could stand still.
    pub(super) fn forget_pauses(&mut self) {
        let paused = self.paused.iter().copied();
        let over: Vec<u64> = paused.filter(|id| !self.is_under_way(*id)).collect();
        over.iter().for_each(|id| _ = self.paused.remove(id));
    }

    fn is_under_way(&self, operation: u64) -> bool {
        let is_part = |partition: &Partition| partition.moved_at == operation;
        self.moving().any(|(_, _, partition)| is_part(partition))
    }

    /// The members of the group are those that the move of that version wanted.
    pub(super) fn finish_move(&mut self, id: TopicId, number: u32, moved_at: u64) -> TopicOutcome {
        let at = number as usize;
        let Some(mut topic) = self.topic_with(id, at) else {
            return TopicOutcome::Refused(Refused::UnknownPartition);
        };
        let partition = &mut topic.partitions[at];
        if !partition.is_moving() || partition.moved_at != moved_at {
            return TopicOutcome::Refused(Refused::NoMove);
        }
        for node in partition.removing() {
            match partition.left.iter_mut().find(|(other, _)| *other == node) {
                Some((_, times)) => *times += 1,
                None => partition.left.push((node, 1)),
            }
        }
        partition.before.clear();
        let moved = self.put(topic);
        self.forget_pauses();
        TopicOutcome::Moved(moved)
    }

    /// A node leaves for good. If it votes in the metadata group, another one does from now on.
    pub(super) fn remove_node(&mut self, node: NodeId) -> Outcome {
        if !self.nodes.contains_key(&node) {
            return Outcome::Refused(Refused::UnknownNode(node));
        }
        let topics = self.topics.values();
        let holds = |partition: &&Partition| {
            partition.replicas.contains(&node) || partition.before.contains(&node)
        };
        let partitions = topics
            .flat_map(|topic| &topic.partitions)
            .filter(holds)
            .count();
        if partitions > 0 {
            return Outcome::Refused(Refused::StillHolds { node, partitions });
        }
        self.nodes.remove(&node);
        self.drained.remove(&node);
        if let Some(life) = self.lives.get_mut(&node) {
            life.has_ended = true;
        }
        if let Some(place) = self.meta_voters.iter().position(|voter| *voter == node) {
            let votes = |other: &&NodeId| self.meta_voters.contains(other);
            match self.nodes.keys().find(|other| !votes(other)).copied() {
                Some(other) => self.meta_voters[place] = other,
                None => _ = self.meta_voters.remove(place),
            }
        }
        Outcome::Done
    }

    /// The leader of the metadata group takes it there, one step at a time.
    pub(super) fn set_meta_voters(&mut self, present: &[NodeId], wanted: Vec<NodeId>) -> Outcome {
        if self.meta_voters != present {
            return Outcome::Refused(Refused::OtherVoters);
        }
        if !self.can_hold(&wanted) {
            return Outcome::Refused(Refused::Placement);
        }
        self.meta_voters = wanted;
        Outcome::Done
    }

    /// The first of these nodes that is to be without replicas.
    pub(super) fn drained_among<'a>(
        &self,
        mut nodes: impl Iterator<Item = &'a NodeId>,
    ) -> Option<NodeId> {
        nodes.find(|node| self.drained.contains(*node)).copied()
    }

    /// Where a partition goes, if it is where it is expected.
    fn destination(&self, topic: &Topic, wanted: Move) -> Result<Vec<NodeId>, Refused> {
        let partition = &topic.partitions[wanted.partition as usize];
        let (name, number) = (topic.name.clone(), wanted.partition);
        match wanted.expected {
            Expected::At(_) if partition.is_moving() => {
                return Err(Refused::MovesAlready {
                    topic: name,
                    partition: number,
                });
            }
            Expected::At(nodes) if nodes != partition.replicas => {
                return Err(Refused::Elsewhere {
                    topic: name,
                    partition: number,
                });
            }
            Expected::Moving { since } if since != partition.moved_at => {
                return Err(Refused::NoMove);
            }
            _ => {}
        }
        let replicas = match (wanted.to, partition.is_moving()) {
            (Destination::Nodes(nodes), _) => nodes,
            // Back to where it was, whatever has become of the nodes.
            (Destination::Back | Destination::Home, true) => {
                return Ok(partition.way_back().to_vec());
            }
            (Destination::Back, false) => return Err(Refused::NoMove),
            (Destination::Home, false) if partition.home.is_empty() => {
                return Err(Refused::NoHome {
                    topic: name,
                    partition: number,
                });
            }
            (Destination::Home, false) => partition.home.clone(),
        };
        if !self.can_hold(&replicas) {
            return Err(Refused::Placement);
        }
        match self.drained_among(without(&replicas, &partition.holders()).iter()) {
            Some(node) => Err(Refused::Drained(node)),
            None => Ok(replicas),
        }
    }

    fn can_hold(&self, replicas: &[NodeId]) -> bool {
        let is_new = |at: usize| !replicas[..at].contains(&replicas[at]);
        !replicas.is_empty()
            && (0..replicas.len()).all(is_new)
            && replicas.iter().all(|node| self.nodes.contains_key(node))
    }

    fn topic_with(&self, id: TopicId, partition: usize) -> Option<Topic> {
        let topic = self.topic_by_id(id)?;
        (partition < topic.partitions.len()).then(|| (**topic).clone())
    }

    fn put(&mut self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        self.topics.insert(topic.name.clone(), topic.clone());
        topic
    }
}

/// Those of `nodes` that are not among `others`.
fn without(nodes: &[NodeId], others: &[NodeId]) -> Vec<NodeId> {
    let is_left = |node: &&NodeId| !others.contains(node);
    nodes.iter().filter(is_left).copied().collect()
}
