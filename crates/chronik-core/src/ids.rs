//! The words for things that have a name in a cluster.

use std::fmt;

/// A node of the cluster; unique for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// One Raft group in one incarnation: a topic that is deleted and created again gets new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupUid(pub u64);

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

impl TopicId {
    /// What a request carries when it names a topic by name.
    pub const ZERO: TopicId = TopicId([0; 16]);
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
