//! What callers hand over and what they get back, free of any layout on disk.

use bytes::Bytes;

/// One incarnation of a group; never used twice in the life of a node.
pub type GroupUid = u64;

/// What a record means to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// An entry of the group's log. It supersedes the same index and all above it.
    Entry = 1,
    /// The group's vote and term: a blob, the last one wins.
    HardState = 2,
    /// The group's membership: a blob, `index` is the applied index it belongs to.
    ConfState = 3,
    /// A snapshot from a peer: kills every earlier entry, the log continues after
    /// `index`, `term`, `base_offset`.
    SnapshotInstall = 4,
    /// Entries up to `index` are gone; `term` is that entry's term and `base_offset` the
    /// first offset that is kept.
    TrimPrefix = 5,
    /// The group exists from here on, as if trimmed at `index`, `term`, `base_offset`.
    GroupCreate = 6,
    /// The group and all its records are gone for ever.
    GroupDestroy = 7,
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Entry,
            2 => Self::HardState,
            3 => Self::ConfState,
            4 => Self::SnapshotInstall,
            5 => Self::TrimPrefix,
            6 => Self::GroupCreate,
            7 => Self::GroupDestroy,
            _ => return None,
        })
    }
}

/// The first bytes of a stored record that its own checksum covers when the rest of it
/// carries a checksum of its own (a Kafka batch does).
pub const SELF_CHECKED_PREFIX_BYTES: usize = 64;

/// Bits of [`Record::flags`] that the log understands; the others are the caller's.
pub mod flags {
    /// The record's checksum covers its header and the first 64 stored bytes only. The
    /// caller checked the rest at ingest and [`crate::Visitor::verify`] checks it again
    /// in recovery.
    pub const BODY_SELF_CHECKED: u8 = 0x80;
    /// Nothing is stored for the entry any more: a [`crate::Rewrite`] dropped what it held. Its row remains, so that
    /// the log has no gap.
    pub const ERASED: u8 = 0x40;
}

/// One record as its owner hands it over; what is stored is `head ++ body`.
#[derive(Debug, Clone)]
pub struct Record {
    pub kind: Kind,
    pub flags: u8,
    /// Version of the stored bytes, the caller's business.
    pub version: u8,
    pub group: GroupUid,
    pub term: u64,
    pub index: u64,
    pub base_offset: u64,
    pub max_ts: i64,
    /// How many offsets an entry spans: `base_offset + record_count` is the next offset.
    pub record_count: u32,
    pub head: Bytes,
    pub body: Bytes,
}

impl Record {
    /// A record without columns, to be completed by struct update.
    pub fn new(kind: Kind, group: GroupUid, body: Bytes) -> Self {
        Self {
            kind,
            flags: 0,
            version: 0,
            group,
            term: 0,
            index: 0,
            base_offset: 0,
            max_ts: 0,
            record_count: 0,
            head: Bytes::new(),
            body,
        }
    }

    /// Length of what is stored, without the record header.
    pub fn stored_len(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// Records which become durable together. They land in one frame, unless they are longer
/// than `frame_max`: then the order is kept and the token completes with the last part.
#[derive(Debug, Clone)]
pub struct Task<T> {
    pub records: Vec<Record>,
    pub token: T,
}

/// Where an entry landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub index: u64,
    pub base_offset: u64,
    pub max_ts: i64,
    pub term: u64,
    pub segment: u64,
    /// Position of the record header in the segment file.
    pub position: u32,
    /// Length of the stored bytes.
    pub len: u32,
    pub record_count: u32,
    pub flags: u8,
    pub version: u8,
}

impl Row {
    /// The offset after the entry's last record.
    pub fn next_offset(&self) -> u64 {
        self.base_offset + u64::from(self.record_count)
    }

    pub(crate) fn is_erased(&self) -> bool {
        self.flags & flags::ERASED != 0
    }

    /// The same place in the log with nothing stored.
    pub(crate) fn erased(self) -> Self {
        Self {
            max_ts: i64::MIN,
            position: 0,
            len: 0,
            flags: self.flags | flags::ERASED,
            ..self
        }
    }
}

/// A task that is on disk.
#[derive(Debug)]
pub struct Durable<T> {
    pub token: T,
    /// One row per entry of the task, in its order.
    pub rows: Vec<(GroupUid, Row)>,
}

/// The last entry that is gone: its index and term, and the first offset that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trim {
    pub index: u64,
    pub term: u64,
    pub offset: u64,
}
