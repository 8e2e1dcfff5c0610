//! Whom a fault hits: sets of nodes by number, size or role, and cuts between hosts. Resolved when it is injected.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::seed::Stream;

/// Host 0 is the clients' one; the nodes follow from 1.
pub(crate) const CLIENTS: u32 = 0;

/// An expression over nodes: `leader(any)`, `n2`, `minority & !n1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeSet {
    One,
    All,
    Majority,
    Minority,
    Node(u32),
    Leader(Partition),
    Follower(Partition),
    MetadataLeader,
    Coordinator,
    Not(Box<NodeSet>),
    And(Box<NodeSet>, Box<NodeSet>),
    Or(Box<NodeSet>, Box<NodeSet>),
}

/// A partition by number, or any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Partition {
    Any,
    Number(u32),
}

/// Which directed links between hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Every link.
    Everywhere,
    /// Between these nodes and all other nodes, both ways.
    Isolate(NodeSet),
    /// Between these nodes and everybody, clients included.
    IsolateAll(NodeSet),
    /// Between these nodes and the clients.
    Clients(NodeSet),
    OneWay(End, End),
    /// Two halves, and a node that sees both.
    Bridge(NodeSet),
    Halves,
    /// Every node sees its two neighbours.
    Ring,
}

/// One end of a cut that has a direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Clients,
    Nodes(NodeSet),
}

/// What is known of the cluster at the moment of an injection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) nodes: u32,
    /// Leader of each partition, if it has one.
    pub(crate) leaders: Vec<Option<u32>>,
    pub(crate) metadata_leader: Option<u32>,
    pub(crate) coordinator: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no nodes or cuts")]
pub(crate) struct SelectorFault(String);

impl NodeSet {
    /// Whether it means the same whatever goes on in the cluster.
    pub(crate) fn is_fixed(&self) -> bool {
        match self {
            NodeSet::One
            | NodeSet::All
            | NodeSet::Majority
            | NodeSet::Minority
            | NodeSet::Node(_) => true,
            NodeSet::Leader(_)
            | NodeSet::Follower(_)
            | NodeSet::MetadataLeader
            | NodeSet::Coordinator => false,
            NodeSet::Not(inner) => inner.is_fixed(),
            NodeSet::And(left, right) | NodeSet::Or(left, right) => {
                left.is_fixed() && right.is_fixed()
            }
        }
    }

    /// The nodes it means now; empty where a role has no holder.
    pub(crate) fn resolve(&self, cluster: &Cluster, chance: &mut Stream) -> BTreeSet<u32> {
        let all = || (1..=cluster.nodes).collect::<BTreeSet<u32>>();
        let some = |count: u32, chance: &mut Stream| {
            let mut nodes: Vec<u32> = (1..=cluster.nodes).collect();
            chance.shuffle(&mut nodes);
            nodes.into_iter().take(count as usize).collect()
        };
        match self {
            NodeSet::One => some(1, chance),
            NodeSet::All => all(),
            NodeSet::Majority => some(cluster.nodes / 2 + 1, chance),
            NodeSet::Minority => some((cluster.nodes - 1) / 2, chance),
            NodeSet::Node(node) => all().into_iter().filter(|known| known == node).collect(),
            NodeSet::Leader(partition) => leader(*partition, cluster, chance).into_iter().collect(),
            NodeSet::Follower(partition) => {
                let leader = leader(*partition, cluster, chance);
                let rest: Vec<u32> = all()
                    .into_iter()
                    .filter(|node| Some(*node) != leader)
                    .collect();
                chance.pick(&rest).copied().into_iter().collect()
            }
            NodeSet::MetadataLeader => cluster.metadata_leader.into_iter().collect(),
            NodeSet::Coordinator => cluster.coordinator.into_iter().collect(),
            NodeSet::Not(inner) => {
                let without = inner.resolve(cluster, chance);
                all().difference(&without).copied().collect()
            }
            NodeSet::And(left, right) => {
                let left = left.resolve(cluster, chance);
                left.intersection(&right.resolve(cluster, chance))
                    .copied()
                    .collect()
            }
            NodeSet::Or(left, right) => {
                let left = left.resolve(cluster, chance);
                left.union(&right.resolve(cluster, chance))
                    .copied()
                    .collect()
            }
        }
    }
}

fn leader(partition: Partition, cluster: &Cluster, chance: &mut Stream) -> Option<u32> {
    match partition {
        Partition::Number(number) => cluster.leaders.get(number as usize).copied().flatten(),
        Partition::Any => {
            let leaders: Vec<u32> = cluster.leaders.iter().flatten().copied().collect();
            chance.pick(&leaders).copied()
        }
    }
}

impl Cut {
    /// Whether it means the same whatever goes on in the cluster.
    pub(crate) fn is_fixed(&self) -> bool {
        match self {
            Cut::Everywhere | Cut::Halves | Cut::Ring => true,
            Cut::OneWay(from, to) => from.is_fixed() && to.is_fixed(),
            Cut::Isolate(set) | Cut::IsolateAll(set) | Cut::Clients(set) | Cut::Bridge(set) => {
                set.is_fixed()
            }
        }
    }

