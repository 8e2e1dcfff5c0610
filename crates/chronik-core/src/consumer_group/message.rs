//! What clients ask of a coordinator and what it answers: Kafka's fields without its encodings.

use bytes::Bytes;

use super::error::GroupError;

/// Names one request until it is answered, exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Join(JoinRequest),
    Sync(SyncRequest),
    Heartbeat(HeartbeatRequest),
    Leave(LeaveRequest),
    CommitOffsets(CommitRequest),
    FetchOffsets(FetchRequest),
    DeleteOffsets(DeleteOffsetsRequest),
    DeleteGroup { group: String },
    Describe { group: String },
    List,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Join(Result<Joined, JoinRefused>),
    Sync(Result<Synced, GroupError>),
    Heartbeat(Result<(), GroupError>),
    Leave(Result<Vec<LeftMember>, GroupError>),
    CommitOffsets(Result<Vec<TopicOutcome>, GroupError>),
    FetchOffsets(Result<Vec<FetchedTopic>, GroupError>),
    DeleteOffsets(Result<Vec<TopicOutcome>, GroupError>),
    DeleteGroup(Result<(), GroupError>),
    Describe(Option<GroupDescription>),
    List(Vec<GroupListing>),
}

/// A way to divide the work, and what the member says about itself for it. The coordinator never looks inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: String,
    pub metadata: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    pub group: String,
    /// Empty on the first join.
    pub member_id: String,
    /// The name of a static member (KIP-345).
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i32,
    /// Before version 1 clients send none: callers pass the session timeout.
    pub rebalance_timeout_ms: i32,
    pub protocol_type: String,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    pub first_join: FirstJoin,
    pub stable_leader: StableLeader,
    /// The random part of a member id, should one be given.
    pub fresh_id: u128,
}

/// How a member without an id gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstJoin {
    /// It joins at once; a client that loses the answer leaves a ghost behind (before version 4).
    Admit,
    /// It is told its id and joins again with it (KIP-394).
    NameFirst,
}

/// What a static leader that comes back to a stable group can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StableLeader {
    /// That it leads, and that it must not assign (version 9, KIP-814).
    SkipsAssignment,
    /// Only the id it had before, so that it does not think it leads.
    IsNotTold,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub leader: String,
    pub member_id: String,
    pub skip_assignment: bool,
    /// Only for the leader, which assigns.
    pub members: Vec<JoinedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub metadata: Bytes,
}

/// A refused join; `member_id` is the one to come back with, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefused {
    pub error: GroupError,
    pub member_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    pub group: String,
    pub member: MemberRef,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    /// From the leader: what each member shall do.
    pub assignments: Vec<(String, Bytes)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub assignment: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatRequest {
    pub group: String,
    pub member: MemberRef,
    pub generation: i32,
}

/// How a member names itself; a static one adds the name it keeps over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberRef {
    pub member_id: String,
    pub instance_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveRequest {
    pub group: String,
    pub members: Vec<MemberRef>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMember {
    pub member: MemberRef,
    pub error: Option<GroupError>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRequest {
    pub group: String,
    pub member: MemberRef,
    /// Negative from a client that does not take part in the group.
    pub generation: i32,
    /// How long the offsets live, for clients that still say so (versions 2 to 4).
    pub retention_ms: Option<u64>,
    pub topics: Vec<CommittedTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedTopic {
    pub topic: String,
    pub partitions: Vec<CommittedPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedPartition {
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
}

/// Per topic and partition, none where it worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicOutcome {
    pub topic: String,
    pub partitions: Vec<(i32, Option<GroupError>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    pub group: String,
    /// None asks for everything the group ever committed.
    pub topics: Option<Vec<(String, Vec<i32>)>>,
    pub stability: Stability,
}

/// Whether an offset may be shown while a newer one is being written (KIP-447).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    Any,
    Required,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    pub topic: String,
    pub partitions: Vec<FetchedPartition>,
}

/// An offset of -1 says that none was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
    pub error: Option<GroupError>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsetsRequest {
    pub group: String,
    pub topics: Vec<(String, Vec<i32>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
    Dead,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    pub group: String,
    pub protocol_type: String,
    pub state: GroupState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    pub group: String,
    pub state: GroupState,
    pub protocol_type: String,
    /// Empty unless the group is stable.
    pub protocol_name: String,
    pub members: Vec<MemberDescription>,
}

/// Metadata and assignment are empty unless the group is stable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDescription {
    pub member: MemberRef,
    pub client_id: String,
    pub client_host: String,
    pub metadata: Bytes,
    pub assignment: Bytes,
}

impl GroupState {
    /// The name that Kafka's tools show and filter by.
    pub fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
            GroupState::Dead => "Dead",
        }
    }
}

impl From<GroupError> for JoinRefused {
    fn from(error: GroupError) -> Self {
        JoinRefused {
            error,
            member_id: String::new(),
        }
    }
}
