//! One shared, segmented write-ahead log for all groups of a node. It is the Raft log and
//! the Kafka log at once, so a record is written exactly once; to the log itself records are
//! opaque bytes with a few columns.
//!
//! # The way of the data
//!
//! A shard hands [`Task`]s to the [`Writer`], which queues them and never waits. The WAL
//! thread makes one frame of everything that is queued, writes it behind the last one,
//! syncs it, and tells the owner's sink: [`Notice::Durable`] with a [`Row`] per entry. The
//! shard puts the rows into its [`Index`]. Whoever wants to read asks the index for a
//! [`Plan`] and gives it to a [`Reader`] on a thread that may block. What is not durable has
//! no row, so it cannot be read.
//!
//! A full segment is sealed: its rows go to an index file, and the index keeps one span per
//! group. A checkpoint, asked for by the owner, keeps every group as of one log sequence
//! number (LSN). A segment in which nothing is alive as of the checkpoint on disk, and whose
//! last frame the checkpoint covers, is used again once no plan holds it.
//!
//! After a stop, [`open`] takes the groups from the checkpoint, places from the index files,
//! reads newer segments frame by frame, and shows the owner's [`Visitor`] every entry after
//! the checkpoint. [`Recovered::start`] then starts the threads.
//!
//! # Rooms
//!
//! | room | what it knows |
//! |---|---|
//! | `frame`, `segment`, `sealed`, `checkpoint` | the bytes on disk: frames and records, first pages, index files, group states |
//! | `appender` | the WAL thread: frames, syncs, rolls; the only one that appends |
//! | `helper`, `pool`, `defrag`, `rewrite` | the low-priority thread: pre-writing, sealing, checkpoints, recycling, sorted copies, whole or of what their owner leaves |
//! | `ledger` | every group's newest state, and what is alive in which segment |
//! | `index`, `reader`, `window` | the owner's side: rows and spans, plans, blocking reads, memory for them |
//! | `recovery`, `scan` | from files to a ledger and an index; torn ends and damage |
//!
//! # What the owner promises
//!
//! - A group starts with a [`Kind::GroupCreate`] record, and its uid is never used again.
//! - An entry's index is at most one above the group's last; a later record of an index
//!   replaces it and everything above it.
//! - [`Index::reset`], [`Index::trim`] and [`Index::remove`] are called when the records
//!   that say so are durable; rows and segment changes are handed on in the order of the
//!   notices.
//! - After [`Notice::Failed`] the process stops. The kernel may report a lost write only
//!   once, so a retry could acknowledge what is gone.
//! - While [`Stats::disk_full`] is set, repeatable writes are refused: the space that is
//!   left is for trimming, without which nothing is ever freed.
//!
//! # Files
//!
//! `wal/<number>.seg` and `.idx`, `wal/checkpoint`, `wal/sorted/` for defragmented segments,
//! `wal/pool/` for spare ones. Every file in `wal/` has a valid first page: a spare gets its
//! header and a sync before it gets its name.

mod appender;
mod checkpoint;
mod defrag;
mod error;
mod frame;
mod helper;
mod index;
mod io;
mod ledger;
mod limits;
mod notice;
mod options;
mod pool;
mod reader;
mod record;
mod recovery;
mod rewrite;
mod scan;
mod sealed;
mod segment;
mod stats;
mod window;
mod writer;

pub use error::{OpenError, ReadError, Refused, RefusedReason, WalError};
pub use index::{Extent, From, Index, Retention, SealedPiece};
pub use notice::{Notice, SegmentChange};
pub use options::{IoMode, Options};
pub use reader::{Plan, Reader, StoredEntry};
pub use record::{
    Durable, GroupUid, Kind, Record, Row, SELF_CHECKED_PREFIX_BYTES, Task, Trim, flags,
};
#[doc(hidden)]
pub use recovery::fuzz_segment;
pub use recovery::{Recovered, RecoveredGroup, Visitor, open};
pub use rewrite::{Rewrite, RewriteOrder, Rewritten};
pub use sealed::Place;
pub use segment::Segment;
pub use stats::Stats;
pub use writer::Writer;
