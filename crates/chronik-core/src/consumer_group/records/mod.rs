//! The records of `__consumer_offsets`, in the format every Kafka tool reads.

use bytes::Bytes;

mod codec;
#[cfg(test)]
mod tests;

/// The longest text a record can hold: its length is a positive i16.
pub const TEXT_BYTES_MAX: usize = i16::MAX as usize;

/// One fact about a group, or with no value the end of that fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Offset {
        key: OffsetKey,
        value: Option<OffsetValue>,
    },
    Group {
        group: String,
        value: Option<GroupMetadata>,
    },
}

/// A record as the log keeps it; without a value it is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetKey {
    pub group: String,
    pub topic: String,
    pub partition: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetValue {
    pub offset: i64,
    /// -1 if the client did not know it.
    pub leader_epoch: i32,
    pub metadata: String,
    pub committed_at_ms: i64,
    /// Only for clients that say how long an offset shall live.
    pub expires_at_ms: Option<i64>,
}

/// A generation with its members; without members, the last generation of an empty group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    pub protocol_type: String,
    pub generation: i32,
    pub protocol_name: Option<String>,
    pub leader: Option<String>,
    pub state_since_ms: i64,
    pub members: Vec<MemberMetadata>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// Why bytes are not a record of this topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("{needed} bytes were needed, {left} are left")]
    Short { needed: usize, left: usize },
    #[error("a length of {0} is not valid here")]
    Length(i32),
    #[error("a text is not UTF-8")]
    NotText,
    #[error("{what} version {version} is unknown")]
    Version { what: &'static str, version: i16 },
    #[error("{0} bytes follow the end")]
    Trailing(usize),
}

impl Record {
    pub fn encode(&self) -> RawRecord {
        match self {
            Record::Offset { key, value } => RawRecord {
                key: codec::offset_key(key),
                value: value.as_ref().map(codec::offset_value),
            },
            Record::Group { group, value } => RawRecord {
                key: codec::group_key(group),
                value: value.as_ref().map(codec::group_value),
            },
        }
    }

    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Record, RecordError> {
        match codec::read_key(key)? {
            codec::Key::Offset(key) => Ok(Record::Offset {
                key,
                value: value.map(codec::read_offset_value).transpose()?,
            }),
            codec::Key::Group(group) => Ok(Record::Group {
                group,
                value: value.map(codec::read_group_value).transpose()?,
            }),
        }
    }
}
