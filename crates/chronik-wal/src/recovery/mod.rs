//! From the files of a stopped process to a log that can be started.
//!
//! The checkpoint says what every group was as of some lsn. Sealed segments up to there are
//! known from their index files, the others are read frame by frame; what is newer than the
//! checkpoint is shown to the owner. In the end every group must have all its entries.

mod files;
mod fuzz;
mod replay;
mod start;

use std::io;
use std::path::Path;

use bytes::Bytes;

use crate::checkpoint::Checkpoint;
use crate::error::OpenError;
use crate::index::Index;
use crate::io::{probe_direct, sync_directory};
use crate::ledger::GroupState;
use crate::limits::{BLOCK_BYTES, SEGMENT_MAX_BYTES, SEGMENT_MIN_BYTES};
use crate::options::{IoMode, Options};
use crate::pool::Pool;
use crate::record::{GroupUid, Row, Trim};
use crate::segment::Layout;

use self::files::list_segments;
use self::replay::Replay;
use self::start::Parts;

pub use self::fuzz::fuzz_segment;

/// What the owner of the records contributes to recovery.
pub trait Visitor {
    /// Whether the part of an entry that the log has no checksum for is intact; asked for
    /// records with [`flags::BODY_SELF_CHECKED`](crate::flags::BODY_SELF_CHECKED). The bytes
    /// may be torn by a crash, and sectors may hold what an earlier use of the file left
    /// there: check every checksum, and that every part follows from the row.
    fn verify(&self, group: GroupUid, row: &Row, stored: &[u8]) -> bool;

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
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl RecoveredGroup {
    fn of(uid: GroupUid, state: &GroupState) -> Self {
        let state = state.clone();
        Self {
            uid,
            create: state.create,
            hard_state: state.hard_state,
            conf_state: state.conf_state,
            snapshot: state.snapshot,
            trim: state.trim,
            last_index: state.last_index,
            last_term: state.last_term,
            next_offset: state.next_offset,
            state: state.state,
        }
    }
}

/// A log that was read but does not run yet.
#[derive(Debug)]
pub struct Recovered {
    /// All groups, by uid.
    pub groups: Vec<RecoveredGroup>,
    /// The log sequence number of the checkpoint, 0 if there was none.
    pub checkpoint_lsn: u64,
    /// The last frame that is on disk.
    pub durable_lsn: u64,
    /// Bytes of a torn last frame that were cut.
    pub torn_bytes: u64,
    /// Whether frames will bypass the page cache.
    pub direct_io: bool,
    index: Index,
    parts: Parts,
}

/// Reads the log of `options.dir`, creating it if there is none.
pub fn open(options: Options, visitor: &mut dyn Visitor) -> Result<Recovered, OpenError> {
    check_options(&options)?;
    let layout = Layout::of(&options.dir);
    for directory in [&options.dir, &layout.log, &layout.pool, &layout.sorted] {
        std::fs::create_dir_all(directory)
            .map_err(|source| io_error("create", directory, source))?;
    }
    for directory in [&options.dir, &layout.log] {
        sync_directory(directory).map_err(|source| io_error("sync", directory, source))?;
    }
    let direct = match options.io {
        IoMode::Buffered => false,
        IoMode::Auto => probe_direct(&layout.log),
        IoMode::Direct if probe_direct(&layout.log) => true,
        IoMode::Direct => {
            return Err(OpenError::DirectUnsupported {
                path: layout.log.clone(),
            });
        }
    };
    let checkpoint = Checkpoint::load(&layout.checkpoint())?;
    let (pool, spares) = Pool::open(&layout.pool, options.segment_bytes, options.pool_segments)
        .map_err(|source| io_error("read", &layout.pool, source))?;
    let files = list_segments(&layout, &options)?;
    let mut replay = Replay::begin(direct, checkpoint, visitor);
    replay.replay(files)?;
    let parts = Parts {
        options,
        layout,
        pool,
        spares,
        ledger: replay.ledger,
        unsealed: replay.unsealed,
        next_number: replay.next_number,
        next_sorted: replay.next_sorted,
        jobs: replay.jobs,
        jobs_of_helper: replay.jobs_of_helper,
    };
    let mut groups: Vec<_> = parts
        .ledger
        .states()
        .map(|(uid, state)| RecoveredGroup::of(uid, state))
        .collect();
    groups.sort_by_key(|group| group.uid);
    Ok(Recovered {
        groups,
        checkpoint_lsn: replay.checkpoint_lsn,
        durable_lsn: replay.next_lsn - 1,
        torn_bytes: replay.torn_bytes,
        direct_io: direct,
        index: replay.index,
        parts,
    })
}

fn check_options(options: &Options) -> Result<(), OpenError> {
    let refuse = |option, reason: &str| {
        Err(OpenError::Option {
            option,
            reason: reason.to_owned(),
        })
    };
    let block = BLOCK_BYTES as u64;
    if !options.segment_bytes.is_multiple_of(block)
        || !(SEGMENT_MIN_BYTES..=SEGMENT_MAX_BYTES).contains(&options.segment_bytes)
    {
        return refuse(
            "segment_bytes",
            "it must be a multiple of 4096 between 64 KiB and 2 GiB",
        );
    }
    if !options.frame_max.is_multiple_of(BLOCK_BYTES)
        || options.frame_max < BLOCK_BYTES
        || options.frame_max as u64 > options.segment_bytes - block
    {
        return refuse(
            "frame_max",
            "it must be a multiple of 4096, and 4096 bytes below segment_bytes at most",
        );
    }
    Ok(())
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        operation,
        path: path.to_owned(),
        source,
    }
}

fn corrupt(path: &Path, position: u64, reason: &str) -> OpenError {
    OpenError::Corrupt {
        path: path.to_owned(),
        position,
        reason: reason.to_owned(),
    }
}