    /// The directed links it means now.
    pub(crate) fn resolve(&self, cluster: &Cluster, chance: &mut Stream) -> BTreeSet<(u32, u32)> {
        let nodes = 1..=cluster.nodes;
        let (inside, outside): (BTreeSet<u32>, BTreeSet<u32>) = match self {
            Cut::Everywhere => return links(CLIENTS..=cluster.nodes, CLIENTS..=cluster.nodes),
            Cut::OneWay(from, to) => {
                let from = from.resolve(cluster, chance);
                return links(from, to.resolve(cluster, chance));
            }
            Cut::Bridge(bridge) => {
                return bridge_cut(&bridge.resolve(cluster, chance), cluster, chance);
            }
            Cut::Ring => return ring_cut(cluster, chance),
            Cut::Halves => {
                let half = NodeSet::Minority.resolve(cluster, chance);
                (
                    half.clone(),
                    nodes.filter(|node| !half.contains(node)).collect(),
                )
            }
            Cut::Isolate(set) => {
                let set = set.resolve(cluster, chance);
                (
                    set.clone(),
                    nodes.filter(|node| !set.contains(node)).collect(),
                )
            }
            Cut::IsolateAll(set) => {
                let set = set.resolve(cluster, chance);
                let rest = (CLIENTS..=cluster.nodes).filter(|host| !set.contains(host));
                (set.clone(), rest.collect())
            }
            Cut::Clients(set) => (set.resolve(cluster, chance), BTreeSet::from([CLIENTS])),
        };
        let mut both = links(inside.iter().copied(), outside.iter().copied());
        both.extend(links(outside, inside));
        both
    }
}

fn links(
    from: impl IntoIterator<Item = u32>,
    to: impl IntoIterator<Item = u32> + Clone,
) -> BTreeSet<(u32, u32)> {
    let pairs = from.into_iter().flat_map(|from| {
        let to = to.clone().into_iter();
        to.map(move |to| (from, to)).collect::<Vec<_>>()
    });
    pairs.filter(|(from, to)| from != to).collect()
}

fn bridge_cut(
    bridge: &BTreeSet<u32>,
    cluster: &Cluster,
    chance: &mut Stream,
) -> BTreeSet<(u32, u32)> {
    let mut rest: Vec<u32> = (1..=cluster.nodes)
        .filter(|node| !bridge.contains(node))
        .collect();
    chance.shuffle(&mut rest);
    let (left, right) = rest.split_at(rest.len() / 2);
    let mut cut = links(left.iter().copied(), right.iter().copied());
    cut.extend(links(right.iter().copied(), left.iter().copied()));
    cut
}

fn ring_cut(cluster: &Cluster, chance: &mut Stream) -> BTreeSet<(u32, u32)> {
    let mut ring: Vec<u32> = (1..=cluster.nodes).collect();
    chance.shuffle(&mut ring);
    let count = ring.len();
    let mut cut = BTreeSet::new();
    for (place, node) in ring.iter().enumerate() {
        for (other_place, other) in ring.iter().enumerate() {
            let distance = place.abs_diff(other_place);
            let distance = distance.min(count - distance);
            // With three nodes everybody is a neighbour; then the ring is open at one place.
            let is_open = count == 3 && place + other_place == 1;
            if distance > 1 || is_open {
                cut.insert((*node, *other));
            }
        }
    }
    cut.retain(|(from, to)| from != to);
    cut
}

impl End {
    fn is_fixed(&self) -> bool {
        match self {
            End::Clients => true,
            End::Nodes(nodes) => nodes.is_fixed(),
        }
    }

    fn resolve(&self, cluster: &Cluster, chance: &mut Stream) -> BTreeSet<u32> {
        match self {
            End::Clients => BTreeSet::from([CLIENTS]),
            End::Nodes(nodes) => nodes.resolve(cluster, chance),
        }
    }
}

impl FromStr for End {
    type Err = SelectorFault;

    fn from_str(text: &str) -> Result<Self, SelectorFault> {
        match text.trim() {
            "clients" => Ok(End::Clients),
            nodes => nodes.parse().map(End::Nodes),
        }
    }
}

impl FromStr for NodeSet {
    type Err = SelectorFault;

    fn from_str(text: &str) -> Result<Self, SelectorFault> {
        let refused = || SelectorFault(text.to_owned());
        let mut parser = Parser {
            rest: text,
            depth: 0,
        };
        let set = parser.any_of().ok_or_else(refused)?;
        if parser.rest.trim().is_empty() {
            Ok(set)
        } else {
            Err(refused())
        }
    }
}

impl FromStr for Cut {
    type Err = SelectorFault;

