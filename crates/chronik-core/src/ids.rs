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

impl ReplicaId {
    /// Incarnations begin with 1, so no replica is 0, which Raft takes for nobody.
    pub fn new(node: NodeId, incarnation: u64) -> ReplicaId {
        assert!(
            incarnation > 0 && incarnation < 1 << 31 && node.0 < 1 << 32,
            "a node has as many incarnations as there is room for"
        );
        ReplicaId(incarnation << 32 | node.0)
    }

    pub fn node(self) -> NodeId {
        NodeId(self.0 & u64::from(u32::MAX))
    }

    pub fn incarnation(self) -> u64 {
        self.0 >> 32
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
