//! Everything that can go wrong, with the file and the position where it did.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::record::GroupUid;

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    #[error("invalid option {option}: {reason}")]
    Option {
        option: &'static str,
        reason: String,
    },
    #[error("cannot {operation} {}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is damaged at byte {position}: {reason}; restore it or rejoin as a new replica", path.display())]
    Corrupt {
        path: PathBuf,
        position: u64,
        reason: String,
    },
    #[error("{} has format version {found}, this program knows up to {known}: start the newer program", path.display())]
    NewerFormat {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    #[error("{} belongs to another node", path.display())]
    ForeignNode { path: PathBuf },
    #[error("{} was written with segments of {found} bytes, configured are {configured}", path.display())]
    SegmentBytes {
        path: PathBuf,
        found: u64,
        configured: u64,
    },
    #[error("group {group:#x} misses entries {first}..={last}: a segment file is gone or damaged")]
    MissingEntries {
        group: GroupUid,
        first: u64,
        last: u64,
    },
    #[error("{} does not support direct I/O; set the I/O mode to auto or buffered", path.display())]
    DirectUnsupported { path: PathBuf },
}

/// Why a running log stopped. Nothing is acknowledged after one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    #[error("cannot {operation} {} at byte {position} (errno {})", path.display(), source.raw_os_error().unwrap_or(0))]
    Io {
        operation: &'static str,
        path: PathBuf,
        position: u64,
        #[source]
        source: io::Error,
    },
    #[error("record of unknown group {group:#x}: it was never created or already destroyed")]
    UnknownGroup { group: GroupUid },
    #[error("group {group:#x}: index {index} or its offset is beyond 2^62")]
    OutOfRange { group: GroupUid, index: u64 },
    #[error(
        "group {group:#x}: index {index} does not follow {last_index} (trimmed at {trim_index})"
    )]
    Gap {
        group: GroupUid,
        index: u64,
        last_index: u64,
        trim_index: u64,
    },
}

/// Why a plan could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    #[error("cannot read {} at byte {position}", path.display())]
    Io {
        path: PathBuf,
        position: u64,
        #[source]
        source: io::Error,
    },
    #[error("{} is damaged at byte {position}: {reason}", path.display())]
    Corrupt {
        path: PathBuf,
        position: u64,
        reason: &'static str,
    },
}

/// Why tasks were not taken; they come back untouched.
#[derive(thiserror::Error)]
#[error("the log did not take the tasks: {reason}")]
pub struct Refused<V> {
    pub reason: RefusedReason,
    pub returned: V,
}

impl<V> fmt::Debug for Refused<V> {
    /// Without what comes back: that may be megabytes of somebody's data.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Refused")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// See [`Refused`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedReason {
    #[error("its queue is full")]
    Full,
    #[error("a record does not fit into a segment")]
    TooLarge,
    #[error("it has stopped")]
    Stopped,
}
