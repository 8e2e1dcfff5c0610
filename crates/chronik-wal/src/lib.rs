//! One shared, segmented write-ahead log for all groups of a node.

mod error;
mod index;
mod notice;
mod options;
mod reader;
mod record;
mod recovery;
mod segment;
mod stats;
mod writer;

pub use error::{OpenError, ReadError, Refused, RefusedReason, WalError};
pub use index::{Extent, From, Index, Retention};
pub use notice::{MovedPlace, Notice, SealedPlace, SegmentChange};
pub use options::{IoMode, Options};
pub use reader::{Plan, Reader, StoredEntry};
pub use record::{
    Durable, GroupUid, Kind, Record, Row, SELF_CHECKED_PREFIX_BYTES, Task, Trim, flags,
};
pub use recovery::{Recovered, RecoveredGroup, Visitor, open};
pub use segment::Segment;
pub use stats::Stats;
pub use writer::Writer;
