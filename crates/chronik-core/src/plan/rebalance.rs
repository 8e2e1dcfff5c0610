//! Which replicas should be elsewhere, and who should lead: as few moves as possible, the same for the same layout.
//!
//! A replica that moves is copied, so plans move only what a goal needs. Who leads is the order of the replicas alone,
//! and costs nothing but an election.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::catalog::Catalog;
use crate::ids::{GroupUid, NodeId};

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Every node holds its share, and leads its share.
    Balance,
    /// Every node leads its share; nothing is copied.
    Leaders,
    /// A node holds nothing any more.
    Drain(NodeId),
    /// A node that holds too little gets its share; nothing else moves.
    Fill(NodeId),
}

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Nodes that may get replicas, with their racks.
    pub nodes: BTreeMap<NodeId, Option<String>>,
    pub partitions: Vec<Placed>,
}

/// A partition and the nodes that hold it, the preferred leader first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub group: GroupUid,
    /// Partitions of one topic are kept apart where that costs nothing.
    pub topic: usize,
    pub replicas: Vec<NodeId>,
    /// It moves already: it counts as being where it goes, and stays out of the plan.
    pub is_moving: bool,
}

/// A partition that other nodes should hold, or another one should lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub group: GroupUid,
    pub from: Vec<NodeId>,
    pub to: Vec<NodeId>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    #[error("there is no node {0} that could hold replicas")]
    UnknownNode(NodeId),
    #[error(
        "{partitions} partitions need a replica on node {node}: no other node that answers is free for them"
    )]
    NoRoom { node: NodeId, partitions: usize },
    #[error(
        "{partitions} partitions of node {node} move already: they have to arrive or be cancelled first"
    )]
    Moving { node: NodeId, partitions: usize },
}

impl Change {
    /// Replicas that have to be copied.
    pub fn copies(&self) -> usize {
        let is_new = |node: &&NodeId| !self.from.contains(node);
        self.to.iter().filter(is_new).count()
    }
}

impl Layout {
    /// What the catalog says, on the nodes that may get something.
    pub fn of(catalog: &Catalog, may_get: impl Fn(NodeId) -> bool) -> Layout {
        let nodes = catalog.nodes.values().filter(|node| may_get(node.id));
        let topics = catalog.topics.values().enumerate();
        let partitions = topics.flat_map(|(topic, known)| {
            known.partitions.iter().map(move |partition| Placed {
                group: partition.group,
                topic,
                replicas: partition.replicas.clone(),
                is_moving: partition.is_moving(),
            })
        });
        Layout {
            nodes: nodes.map(|node| (node.id, node.rack.clone())).collect(),
            partitions: partitions.collect(),
        }
    }

    /// How many replicas each node holds, and how many partitions it should lead.
    pub fn shares(&self) -> BTreeMap<NodeId, (usize, usize)> {
        let mut shares: BTreeMap<NodeId, (usize, usize)> =
            self.nodes.keys().map(|node| (*node, (0, 0))).collect();
        for placed in &self.partitions {
            for (position, node) in placed.replicas.iter().enumerate() {
                let share = shares.entry(*node).or_default();
                share.0 += 1;
                share.1 += usize::from(position == 0);
            }
        }
        shares
    }

    /// The layout once all changes are done.
    #[must_use]
    pub fn after(&self, changes: &[Change]) -> Layout {
        let wanted: BTreeMap<GroupUid, &Change> = changes
            .iter()
            .map(|change| (change.group, change))
            .collect();
        let mut layout = self.clone();
        for placed in &mut layout.partitions {
            if let Some(change) = wanted.get(&placed.group) {
                placed.replicas = change.to.clone();
            }
        }
        layout
    }
}

/// The changes that reach a goal, in the order of the partitions.
pub fn plan(layout: &Layout, goal: Goal) -> Result<Vec<Change>, Impossible> {
    let mut draft = Draft::new(layout);
    match goal {
        Goal::Balance => {
            draft.spread_over_racks();
            draft.even_out(|_| true);
            draft.even_out_leaders();
        }
        Goal::Leaders => draft.even_out_leaders(),
        Goal::Drain(node) => draft.empty(node)?,
        Goal::Fill(node) => {
            if !layout.nodes.contains_key(&node) {
                return Err(Impossible::UnknownNode(node));
            }
            draft.even_out(|target| target == node);
            draft.even_out_leaders();
        }
    }
    Ok(draft.changes(layout))
}

/// A layout that changes, with the figures that decide what is next.
struct Draft<'a> {
    nodes: &'a BTreeMap<NodeId, Option<String>>,
    partitions: Vec<Placed>,
    holds: BTreeMap<NodeId, usize>,
    /// Replicas of a topic on a node.
    of_topic: BTreeMap<(usize, NodeId), usize>,
}