    fn from_str(text: &str) -> Result<Self, SelectorFault> {
        let refused = || SelectorFault(text.to_owned());
        let text = text.trim();
        match text {
            "everywhere" => return Ok(Cut::Everywhere),
            "halves" => return Ok(Cut::Halves),
            "ring" => return Ok(Cut::Ring),
            _ => {}
        }
        let (verb, inner) = text.split_once('(').ok_or_else(refused)?;
        let inner = inner.strip_suffix(')').ok_or_else(refused)?;
        Ok(match verb {
            "isolate" => Cut::Isolate(inner.parse()?),
            "isolate_all" => Cut::IsolateAll(inner.parse()?),
            "clients" => Cut::Clients(inner.parse()?),
            "bridge" => Cut::Bridge(inner.parse()?),
            "one_way" => {
                let (from, to) = inner.split_once(',').ok_or_else(refused)?;
                Cut::OneWay(from.parse()?, to.parse()?)
            }
            _ => return Err(refused()),
        })
    }
}

/// Deeper nesting is a mistake, not a target.
const MAX_DEPTH: u32 = 16;

struct Parser<'a> {
    rest: &'a str,
    depth: u32,
}

impl Parser<'_> {
    fn any_of(&mut self) -> Option<NodeSet> {
        let mut set = self.all_of()?;
        while self.takes('|') {
            set = NodeSet::Or(Box::new(set), Box::new(self.all_of()?));
        }
        Some(set)
    }

    fn all_of(&mut self) -> Option<NodeSet> {
        let mut set = self.single()?;
        while self.takes('&') {
            set = NodeSet::And(Box::new(set), Box::new(self.single()?));
        }
        Some(set)
    }

    fn single(&mut self) -> Option<NodeSet> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        if self.takes('!') {
            return Some(NodeSet::Not(Box::new(self.single()?)));
        }
        if self.takes('(') {
            let inner = self.any_of()?;
            return self.takes(')').then_some(inner);
        }
        let word = self.word();
        match word {
            "one" => Some(NodeSet::One),
            "all" => Some(NodeSet::All),
            "majority" => Some(NodeSet::Majority),
            "minority" => Some(NodeSet::Minority),
            "metadata_leader" => Some(NodeSet::MetadataLeader),
            "coordinator" => Some(NodeSet::Coordinator),
            "leader" => self.partition().map(NodeSet::Leader),
            "follower" => self.partition().map(NodeSet::Follower),
            _ => word.strip_prefix('n')?.parse().ok().map(NodeSet::Node),
        }
    }

    fn partition(&mut self) -> Option<Partition> {
        if !self.takes('(') {
            return None;
        }
        let partition = match self.word() {
            "any" => Partition::Any,
            number => Partition::Number(number.parse().ok()?),
        };
        self.takes(')').then_some(partition)
    }

    fn takes(&mut self, wanted: char) -> bool {
        let trimmed = self.rest.trim_start();
        match trimmed.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> &str {
        let trimmed = self.rest.trim_start();
        let end = trimmed.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let (word, rest) = trimmed.split_at(end.unwrap_or(trimmed.len()));
        self.rest = rest;
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cluster() -> Cluster {
        Cluster {
            nodes: 5,
            leaders: vec![Some(2), None, Some(4)],
            metadata_leader: Some(3),
            coordinator: None,
        }
    }

    fn nodes(text: &str) -> Vec<u32> {
        let set: NodeSet = text.parse().unwrap();
        let found = set.resolve(&cluster(), &mut Stream::new(1, "test"));
        found.into_iter().collect()
    }

    fn cut(text: &str) -> BTreeSet<(u32, u32)> {
        let cut: Cut = text.parse().unwrap();
        cut.resolve(&cluster(), &mut Stream::new(1, "test"))
    }

    #[test]
    fn nodes_are_found_by_number_size_and_role() {
        assert_eq!(nodes("n3"), [3]);
        assert_eq!(nodes("leader(0)"), [2]);
        assert!(nodes("leader(1)").is_empty());
        assert!([2, 4].contains(&nodes("leader(any)")[0]));
        assert_eq!(nodes("all & !(n1 | leader(0))"), [3, 4, 5]);
        assert_eq!(nodes("majority").len(), 3);
        assert_eq!(nodes("minority").len(), 2);
        assert_eq!(nodes("metadata_leader"), [3]);
        assert!(nodes("coordinator").is_empty());
    }

    #[test]
    fn cuts_have_the_links_that_their_names_say() {
        assert_eq!(cut("one_way(n1, n2)"), BTreeSet::from([(1, 2)]));
        assert_eq!(cut("one_way(n1, clients)"), BTreeSet::from([(1, 0)]));
        assert_eq!(cut("clients(n1)"), BTreeSet::from([(0, 1), (1, 0)]));
        assert_eq!(cut("isolate(n1)").len(), 8);
        assert_eq!(cut("isolate_all(n1)").len(), 10);
        assert_eq!(cut("halves").len(), 12);
        // Five nodes: each has two links that are no neighbours, both ways.
        assert_eq!(cut("ring").len(), 10);
        let bridge = cut("bridge(n1)");
        assert!(bridge.iter().all(|(from, to)| *from != 1 && *to != 1));
        assert_eq!(bridge.len(), 8);
        let three = Cluster {
            nodes: 3,
            ..cluster()
        };
        assert_eq!(
            Cut::Ring.resolve(&three, &mut Stream::new(1, "test")).len(),
            2
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "[a-z0-9()!&|, _]{0,60}") {
            let _ = text.parse::<NodeSet>();
            let _ = text.parse::<Cut>();
        }
    }
}
