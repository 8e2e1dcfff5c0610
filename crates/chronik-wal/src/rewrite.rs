//! Dropping what a group's sealed entries hold, entry by entry: what key compaction needs of the log.
//!
//! Entries keep their index, term and offsets. What an owner makes of their bytes goes to a sorted segment; the log
//! itself knows of it only that it was done.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;

use crate::record::{GroupUid, Row};

/// Decides what becomes of entries. It runs on the low-priority thread.
pub trait Rewrite: Debug + Send + Sync {
    fn rewrite(&self, row: &Row, stored: &[u8]) -> Rewritten;
}

/// What becomes of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewritten {
    AsItIs,
    /// Nothing is left; reading it gives no bytes.
    Erased,
    /// These bytes are left, and their newest record is of `max_ts`.
    As {
        bytes: Bytes,
        max_ts: i64,
    },
}

/// Entries of a group to rewrite.
#[derive(Debug, Clone)]
pub struct RewriteOrder {
    pub group: GroupUid,
    /// From the piece that begins here or later, to the last one that ends at or below `last_index`. What does not fit
    /// into one segment is left for another order.
    pub first_index: u64,
    pub last_index: u64,
    pub rewrite: Arc<dyn Rewrite>,
}