impl<'a> Draft<'a> {
    fn new(layout: &'a Layout) -> Draft<'a> {
        let mut draft = Draft {
            nodes: &layout.nodes,
            partitions: layout.partitions.clone(),
            holds: layout.nodes.keys().map(|node| (*node, 0)).collect(),
            of_topic: BTreeMap::new(),
        };
        for placed in &layout.partitions {
            for node in &placed.replicas {
                *draft.holds.entry(*node).or_default() += 1;
                *draft.of_topic.entry((placed.topic, *node)).or_default() += 1;
            }
        }
        draft
    }

    /// Replicas that share a rack go to one that has none, as long as there is one.
    fn spread_over_racks(&mut self) {
        for at in 0..self.partitions.len() {
            while let Some((source, target)) = self.rack_repair(at) {
                self.replace(at, source, target);
            }
        }
    }

    fn rack_repair(&self, at: usize) -> Option<(NodeId, NodeId)> {
        let placed = &self.partitions[at];
        if placed.is_moving {
            return None;
        }
        let racks = self.racks(&placed.replicas);
        let holders = placed.replicas.iter().rev();
        let mut shared = holders.filter(|node| {
            let others: Vec<NodeId> = without(&placed.replicas, **node);
            self.is_there(**node) && self.racks(&others) == racks
        });
        let source = shared.next()?;
        let better = |target: &NodeId| {
            let mut replicas = without(&placed.replicas, *source);
            replicas.push(*target);
            self.racks(&replicas) > racks
        };
        let target = self
            .free(at)
            .filter(better)
            .min_by_key(|node| self.load(*node))?;
        Some((*source, target))
    }

    /// From the fullest to the emptiest, until no node holds two more than another that could take one.
    fn even_out(&mut self, is_target: impl Fn(NodeId) -> bool) {
        while let Some((at, source, target)) = self.next_even(&is_target) {
            self.replace(at, source, target);
        }
    }

    fn next_even(&self, is_target: &impl Fn(NodeId) -> bool) -> Option<(usize, NodeId, NodeId)> {
        let mut targets: Vec<NodeId> = self.nodes.keys().copied().collect();
        targets.retain(|node| is_target(*node));
        targets.sort_by_key(|node| self.load(*node));
        let mut sources: Vec<NodeId> = self.nodes.keys().copied().collect();
        sources.sort_by_key(|node| (usize::MAX - self.holds[node], *node));
        let pairs = sources.iter().flat_map(|source| {
            let targets = targets.iter();
            targets.map(move |target| (*source, *target))
        });
        // A difference of one may be kept: moving it would only turn it around.
        let mut uneven: Vec<(NodeId, NodeId)> = pairs
            .filter(|(source, target)| self.holds[source] >= self.holds[target] + 2)
            .collect();
        uneven
            .sort_by_key(|(source, target)| usize::MAX - (self.holds[source] - self.holds[target]));
        uneven.into_iter().find_map(|(source, target)| {
            let at = self.best_to_move(source, target)?;
            Some((at, source, target))
        })
    }

    /// The partition that goes from one node to another at the least harm: its topic crowds the source most, and its
    /// leader stays.
    fn best_to_move(&self, source: NodeId, target: NodeId) -> Option<usize> {
        let crowds = |topic: usize, node: NodeId| {
            let count = self.of_topic.get(&(topic, node)).copied().unwrap_or(0);
            i64::try_from(count).unwrap_or(i64::MAX)
        };
        let may_move = |placed: &Placed| {
            let replicas = &placed.replicas;
            let mut after = without(replicas, source);
            after.push(target);
            !placed.is_moving
                && replicas.contains(&source)
                && !replicas.contains(&target)
                && self.racks(&after) >= self.racks(replicas)
        };
        let movable = self.partitions.iter().enumerate();
        let movable = movable.filter(|(_, placed)| may_move(placed));
        let best = movable.min_by_key(|(at, placed)| {
            let relief = crowds(placed.topic, source) - crowds(placed.topic, target);
            (-relief, placed.replicas[0] == source, *at)
        });
        best.map(|(at, _)| at)
    }

    fn empty(&mut self, node: NodeId) -> Result<(), Impossible> {
        let holds = |placed: &Placed| placed.replicas.contains(&node);
        let held: Vec<usize> = (0..self.partitions.len())
            .filter(|at| holds(&self.partitions[*at]))
            .collect();
        let moving = held.iter().filter(|at| self.partitions[**at].is_moving);
        let moving = moving.count();
        if moving > 0 {
            return Err(Impossible::Moving {
                node,
                partitions: moving,
            });
        }
        let mut homeless = 0;
        for at in held {
            match self.new_home(at, node) {
                Some(target) => self.replace(at, node, target),
                None => homeless += 1,
            }
        }
        match homeless {
            0 => Ok(()),
            partitions => Err(Impossible::NoRoom { node, partitions }),
        }
    }

    fn new_home(&self, at: usize, leaves: NodeId) -> Option<NodeId> {
        let placed = &self.partitions[at];
        let racks_with = |target: NodeId| {
            let mut replicas = without(&placed.replicas, leaves);
            replicas.push(target);
            self.racks(&replicas)
        };
        let free = self.free(at).filter(|target| *target != leaves);
        free.min_by_key(|target| (usize::MAX - racks_with(*target), self.load(*target)))
    }

    /// Leading goes from the node that leads most to one that leads two less, if need be by others in between.
    fn even_out_leaders(&mut self) {
        while let Some(path) = self.leader_path() {
            for (at, next) in path {
                let replicas = &mut self.partitions[at].replicas;
                let position = replicas.iter().position(|node| *node == next);
                replicas.swap(0, position.expect("it holds a replica"));
            }
        }
    }

    fn leader_path(&self) -> Option<Vec<(usize, NodeId)>> {
        let mut leads: BTreeMap<NodeId, usize> = self.nodes.keys().map(|node| (*node, 0)).collect();
        for placed in &self.partitions {
            if let Some(count) = placed.replicas.first().and_then(|node| leads.get_mut(node)) {
                *count += 1;
            }
        }
        let mut sources: Vec<NodeId> = leads.keys().copied().collect();
        sources.sort_by_key(|node| (usize::MAX - leads[node], *node));
        let edges = self.leader_edges();
        sources.into_iter().find_map(|source| {
            let is_end = |node: NodeId| leads[&node] + 2 <= leads[&source];
            shortest(&edges, source, is_end)
        })
    }

    /// For each node that leads and each that could instead, one partition with which it would be so.
    fn leader_edges(&self) -> BTreeMap<NodeId, BTreeMap<NodeId, usize>> {
        let mut edges: BTreeMap<NodeId, BTreeMap<NodeId, usize>> = BTreeMap::new();
        for (at, placed) in self.partitions.iter().enumerate() {
            let Some((leader, others)) = placed.replicas.split_first() else {
                continue;
            };
            let others = others.iter().filter(|node| self.is_there(**node));
            for other in others.filter(|_| !placed.is_moving) {
                let from = edges.entry(*leader).or_default();
                from.entry(*other).or_insert(at);
            }
        }
        edges
    }

    fn replace(&mut self, at: usize, source: NodeId, target: NodeId) {
        let placed = &mut self.partitions[at];
        let position = placed.replicas.iter().position(|node| *node == source);
        placed.replicas[position.expect("it holds a replica")] = target;
        let topic = placed.topic;
        *self.holds.entry(source).or_default() -= 1;
        *self.holds.entry(target).or_default() += 1;
        *self.of_topic.entry((topic, source)).or_default() -= 1;
        *self.of_topic.entry((topic, target)).or_default() += 1;
    }

    /// Nodes that could take a replica of a partition.
    fn free(&self, at: usize) -> impl Iterator<Item = NodeId> + '_ {
        let replicas = &self.partitions[at].replicas;
        let nodes = self.nodes.keys().copied();
        nodes.filter(|node| !replicas.contains(node))
    }

