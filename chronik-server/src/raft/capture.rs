//! Groups as they are now, for a snapshot: a few in each turn of the loop, so that nobody waits for it.

use std::sync::atomic::{AtomicU64, Ordering};

use chronik_core::group::eraftpb::Entry;
use chronik_core::ids::GroupUid;
use chronik_core::partition::Log;

use super::meta::Meta;
use super::records::Records;
use super::replica::{Replica, State};
use super::shard::Shard;
use crate::snapshots::Part;

/// What became of a question for groups.
#[derive(Debug)]
pub(crate) struct Captured {
    /// So many of the groups that were asked for were looked at; the others are asked for again.
    pub(crate) looked_at: usize,
    /// Those that are here and know something.
    pub(crate) parts: Vec<Part>,
}

/// What the groups that keep state have written since the process began.
#[derive(Debug, Default)]
pub(crate) struct StateLog {
    entries: AtomicU64,
    bytes: AtomicU64,
}

/// What one turn of the loop captures. A state that is larger comes alone.
const TURN_BYTES: usize = 256 << 10;
const TURN_GROUPS: usize = 64;

impl Shard {
    pub(super) fn capture(&self, groups: &[GroupUid]) -> Captured {
        let mut captured = Captured {
            looked_at: 0,
            parts: Vec::new(),
        };
        let mut bytes = 0;
        for group in groups.iter().take(TURN_GROUPS) {
            if bytes >= TURN_BYTES {
                break;
            }
            captured.looked_at += 1;
            if let Some(part) = self.replicas.get(group).and_then(Replica::part) {
                bytes += part.weight_bytes();
                captured.parts.push(part);
            }
        }
        captured
    }
}

impl Replica {
    /// None as long as the replica knows nothing of its group.
    fn part(&self) -> Option<Part> {
        match &self.state {
            State::Meta(meta) => part_of_meta(meta),
            State::Records(records) => part_of_records(records),
        }
    }
}

impl StateLog {
    pub(super) fn note(&self, entries: &[Entry]) {
        let bytes: usize = entries.iter().map(|entry| entry.data.len()).sum();
        self.entries
            .fetch_add(entries.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Entries and bytes.
    pub(crate) fn written(&self) -> (u64, u64) {
        (
            self.entries.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }
}

fn part_of_meta(meta: &Meta) -> Option<Part> {
    let committed = meta.applied;
    Some(Part {
        group: meta.group.uid(),
        term: meta.group.term(),
        committed,
        committed_term: meta.group.term_of(committed)?,
        start_offset: 0,
        high_watermark: 0,
        epochs: Vec::new(),
        install: meta.group.snapshot(committed, meta.catalog.encode())?,
        consumer_groups: None,
    })
}

fn part_of_records(records: &Records) -> Option<Part> {
    let group = records.replica.group();
    let log: &Log = records.log();
    let committed = group.committed();
    Some(Part {
        group: group.uid(),
        term: group.term(),
        committed,
        committed_term: group.term_of(committed)?,
        start_offset: log.start_offset(),
        high_watermark: log.high_watermark(),
        epochs: log.epochs().to_vec(),
        install: records.replica.snapshot()?,
        consumer_groups: None,
    })
}
