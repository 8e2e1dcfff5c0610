//! Executes plans with blocking reads on the caller's thread.

use bytes::Bytes;

use crate::error::ReadError;
use crate::record::Row;

/// What to read, and a hold on the segments that contain it.
#[derive(Debug, Clone, Default)]
pub struct Plan {}

impl Plan {
    /// There is nothing to read.
    pub fn is_empty(&self) -> bool {
        true
    }
}

/// An entry as it was stored.
#[derive(Debug, Clone)]
pub struct StoredEntry {
    pub row: Row,
    pub bytes: Bytes,
}

/// Reads plans; clone it freely.
#[derive(Debug, Clone, Default)]
pub struct Reader {}

impl Reader {
    /// Reads a plan. Call it where blocking is allowed.
    pub fn read(&self, _plan: &Plan) -> Result<Vec<StoredEntry>, ReadError> {
        unimplemented!()
    }
}
