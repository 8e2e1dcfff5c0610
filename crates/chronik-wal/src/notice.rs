//! What the log tells its owner; every notice comes from the WAL thread, in order.

use std::sync::Arc;

use crate::error::WalError;
use crate::record::{Durable, GroupUid};
use crate::sealed::Place;
use crate::segment::Segment;

/// Something happened. The sink is called on the WAL thread and must not block.
#[derive(Debug)]
pub enum Notice<T> {
    /// These tasks are on disk, in the order in which they were submitted.
    Durable(Vec<Durable<T>>),
    /// The set of segments changed: hand it to [`crate::Index::apply`].
    Segment(SegmentChange),
    /// A checkpoint that covers everything up to `lsn` is on disk.
    Checkpointed { lsn: u64 },
    /// The oldest [`crate::RewriteOrder`] that was given is carried out up to here; `None` if there was nothing to do,
    /// or no room to do it.
    Rewritten {
        group: GroupUid,
        last_index: Option<u64>,
    },
    /// A write or sync failed: the process must stop, nothing after it is acknowledged.
    Failed(WalError),
}

/// See [`Notice::Segment`].
#[derive(Debug)]
pub enum SegmentChange {
    /// Rows may now point into this segment. After the first one this is a roll: a good
    /// moment for a checkpoint.
    Opened(Arc<Segment>),
    /// The segment's rows are now in its index file.
    Sealed { segment: u64, places: Arc<[Place]> },
    /// Live rows of `sources` were copied into `target`.
    Moved {
        target: Arc<Segment>,
        sources: Vec<u64>,
        places: Arc<[Place]>,
    },
    /// The segment holds nothing alive and is about to be used again.
    Recycled { segment: u64 },
}
