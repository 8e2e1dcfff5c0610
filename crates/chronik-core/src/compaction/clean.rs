//! What one pass makes of one batch.

use super::keys::{Full, Keys};
use super::record::{Record, put_varint, records};
use crate::partition::BatchHeader;

/// What a pass knows when it goes over the log.
#[derive(Clone, Debug)]
pub struct Pass {
    pub keys: Keys,
    pub now_ms: i64,
    /// How long tombstones stay once a pass went over them.
    pub delete_retention_ms: i64,
    /// No member of the group holds a record that a tombstone below this offset hides.
    pub tombstones_below: i64,
}

/// What a pass makes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub left: Left,
    /// When the first tombstone that stays may go.
    pub tombstones_until_ms: Option<i64>,
}

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing changes.
    AsItIs,
    /// No record is left.
    Nothing,
    /// These records, uncompressed, under this header.
    Records(BatchHeader, Vec<u8>),
}

const NO_TIMESTAMP: i64 = -1;

/// Learns where the keys of a batch are. Records that cannot be read are passed over, as they are never dropped.
pub fn survey(header: &BatchHeader, bytes: &[u8], keys: &mut Keys) -> Result<(), Full> {
    if header.is_control() {
        return Ok(());
    }
    for record in records(header, bytes).map_while(Result::ok) {
        if let Some(key) = record.key {
            keys.put(key, header.base_offset.wrapping_add(record.offset_delta))?;
        }
    }
    Ok(())
}

impl Pass {
    /// Decides over the records of a batch, of which `bytes` are what follows its header, uncompressed.
    pub fn clean(&self, header: &BatchHeader, bytes: &[u8]) -> Outcome {
        let all: Result<Vec<Record<'_>>, _> = records(header, bytes).collect();
        // What cannot be read is kept.
        let Some(all) = all.ok().filter(|_| !header.is_control()) else {
            return Outcome {
                left: Left::AsItIs,
                tombstones_until_ms: None,
            };
        };
        let is_kept = |record: &&Record<'_>| self.keeps(header, record);
        let kept: Vec<Record<'_>> = all.iter().filter(is_kept).copied().collect();
        let has_tombstones = kept.iter().any(|record| record.is_tombstone);
        let horizon_ms = has_tombstones.then(|| {
            let fresh = self.now_ms.saturating_add(self.delete_retention_ms);
            header.delete_horizon_ms().unwrap_or(fresh)
        });
        let fresh_horizon = horizon_ms.filter(|_| header.delete_horizon_ms().is_none());
        let left = match kept.len() {
            0 => Left::Nothing,
            count if count == all.len() && fresh_horizon.is_none() => Left::AsItIs,
            _ => rewrite(header, &kept, fresh_horizon),
        };
        Outcome {
            left,
            tombstones_until_ms: horizon_ms,
        }
    }

    fn keeps(&self, header: &BatchHeader, record: &Record<'_>) -> bool {
        let Some(key) = record.key else {
            // Nothing could ever replace it.
            return false;
        };
        let offset = header.base_offset.wrapping_add(record.offset_delta);
        if self.keys.newest(key).is_some_and(|newest| newest > offset) {
            return false;
        }
        let is_due = |horizon: i64| horizon <= self.now_ms && offset < self.tombstones_below;
        !(record.is_tombstone && header.delete_horizon_ms().is_some_and(is_due))
    }
}

/// What keeps the place of a batch without records: offsets and the producer's sequences.
pub fn without_records(header: &BatchHeader) -> BatchHeader {
    BatchHeader {
        record_count: 0,
        max_timestamp: NO_TIMESTAMP,
        ..header.uncompressed()
    }
}

fn rewrite(header: &BatchHeader, left: &[Record<'_>], horizon: Option<i64>) -> Left {
    let base = header.base_timestamp;
    let rebased = horizon.map_or(*header, |horizon| header.with_delete_horizon(horizon));
    let newest = left
        .iter()
        .map(|record| base.wrapping_add(record.timestamp_delta))
        .max();
    let max_timestamp = match newest {
        Some(newest) if !header.is_log_append_time() => newest,
        _ => header.max_timestamp,
    };
    let header = BatchHeader {
        record_count: i32::try_from(left.len()).expect("there were no more"),
        max_timestamp,
        ..rebased
    };
    let mut bytes = Vec::new();
    for record in left {
        match horizon {
            None => bytes.extend_from_slice(record.whole),
            Some(horizon) => {
                let delta = base
                    .wrapping_add(record.timestamp_delta)
                    .wrapping_sub(horizon);
                write_again(record, delta, &mut bytes);
            }
        }
    }
    Left::Records(header, bytes)
}

fn write_again(record: &Record<'_>, timestamp_delta: i64, out: &mut Vec<u8>) {
    let mut body = vec![record.attributes];
    put_varint(timestamp_delta, &mut body);
    body.extend_from_slice(record.after_timestamp);
    put_varint(i64::try_from(body.len()).expect("it was in memory"), out);
    out.extend_from_slice(&body);
}
