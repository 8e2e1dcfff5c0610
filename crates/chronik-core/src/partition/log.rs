//! A partition's log as a function of what was appended: offsets, epochs, high watermark and producers.

use std::collections::VecDeque;

use super::batch::BatchHeader;
use super::producers::{Producers, Seen, SequenceRefused, Verdict};
use crate::wire::{Reader, WireError, Writer};

/// The state that a leader needs for the next append, and every replica for its own reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    start_offset: i64,
    end_offset: i64,
    high_watermark: i64,
    epochs: Vec<EpochStart>,
    producers: Producers,
    /// Entries that are appended and not yet committed: (raft index, offset after it).
    uncommitted: VecDeque<(u64, i64)>,
}

/// A leader epoch (its Raft term) and the first offset that it could give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    pub epoch: i32,
    pub offset: i64,
}

/// Where a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    At {
        base_offset: i64,
    },
    /// It is in the log already; its answer waits until `last_offset` is committed.
    Before(Seen),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Sequence(#[from] SequenceRefused),
}

const STATE_VERSION: u8 = 1;

impl Log {
    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The offset that the next record will get.
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Consumers see what lies below.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Decides where a batch goes. Nothing changes until it is [recorded](Log::record).
    pub fn place(&self, batch: &BatchHeader) -> Result<Appended, Refused> {
        match self.producers.judge(batch)? {
            Verdict::New => Ok(Appended::At {
                base_offset: self.end_offset,
            }),
            Verdict::Duplicate(seen) => Ok(Appended::Before(seen)),
        }
    }

    /// Takes note of a batch in the log; `batch` carries the offset that it was given.
    pub fn record(&mut self, batch: &BatchHeader) {
        assert_eq!(
            batch.base_offset, self.end_offset,
            "a log has no gap and no overlap"
        );
        self.note_epoch(batch.leader_epoch);
        self.producers.remember(batch, batch.base_offset);
        self.end_offset = batch.next_offset();
    }

    /// Remembers that the records of entry `index` end before `next_offset`.
    pub fn entry_appended(&mut self, index: u64, next_offset: i64) {
        let (newest_index, newest_offset) = self.uncommitted.back().copied().unwrap_or_default();
        assert!(
            index > newest_index && next_offset >= newest_offset,
            "entries are appended in order"
        );
        self.uncommitted.push_back((index, next_offset));
    }

    /// A leader begins its term here, even if it never appends a record.
    pub fn note_epoch(&mut self, epoch: i32) {
        let newest = self.epochs.last().map_or(-1, |start| start.epoch);
        assert!(epoch >= newest, "epochs never fall along a log");
        if epoch > newest {
            self.epochs.push(EpochStart {
                epoch,
                offset: self.end_offset,
            });
        }
    }

    /// Moves the high watermark to the end of the last entry at or below `index`; says whether it moved.
    pub fn committed(&mut self, index: u64) -> bool {
        let before = self.high_watermark;
        while let Some((_, offset)) = self.uncommitted.pop_front_if(|(entry, _)| *entry <= index) {
            self.high_watermark = offset;
        }
        assert!(
            self.high_watermark >= before,
            "the high watermark never falls"
        );
        self.high_watermark > before
    }

    /// Records below `offset` are gone, for readers at once.
    pub fn trim(&mut self, offset: i64) {
        assert!(
            offset <= self.high_watermark,
            "only committed records are trimmed"
        );
        self.start_offset = self.start_offset.max(offset);
        let kept_from = self
            .epochs
            .partition_point(|start| start.offset <= self.start_offset);
        // The epoch that the first kept record belongs to stays, now beginning at the start of the log.
        self.epochs.drain(..kept_from.saturating_sub(1));
        if let Some(first) = self.epochs.first_mut() {
            first.offset = first.offset.max(self.start_offset);
        }
    }

    /// After a restart: the log is known to start at `offset`, and what was trimmed had been committed.
    pub fn trim_recovered(&mut self, offset: i64) {
        assert!(
            offset <= self.end_offset,
            "a trim point lies within its log"
        );
        self.high_watermark = self.high_watermark.max(offset);
        self.trim(offset);
    }

    /// The largest epoch at or below `epoch`, and where it ends: OffsetForLeaderEpoch.
    pub fn epoch_end(&self, epoch: i32) -> Option<(i32, i64)> {
        let newest = self.epochs.last()?;
        if epoch == newest.epoch {
            return Some((epoch, self.high_watermark));
        }
        let after = self.epochs.partition_point(|start| start.epoch <= epoch);
        match (after.checked_sub(1), self.epochs.get(after)) {
            // Beyond the newest epoch nothing is known.
            (_, None) => None,
            // Older than all that is kept: everything of it is gone.
            (None, Some(_)) => Some((epoch, self.start_offset)),
            (Some(at), Some(next)) => Some((self.epochs[at].epoch, next.offset)),
        }
    }

    /// The epoch that the record at `offset` was appended in.
    pub fn epoch_at(&self, offset: i64) -> Option<i32> {
        let after = self.epochs.partition_point(|start| start.offset <= offset);
        Some(self.epochs[after.checked_sub(1)?].epoch)
    }

    pub fn encode(&self, out: &mut Writer) {
        out.u8(STATE_VERSION);
        out.i64(self.start_offset)
            .i64(self.end_offset)
            .i64(self.high_watermark);
        out.count(self.epochs.len());
        for start in &self.epochs {
            out.i32(start.epoch).i64(start.offset);
        }
        out.count(self.uncommitted.len());
        for (index, offset) in &self.uncommitted {
            out.u64(*index).i64(*offset);
        }
        self.producers.encode(out);
    }

    pub fn decode(input: &mut Reader<'_>) -> Result<Log, WireError> {
        match input.u8()? {
            STATE_VERSION => {}
            other => return Err(input.unknown("log state version", other.into())),
        }
        let mut log = Log {
            start_offset: input.i64()?,
            end_offset: input.i64()?,
            high_watermark: input.i64()?,
            ..Log::default()
        };
        for _ in 0..input.count(12)? {
            log.epochs.push(EpochStart {
                epoch: input.i32()?,
                offset: input.i64()?,
            });
        }
        for _ in 0..input.count(16)? {
            log.uncommitted.push_back((input.u64()?, input.i64()?));
        }
        log.producers = Producers::decode(input)?;
        Ok(log)
    }
}