    fn load(&self, node: NodeId) -> (usize, NodeId) {
        (self.holds.get(&node).copied().unwrap_or(0), node)
    }

    fn is_there(&self, node: NodeId) -> bool {
        self.nodes.contains_key(&node)
    }

    /// How many failure domains hold something: each rack is one, and each node that is in none.
    fn racks(&self, replicas: &[NodeId]) -> usize {
        let mut racks = BTreeSet::new();
        let mut alone = 0;
        for node in replicas {
            match self.nodes.get(node).and_then(Option::as_deref) {
                Some(rack) => _ = racks.insert(rack),
                None => alone += 1,
            }
        }
        racks.len() + alone
    }

    fn changes(self, layout: &Layout) -> Vec<Change> {
        let pairs = layout.partitions.iter().zip(self.partitions);
        let changed = pairs.filter(|(before, after)| before.replicas != after.replicas);
        changed
            .map(|(before, after)| Change {
                group: before.group,
                from: before.replicas.clone(),
                to: after.replicas,
            })
            .collect()
    }
}

/// The partitions whose leaders change, and to whom, on the shortest way from `source` to an end.
fn shortest(
    edges: &BTreeMap<NodeId, BTreeMap<NodeId, usize>>,
    source: NodeId,
    is_end: impl Fn(NodeId) -> bool,
) -> Option<Vec<(usize, NodeId)>> {
    let mut came_from: BTreeMap<NodeId, (NodeId, usize)> = BTreeMap::new();
    let mut queue = VecDeque::from([source]);
    while let Some(node) = queue.pop_front() {
        if node != source && is_end(node) {
            let mut path = Vec::new();
            let mut at = node;
            while at != source {
                let (before, partition) = came_from[&at];
                path.push((partition, at));
                at = before;
            }
            return Some(path);
        }
        for (next, partition) in edges.get(&node).into_iter().flatten() {
            if *next != source && !came_from.contains_key(next) {
                came_from.insert(*next, (node, *partition));
                queue.push_back(*next);
            }
        }
    }
    None
}

fn without(replicas: &[NodeId], node: NodeId) -> Vec<NodeId> {
    let others = replicas.iter().copied();
    others.filter(|other| *other != node).collect()
}
