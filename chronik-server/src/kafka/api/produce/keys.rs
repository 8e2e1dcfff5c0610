//! What compacted topics ask of records: a key, without which nothing could ever replace them.

use chronik_core::compaction::records;
use chronik_core::partition::BatchHeader;

use crate::records::unfolded;

/// Whether every record of a batch has a key. A batch that cannot be read has none.
pub(super) fn all_have_one(header: &BatchHeader, batch: &[u8]) -> bool {
    let Ok(bytes) = unfolded(batch) else {
        return false;
    };
    records(header, &bytes).all(|record| record.is_ok_and(|record| record.key.is_some()))
}
