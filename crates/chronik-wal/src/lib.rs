//! One shared, segmented write-ahead log for all groups of a node. It is the Raft log and
//! the Kafka log at once, so a record is written exactly once; to the log itself records are
//! opaque bytes with a few columns.

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
mod scan;
mod sealed;
mod segment;
mod stats;
mod writer;

pub use error::{OpenError, ReadError, Refused, RefusedReason, WalError};
pub use index::{Extent, From, Index, Retention};
pub use notice::{Notice, SegmentChange};
pub use options::{IoMode, Options};
pub use reader::{Plan, Reader, StoredEntry};
pub use record::{
    Durable, GroupUid, Kind, Record, Row, SELF_CHECKED_PREFIX_BYTES, Task, Trim, flags,
};
#[doc(hidden)]
pub use recovery::fuzz_segment;
pub use recovery::{Recovered, RecoveredGroup, Visitor, open};
pub use sealed::Place;
pub use segment::Segment;
pub use stats::Stats;
pub use writer::Writer;
