//! What a pass makes of each entry of a log, on the log's low-priority thread.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use chronik_core::compaction::{Left, Outcome, Pass, without_records};
use chronik_core::partition::{BatchHeader, Control, batch};
use chronik_wal::{Rewrite, Rewritten, Row};

use crate::raft::effects::CHANGES_MEMBERS;
use crate::records::{fold, unfolded};

/// Decides what becomes of each entry of a log.
#[derive(Debug)]
pub(super) struct Cleaner {
    pub(super) pass: Pass,
    /// Behind the last record that the pass goes over: its batch keeps the place.
    pub(super) end_offset: i64,
    /// Where the batches are by which producers are known again.
    pub(super) producers: HashMap<i64, Vec<i64>>,
    /// When the first tombstone that stays may go.
    pub(super) tombstones_until_ms: AtomicI64,
}

impl Rewrite for Cleaner {
    fn rewrite(&self, row: &Row, stored: &[u8]) -> Rewritten {
        if row.flags & CHANGES_MEMBERS != 0 || Control::is(stored) {
            return Rewritten::AsItIs;
        }
        if stored.is_empty() {
            // A leader began its term here.
            return Rewritten::Erased;
        }
        let Ok(header) = BatchHeader::read(stored) else {
            return Rewritten::AsItIs;
        };
        let Ok(records) = unfolded(stored) else {
            return Rewritten::AsItIs;
        };
        if header.len() != stored.len() {
            return Rewritten::AsItIs;
        }
        let Outcome {
            left,
            tombstones_until_ms,
        } = self.pass.clean(&header, &records);
        if let Some(until_ms) = tombstones_until_ms {
            self.tombstones_until_ms
                .fetch_min(until_ms, Ordering::Relaxed);
        }
        match left {
            Left::AsItIs => Rewritten::AsItIs,
            Left::Nothing if !self.keeps_place(&header) => Rewritten::Erased,
            Left::Nothing if header.record_count == 0 => Rewritten::AsItIs,
            Left::Nothing => whole(&without_records(&header), &[]),
            Left::Records(header, records) => {
                let compression = header.compression();
                match compression.ok().and_then(|kind| fold(kind, &records)) {
                    Some(folded) => whole(&header, &folded),
                    None => whole(&header.uncompressed(), &records),
                }
            }
        }
    }
}

impl Cleaner {
    /// Whether a batch without records is needed: for the end of the log, or to know its producer's repetitions.
    fn keeps_place(&self, header: &BatchHeader) -> bool {
        let offsets = self.producers.get(&header.producer_id);
        let is_remembered = offsets.is_some_and(|offsets| offsets.contains(&header.base_offset));
        header.next_offset() >= self.end_offset || (header.is_idempotent() && is_remembered)
    }
}

fn whole(header: &BatchHeader, records: &[u8]) -> Rewritten {
    Rewritten::As {
        bytes: Bytes::from(batch::assemble(header, records)),
        max_ts: header.max_timestamp,
    }
}
