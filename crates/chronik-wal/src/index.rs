//! Where every live entry is: rows in memory for young segments, one span per group and
//! segment for sealed ones. It is owned by one thread and has no lock.

use crate::notice::SegmentChange;
use crate::reader::Plan;
use crate::record::{GroupUid, Row, Trim};

/// See the module.
#[derive(Debug, Default)]
pub struct Index {}

/// Where a plan starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The first entry that ends after this offset.
    Offset(u64),
    /// The entry of this log index.
    Index(u64),
}

/// What a group's log holds: entries `first_index..=last_index`, offsets
/// `first_offset..next_offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub first_index: u64,
    pub last_index: u64,
    pub first_offset: u64,
    pub next_offset: u64,
}

/// What retention keeps; `None` keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Keep at least this many stored bytes.
    pub bytes: Option<u64>,
    /// Entries whose newest record is older than this may go.
    pub oldest_ts: Option<i64>,
    /// Never trim above this index (the commit index).
    pub limit_index: u64,
}

impl Index {
    /// Starts the log of a new group, or restarts it after an installed snapshot.
    pub fn reset(&mut self, _group: GroupUid, _trim: Trim) {
        unimplemented!()
    }

    /// Adds a durable entry; it supersedes rows of the same and higher indexes.
    pub fn insert(&mut self, _group: GroupUid, _row: Row) {
        unimplemented!()
    }

    /// Follows a change of the set of segments.
    pub fn apply(&mut self, _change: SegmentChange) {
        unimplemented!()
    }

    /// Forgets the entries up to `trim.index`.
    pub fn trim(&mut self, _group: GroupUid, _trim: Trim) {
        unimplemented!()
    }

    /// Forgets a destroyed group.
    pub fn remove(&mut self, _group: GroupUid) {
        unimplemented!()
    }

    /// What the group's log holds; `None` for an unknown group.
    pub fn extent(&self, _group: GroupUid) -> Option<Extent> {
        unimplemented!()
    }

    /// The row of an entry that is in a young segment.
    pub fn row(&self, _group: GroupUid, _index: u64) -> Option<Row> {
        unimplemented!()
    }

    /// Entries from `from` on, about `max_bytes` of them but at least one if there is one.
    pub fn plan(&self, _group: GroupUid, _from: From, _max_bytes: usize) -> Plan {
        unimplemented!()
    }

    /// The first entry that has a record at or after `ts`.
    pub fn first_at_or_after_timestamp(&self, _group: GroupUid, _ts: i64) -> Option<Plan> {
        unimplemented!()
    }

    /// The largest timestamp of the group's live entries; its entry is the answer of
    /// [`Index::first_at_or_after_timestamp`] for it.
    pub fn max_timestamp(&self, _group: GroupUid) -> Option<i64> {
        unimplemented!()
    }

    /// Stored bytes of the group's live entries.
    pub fn bytes(&self, _group: GroupUid) -> u64 {
        unimplemented!()
    }

    /// The trim point that satisfies `retention`, if it is above the present one. Young
    /// segments are cut at any entry, sealed ones where a segment ends.
    pub fn offset_to_keep(&self, _group: GroupUid, _retention: Retention) -> Option<Trim> {
        unimplemented!()
    }
}
