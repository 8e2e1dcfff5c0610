//! The words for things that have a name in a cluster.

use std::fmt;

/// A node of the cluster; unique for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// One Raft group in one incarnation: a topic that is deleted and created again gets new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupUid(pub u64);

/// A node in one incarnation: what takes part in Raft groups, so that a wiped node is never taken for what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u64);

/// A topic in one incarnation, as clients see it (KIP-516).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

/// A point in time, counted in ticks of the owner's clock since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl GroupUid {
    /// The metadata group: the one group that every node knows before it knows anything else.
    pub const META: GroupUid = GroupUid(1);
    /// Where the uids of partitions begin.
    pub const FIRST_PARTITION: GroupUid = GroupUid(1024);
}

/// From the lowest bit of a replica's number: the node, its incarnation, how often it came back to the group.
const INCARNATION_BITS: u32 = 20;
const TIMES_BITS: u32 = 11;
const _: () = assert!(32 + INCARNATION_BITS + TIMES_BITS < 64);

impl ReplicaId {
    /// Incarnations begin with 1, so no replica is 0, which Raft takes for nobody.
    pub fn new(node: NodeId, incarnation: u64) -> ReplicaId {
        assert!(
            incarnation > 0 && incarnation < 1 << INCARNATION_BITS && node.0 < 1 << 32,
            "a node has as many incarnations as there is room for"
        );
        ReplicaId(incarnation << 32 | node.0)
    }

    /// The number after the node's replica of this group was destroyed so many times: one that comes back has nothing
    /// of what the last one promised.
    #[must_use]
    pub fn again(self, times: u32) -> ReplicaId {
        assert!(
            times < 1 << TIMES_BITS,
            "replicas do not come and go for ever"
        );
        ReplicaId(u64::from(times) << (32 + INCARNATION_BITS) | self.0)
    }

    pub fn node(self) -> NodeId {
        NodeId(self.0 & u64::from(u32::MAX))
    }

    pub fn incarnation(self) -> u64 {
        self.0 >> 32 & ((1 << INCARNATION_BITS) - 1)
    }
}

impl ReplicaId {
    /// How often a replica of its node was destroyed before this one.
    pub fn times(self) -> u32 {
        (self.0 >> (32 + INCARNATION_BITS)) as u32
    }
}

impl TopicId {
    /// What a request carries when it names a topic by name.
    pub const ZERO: TopicId = TopicId([0; 16]);
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node(), self.incarnation())
    }
}

impl fmt::Display for GroupUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            GroupUid::META => f.write_str("meta"),
            GroupUid(uid) => uid.fmt(f),
        }
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
