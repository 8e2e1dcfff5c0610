//! From the files of a stopped process to a log that can be started.

use bytes::Bytes;

use crate::error::OpenError;
use crate::index::Index;
use crate::notice::Notice;
use crate::options::Options;
use crate::reader::Reader;
use crate::record::{GroupUid, Row, Trim};
use crate::writer::Writer;

/// What the owner of the records contributes to recovery.
pub trait Visitor {
    /// Whether the rest of a record whose header says
    /// [`flags::BODY_SELF_CHECKED`](crate::flags::BODY_SELF_CHECKED) is intact. It may be
    /// given bytes torn by a crash and must not panic.
    fn verify(&self, stored: &[u8]) -> bool;

    /// A group as the checkpoint has it, before any entry is shown.
    fn checkpointed(&mut self, group: &RecoveredGroup) {
        let _ = group;
    }

    /// A snapshot that was installed after the checkpoint: it kills the group's entries
    /// seen so far.
    fn installed(&mut self, group: GroupUid, trim: Trim, stored: &[u8]) {
        let _ = (group, trim, stored);
    }

    /// An entry after the checkpoint, in the order of writing; a later one of the same
    /// index replaces it and all above it. A refusal becomes an error with its position.
    fn entry(&mut self, group: GroupUid, row: &Row, stored: &[u8]) -> Result<(), String>;
}

/// A group as recovery found it.
#[derive(Debug, Clone)]
pub struct RecoveredGroup {
    pub uid: GroupUid,
    /// Body of its `GroupCreate`.
    pub create: Bytes,
    pub hard_state: Option<Bytes>,
    /// Applied index and body of its newest `ConfState`.
    pub conf_state: Option<(u64, Bytes)>,
    /// Body of the newest `SnapshotInstall`, until a checkpoint carries a newer state.
    pub snapshot: Option<Bytes>,
    pub trim: Trim,
    pub last_index: u64,
    pub last_term: u64,
    pub next_offset: u64,
    /// The caller's blob, exactly as of the checkpoint.
    pub state: Option<Bytes>,
}

/// A log that was read but does not run yet.
#[derive(Debug)]
pub struct Recovered {
    pub groups: Vec<RecoveredGroup>,
    pub index: Index,
    /// The log sequence number of the checkpoint, 0 if there was none.
    pub checkpoint_lsn: u64,
    /// The last frame that is on disk.
    pub durable_lsn: u64,
    /// Bytes of a torn last frame that were cut.
    pub torn_bytes: u64,
    /// Whether frames will bypass the page cache.
    pub direct_io: bool,
}

/// Reads the log of `options.dir`, creating it if there is none.
pub fn open(_options: Options, _visitor: &mut dyn Visitor) -> Result<Recovered, OpenError> {
    unimplemented!()
}

impl Recovered {
    /// Starts the threads. `sink` is called on the WAL thread and must not block.
    pub fn start<T, S>(self, _sink: S) -> Result<(Writer<T>, Reader, Index), OpenError>
    where
        T: Send + std::fmt::Debug + 'static,
        S: FnMut(Notice<T>) + Send + 'static,
    {
        unimplemented!()
    }
}
