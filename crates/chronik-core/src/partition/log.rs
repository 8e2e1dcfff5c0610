//! A partition's log as a function of what was appended: offsets, epochs, high watermark and producers.

use std::collections::VecDeque;

use bytes::Bytes;

use super::batch::{self, BatchHeader};
use super::control::Control;
use super::producers::{Producers, Seen, SequenceRefused, Undo, Verdict};
use crate::wire::{Reader, WireError, Writer};

/// The state that a leader needs for the next append, and every replica for its own reads.
///
/// What entries teach that are not committed yet can be taken back: see [`Log::truncate`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    start_offset: i64,
    /// Where the first kept entry begins: its first records may be trimmed.
    first_entry_offset: i64,
    end_offset: i64,
    high_watermark: i64,
    epochs: Vec<EpochStart>,
    producers: Producers,
    /// Entries up to here say nothing new about producers: a snapshot brought it all.
    producers_as_of: u64,
    /// What stands for all records below an offset.
    kept: Option<(i64, Bytes)>,
    /// Entries that are appended and not yet committed.
    uncommitted: VecDeque<Appending>,
    /// Batches that are recorded and whose entry has no index yet.
    recorded: VecDeque<Recorded>,
}

/// An entry that may still be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Appending {
    index: u64,
    epoch: i32,
    end_offset: i64,
    began_epoch: bool,
    undo: Vec<Undo>,
    /// What is to be carried out once it is committed.
    control: Option<Control>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Recorded {
    end_offset: i64,
    began_epoch: bool,
    undo: Option<Undo>,
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

const STATE_VERSION: u8 = 3;
const SNAPSHOT_VERSION: u8 = 2;

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

    /// Where leader epochs began, oldest first.
    pub fn epochs(&self) -> &[EpochStart] {
        &self.epochs
    }

    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// The state that stands for all records below its offset, if there is one.
    pub fn kept(&self) -> Option<&(i64, Bytes)> {
        self.kept.as_ref()
    }

    /// Decides where a batch goes. Nothing changes until it is [recorded](Log::record).
    pub fn place(&self, batch: &BatchHeader) -> Result<Appended, Refused> {
        match self.producers.judge(batch)? {
            Verdict::New => Ok(self.place_at_end()),
            Verdict::Duplicate(seen) => Ok(Appended::Before(seen)),
        }
    }

    /// Where a batch goes that is new.
    pub(super) fn place_at_end(&self) -> Appended {
        Appended::At {
            base_offset: self.end_offset,
        }
    }

    /// Takes note of a batch in the log; `batch` carries the offset that it was given.
    pub fn record(&mut self, batch: &BatchHeader) {
        assert_eq!(
            batch.base_offset, self.end_offset,
            "a log has no gap and no overlap"
        );
        let began_epoch = self.begin_epoch(batch.leader_epoch);
        let undo = self.producers.remember(batch, batch.base_offset);
        self.end_offset = batch.next_offset();
        self.recorded.push_back(Recorded {
            end_offset: self.end_offset,
            began_epoch,
            undo,
        });
    }

    /// The batches recorded up to `next_offset` are entry `index`.
    pub fn entry_appended(&mut self, index: u64, next_offset: i64) {
        let mut entry = Appending {
            index,
            epoch: self.epochs.last().map_or(0, |start| start.epoch),
            end_offset: next_offset,
            began_epoch: false,
            undo: Vec::new(),
            control: None,
        };
        while let Some(batch) = self
            .recorded
            .pop_front_if(|batch| batch.end_offset <= next_offset)
        {
            entry.began_epoch |= batch.began_epoch;
            entry.undo.extend(batch.undo);
        }
        self.push(entry);
    }

    /// Takes note of an entry as the group accepted it: of a peer's, or of one that was recorded here before it was
    /// proposed. One that differs from what is here replaces it and all that follow.
    pub fn entry(&mut self, index: u64, epoch: i32, data: &[u8]) {
        let at = self
            .uncommitted
            .partition_point(|entry| entry.index < index);
        if let Some(known) = self.uncommitted.get(at) {
            if known.index == index && known.epoch == epoch {
                return;
            }
            self.truncate(index);
        }
        let began_epoch = self.begin_epoch(epoch);
        let mut undo = Vec::new();
        let control = Control::is(data)
            .then(|| Control::decode(data).expect("a leader of this version wrote this order"));
        let batches = if control.is_some() { &[] } else { data };
        for batch in batch::each(batches) {
            let (header, _) = batch.expect("the leader checked what it proposed");
            // Compaction leaves gaps: what was in them is not sent to anybody any more.
            assert!(
                header.base_offset >= self.end_offset,
                "a log has no overlap"
            );
            if index > self.producers_as_of {
                undo.extend(self.producers.remember(&header, header.base_offset));
            }
            self.end_offset = header.next_offset();
        }
        self.push(Appending {
            index,
            epoch,
            end_offset: self.end_offset,
            began_epoch,
            undo,
            control,
        });
    }

    /// Entries from `index` on are replaced: all that they taught is forgotten.
    pub fn truncate(&mut self, index: u64) {
        assert!(
            self.recorded.is_empty(),
            "a leader does not replace its own entries"
        );
        while let Some(entry) = self.uncommitted.pop_back_if(|entry| entry.index >= index) {
            entry
                .undo
                .into_iter()
                .rev()
                .for_each(|undo| self.producers.undo(undo));
            if entry.began_epoch {
                self.epochs.pop();
            }
        }
        let last = self.uncommitted.back();
        self.end_offset = last.map_or(self.high_watermark, |entry| entry.end_offset);
    }

    /// Whether an entry replaces one that is here.
    pub fn replaces(&self, index: u64, epoch: i32) -> bool {
        let at = self
            .uncommitted
            .partition_point(|entry| entry.index < index);
        let known = self.uncommitted.get(at);
        known.is_some_and(|known| known.index != index || known.epoch != epoch)
    }

    /// A planted fault: replaced entries would leave their producers behind.
    pub(super) fn keep_producers(&mut self, index: u64) {
        let replaced = self
            .uncommitted
            .iter_mut()
            .filter(|entry| entry.index >= index);
        replaced.for_each(|entry| entry.undo.clear());
    }

    /// A planted fault.
    pub(super) fn forget_producers(&mut self) {
        self.keep_producers(0);
        self.recorded.iter_mut().for_each(|batch| batch.undo = None);
        self.producers = Producers::default();
    }

    /// A planted fault: the newest entry takes an offset more than it has records.
    pub(super) fn lose_an_offset(&mut self) {
        self.end_offset += 1;
        if let Some(newest) = self.uncommitted.back_mut() {
            newest.end_offset = self.end_offset;
        }
    }

    /// A leader begins its term here, even if it never appends a record.
    pub fn note_epoch(&mut self, epoch: i32) {
        self.begin_epoch(epoch);
    }

    /// Moves the high watermark to the end of the last entry at or below `index`; says whether it moved.
    pub fn committed(&mut self, index: u64) -> bool {
        let before = self.high_watermark;
        while let Some(entry) = self.uncommitted.pop_front_if(|entry| entry.index <= index) {
            self.high_watermark = entry.end_offset;
            if let Some(control) = entry.control {
                self.carry_out(control);
            }
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

    /// Entries that end before `offset` are gone, and their records with them.
    pub fn trim_entries(&mut self, offset: i64) {
        self.first_entry_offset = self.first_entry_offset.max(offset);
        self.trim(offset);
    }

    /// Where the first kept entry begins.
    pub fn first_entry_offset(&self) -> i64 {
        self.first_entry_offset
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

    /// What a replica needs that gets no entries before the trim point: the state as of commit index `as_of`.
    pub fn snapshot(&self, as_of: u64) -> Bytes {
        let mut producers = self.producers.clone();
        let uncommitted = self.uncommitted.iter().rev();
        for entry in uncommitted.filter(|entry| entry.index > as_of) {
            let undo = entry.undo.iter().rev().cloned();
            undo.for_each(|undo| producers.undo(undo));
        }
        let mut out = Writer::new();
        out.u8(SNAPSHOT_VERSION)
            .i64(self.start_offset)
            .i64(self.first_entry_offset)
            .u64(as_of);
        encode_epochs(&self.epochs_before_first_entry(), &mut out);
        encode_kept(self.kept.as_ref(), &mut out);
        producers.encode(&mut out);
        out.finish()
    }

    /// The log of a replica that just installed what [`Log::snapshot`] wrote.
    pub fn installed(snapshot: &[u8]) -> Result<Log, WireError> {
        let mut input = Reader::new(snapshot);
        match input.u8()? {
            SNAPSHOT_VERSION => {}
            other => return Err(input.unknown("log snapshot version", other.into())),
        }
        let (start_offset, first_entry_offset) = (input.i64()?, input.i64()?);
        let log = Log {
            start_offset,
            first_entry_offset,
            end_offset: first_entry_offset,
            high_watermark: first_entry_offset,
            producers_as_of: input.u64()?,
            epochs: decode_epochs(&mut input)?,
            kept: decode_kept(&mut input)?,
            producers: Producers::decode(&mut input)?,
            ..Log::default()
        };
        input.end()?;
        Ok(log)
    }

    /// The log of a partition whose records are all gone: it goes on at `end_offset`. Who wrote them is forgotten, too:
    /// a batch that is sent again would be taken for one that is there.
    pub fn without_records(end_offset: i64, last_epoch: Option<i32>, kept: Option<Bytes>) -> Log {
        let epoch = last_epoch.map(|epoch| EpochStart { epoch, offset: 0 });
        Log {
            start_offset: end_offset,
            first_entry_offset: end_offset,
            end_offset,
            high_watermark: end_offset,
            epochs: epoch.into_iter().collect(),
            kept: kept.map(|state| (end_offset, state)),
            ..Log::default()
        }
    }

    pub fn encode(&self, out: &mut Writer) {
        out.u8(STATE_VERSION);
        out.i64(self.start_offset)
            .i64(self.first_entry_offset)
            .i64(self.end_offset)
            .i64(self.high_watermark);
        encode_epochs(&self.epochs, out);
        out.count(self.uncommitted.len());
        self.uncommitted.iter().for_each(|entry| entry.encode(out));
        out.u64(self.producers_as_of);
        encode_kept(self.kept.as_ref(), out);
        self.producers.encode(out);
    }

    pub fn decode(input: &mut Reader<'_>) -> Result<Log, WireError> {
        match input.u8()? {
            STATE_VERSION => {}
            other => return Err(input.unknown("log state version", other.into())),
        }
        Ok(Log {
            start_offset: input.i64()?,
            first_entry_offset: input.i64()?,
            end_offset: input.i64()?,
            high_watermark: input.i64()?,
            epochs: decode_epochs(input)?,
            uncommitted: (0..input.count(26)?)
                .map(|_| Appending::decode(input))
                .collect::<Result<_, _>>()?,
            producers_as_of: input.u64()?,
            kept: decode_kept(input)?,
            producers: Producers::decode(input)?,
            recorded: VecDeque::new(),
        })
    }

    /// An order that is committed. After a snapshot some come a second time, older than what it brought.
    fn carry_out(&mut self, control: Control) {
        let offset = control.offset();
        if let Control::Keep { offset, state } = control
            && self.kept.as_ref().is_none_or(|(kept, _)| *kept <= offset)
        {
            self.kept = Some((offset, state));
        }
        self.trim(offset);
    }

    fn push(&mut self, entry: Appending) {
        let newest = self.uncommitted.back();
        let follows = |newest: &Appending| {
            entry.index > newest.index && entry.end_offset >= newest.end_offset
        };
        assert!(newest.is_none_or(follows), "entries are appended in order");
        self.uncommitted.push_back(entry);
    }

    /// Says whether an epoch began.
    fn begin_epoch(&mut self, epoch: i32) -> bool {
        let newest = self.epochs.last().map_or(-1, |start| start.epoch);
        assert!(epoch >= newest, "epochs never fall along a log");
        if epoch > newest {
            self.epochs.push(EpochStart {
                epoch,
                offset: self.end_offset,
            });
        }
        epoch > newest
    }

    /// The epoch that the first kept entry may continue.
    fn epochs_before_first_entry(&self) -> Vec<EpochStart> {
        let before = |start: &&EpochStart| start.offset < self.first_entry_offset;
        self.epochs
            .iter()
            .rev()
            .find(before)
            .copied()
            .into_iter()
            .collect()
    }
}

impl Appending {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.index)
            .i32(self.epoch)
            .i64(self.end_offset)
            .u8(self.began_epoch.into());
        out.count(self.undo.len());
        self.undo.iter().for_each(|undo| undo.encode(out));
        match &self.control {
            Some(control) => out.u8(1).blob(&control.encode()),
            None => out.u8(0),
        };
    }

    fn decode(input: &mut Reader<'_>) -> Result<Appending, WireError> {
        Ok(Appending {
            index: input.u64()?,
            epoch: input.i32()?,
            end_offset: input.i64()?,
            began_epoch: input.u8()? != 0,
            undo: (0..input.count(13)?)
                .map(|_| Undo::decode(input))
                .collect::<Result<_, _>>()?,
            control: match input.u8()? {
                0 => None,
                _ => Some(Control::decode(input.blob()?)?),
            },
        })
    }
}

fn encode_kept(kept: Option<&(i64, Bytes)>, out: &mut Writer) {
    match kept {
        Some((offset, state)) => out.u8(1).i64(*offset).blob(state),
        None => out.u8(0),
    };
}

fn decode_kept(input: &mut Reader<'_>) -> Result<Option<(i64, Bytes)>, WireError> {
    Ok(match input.u8()? {
        0 => None,
        _ => Some((input.i64()?, Bytes::copy_from_slice(input.blob()?))),
    })
}

fn encode_epochs(epochs: &[EpochStart], out: &mut Writer) {
    out.count(epochs.len());
    for start in epochs {
        out.i32(start.epoch).i64(start.offset);
    }
}

fn decode_epochs(input: &mut Reader<'_>) -> Result<Vec<EpochStart>, WireError> {
    (0..input.count(12)?)
        .map(|_| {
            Ok(EpochStart {
                epoch: input.i32()?,
                offset: input.i64()?,
            })
        })
        .collect()
}
