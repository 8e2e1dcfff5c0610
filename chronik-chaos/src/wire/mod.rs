//! A minimal Kafka client that retries nothing: what it sends is on the wire once, and what became of it is told.

mod batch;
mod codec;
mod connection;
mod groups;
mod messages;

pub(crate) use batch::Sequence;
pub(crate) use connection::{CallFailed, Connection};
pub(crate) use groups::{
    Joined, commit_offsets, committed_offsets, decode_assignment, encode_assignment,
    find_coordinator, heartbeat, join_group, leave_group, sync_group,
};
pub(crate) use messages::{
    EARLIEST, Fetched, LATEST, Metadata, PartitionView, ProduceAnswer, create_topic, delete_topic,
    fetch, init_producer_id, list_offsets, metadata, produce,
};

/// Error codes that the clients act on; all others are only recorded.
pub(crate) mod error_code {
    pub(crate) const NONE: i16 = 0;
    pub(crate) const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub(crate) const ILLEGAL_GENERATION: i16 = 22;
    pub(crate) const UNKNOWN_MEMBER_ID: i16 = 25;
    pub(crate) const REBALANCE_IN_PROGRESS: i16 = 27;
    pub(crate) const TOPIC_ALREADY_EXISTS: i16 = 36;
    pub(crate) const MEMBER_ID_REQUIRED: i16 = 79;
}
