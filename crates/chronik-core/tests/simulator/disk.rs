//! A node's log as the write-ahead log keeps it: frames, one on its way at a time, in segments that are recycled,
//! and a checkpoint. What is not synced may be lost, and what a restart finds may not be synced.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use chronik_core::group::eraftpb::Entry;
use chronik_core::group::{HardState, Install, Members, Trim};

use crate::coverage::Coverage;
use crate::machine::Restoring;
use crate::mutants::Mutant;
use crate::rng::Rng;

/// What a replica has written down, of one group.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) group: usize,
    /// One incarnation of a replica: records of an earlier one are dead.
    pub(crate) replica: u64,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// No voters: the replica joins a group that exists.
    Create(Vec<u64>),
    Destroy,
    HardState(HardState),
    Entry(Entry),
    Members(u64, Members),
    Install(Install),
    Trim(Trim, i64),
}

/// Whom to tell once a frame is durable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notice {
    Ready {
        group: usize,
        replica: u64,
        number: u64,
    },
    Trimmed {
        group: usize,
        replica: u64,
        trim: Trim,
        offset: i64,
    },
}

#[derive(Debug)]
struct Frame {
    lsn: u64,
    records: Vec<Record>,
    is_durable: bool,
}

/// What the disk holds of one replica: the part that readers see.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) replica: u64,
    pub(crate) trim: Trim,
    /// From `trim.index + 1` on, with the frame that holds them.
    entries: VecDeque<(Entry, u64)>,
    /// Newest that is durable.
    pub(crate) hard_state: HardState,
    durable_trim: u64,
    /// What an installed snapshot replaces, until it is durable itself.
    replaced: Option<Box<Rows>>,
    /// The newest trim that was submitted, and where the first kept entry begins.
    trim_submitted: (Trim, i64),
}

#[derive(Debug, Default)]
struct Checkpoint {
    lsn: u64,
    states: Vec<State>,
}

/// One replica in a checkpoint: what it says of itself, and its trim, which the log knows earlier than it does.
#[derive(Debug)]
struct State {
    group: usize,
    replica: u64,
    bytes: Bytes,
    trim: (Trim, i64),
    /// Which frames hold its entries, from this index on.
    live: (u64, Vec<u64>),
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    segments: VecDeque<Vec<Frame>>,
    frames_per_segment: usize,
    queued: Vec<Record>,
    queued_notices: Vec<Notice>,
    in_flight: Option<(Frame, Vec<Notice>)>,
    /// The frame that takes what is queued now.
    next_lsn: u64,
    durable_lsn: u64,
    checkpoint: Checkpoint,
    checkpoint_pending: Option<Checkpoint>,
    pub(crate) rows: BTreeMap<usize, Rows>,
    /// No write ends before this time.
    pub(crate) stalled_until: u64,
    /// No write begins before this time.
    pub(crate) full_until: u64,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The kernel keeps what was written, synced or not.
    Kill,
    /// Only what is synced is sure to stay.
    PowerCut,
}

impl Disk {
    pub(crate) fn new(frames_per_segment: usize) -> Disk {
        Disk {
            frames_per_segment,
            next_lsn: 1,
            segments: VecDeque::from([Vec::new()]),
            ..Disk::default()
        }
    }

    pub(crate) fn submit(
        &mut self,
        records: impl IntoIterator<Item = Record>,
        notice: Option<Notice>,
    ) {
        for record in records {
            self.note(&record, self.next_lsn);
            self.queued.push(record);
        }
        self.queued_notices.extend(notice);
    }

    /// Begins to write what is queued; says whether it did.
    pub(crate) fn start(&mut self) -> bool {
        if self.in_flight.is_some() || (self.queued.is_empty() && self.queued_notices.is_empty()) {
            return false;
        }
        let frame = Frame {
            lsn: self.next_lsn,
            records: std::mem::take(&mut self.queued),
            is_durable: false,
        };
        self.next_lsn += 1;
        self.in_flight = Some((frame, std::mem::take(&mut self.queued_notices)));
        true
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.queued.is_empty()
    }

    /// The frame on its way is synced.
    pub(crate) fn synced(
        &mut self,
        mutant: Option<Mutant>,
        coverage: &mut Coverage,
    ) -> Vec<Notice> {
        let (mut frame, notices) = self.in_flight.take().expect("a frame is on its way");
        frame.is_durable = true;
        self.durable_lsn = frame.lsn;
        for record in &frame.records {
            if let Some(rows) = self.rows.get_mut(&record.group) {
                rows.became_durable(record);
            }
        }
        self.append(frame);
        let is_covered = |pending: &mut Checkpoint| pending.lsn <= self.durable_lsn;
        if let Some(checkpoint) = self.checkpoint_pending.take_if(is_covered) {
            self.checkpoint = checkpoint;
            coverage.checkpoints += 1;
        }
        self.recycle(mutant, coverage);
        notices
    }

    /// Whether a frame ends where the submitted records end, as a checkpoint must.
    pub(crate) fn is_cut(&self) -> bool {
        self.queued.is_empty()
    }

    /// States as of everything that was submitted.
    pub(crate) fn begin_checkpoint(&mut self, states: Vec<(usize, u64, Bytes)>) {
        let lsn = self.next_lsn - 1;
        let state = |(group, replica, bytes): (usize, u64, Bytes)| {
            let rows = &self.rows[&group];
            State {
                group,
                replica,
                bytes,
                trim: rows.trim_submitted,
                live: rows.live(),
            }
        };
        let states = states.into_iter().map(state).collect();
        self.checkpoint_pending = Some(Checkpoint { lsn, states });
    }

    pub(crate) fn crash(&mut self, how: Crash, rng: &mut Rng, coverage: &mut Coverage) {
        self.queued.clear();
        self.queued_notices.clear();
        self.checkpoint_pending = None;
        self.stalled_until = 0;
        if let Some((frame, _)) = self.in_flight.take() {
            match (how, rng.below(3)) {
                (_, 0) => coverage.frames_lost += 1,
                (Crash::PowerCut, 1) => coverage.frames_torn += 1,
                (Crash::PowerCut, _) => self.append(Frame {
                    is_durable: true,
                    ..frame
                }),
                (Crash::Kill, _) => {
                    coverage.frames_cached += 1;
                    self.append(frame);
                }
            }
        }
        if how == Crash::PowerCut {
            let keeps = rng.below(2) == 0;
            for segment in &mut self.segments {
                segment.retain_mut(|frame| {
                    frame.is_durable |= keeps;
                    frame.is_durable
                });
            }
        }
        self.next_lsn = self.last_lsn() + 1;
        self.rows = self.read_rows();
    }

    /// What a restart finds. First it syncs what it is going to trust.
    pub(crate) fn recover(&mut self, mutant: Option<Mutant>) -> BTreeMap<usize, (u64, Restoring)> {
        if mutant != Some(Mutant::UnsyncedFrameTrusted) {
            let frames = self.segments.iter_mut().flatten();
            frames.for_each(|frame| frame.is_durable = true);
        }
        self.durable_lsn = self.last_lsn();
        let mut restored = BTreeMap::new();
        for state in &self.checkpoint.states {
            let mut restore = state.restore();
            plant(&mut restore, mutant);
            restored.insert(state.group, (state.replica, restore));
        }
        let after = |frame: &&Frame| frame.lsn > self.checkpoint.lsn;
        for frame in self.segments.iter().flatten().filter(after) {
            frame
                .records
                .iter()
                .for_each(|record| replay(record, &mut restored, mutant));
        }
        self.rows = self.read_rows();
        for (group, (_, restore)) in &restored {
            let (trim, last) = (self.rows[group].trim, self.rows[group].last_index());
            let stored = restore.stored();
            assert_eq!(
                (stored.trim, stored.last_index),
                (trim, last),
                "a restart finds the log that was written"
            );
        }
        restored
    }

    /// Up to where the checkpoint holds what a state group applied.
    pub(crate) fn applied_in_checkpoint(&self, group: usize, replica: u64) -> u64 {
        let of_replica = |state: &&State| state.group == group && state.replica == replica;
        let state = self.checkpoint.states.iter().find(of_replica);
        state.map_or(0, |state| state.restore().stored().applied)
    }

    /// Whether an entry is on this disk for good.
    pub(crate) fn holds(&self, group: usize, replica: u64, index: u64, term: u64) -> bool {
        let Some(rows) = self.rows.get(&group).filter(|rows| rows.replica == replica) else {
            return false;
        };
        rows.holds(index, self.durable_lsn, |entry| entry.term == term)
    }

    /// Whether everything of a replica up to `index` is on this disk for good.
    pub(crate) fn is_durable_to(&self, group: usize, index: u64) -> bool {
        let Some(rows) = self.rows.get(&group) else {
            return false;
        };
        // Frames are in order, so the newest row of them decides.
        rows.holds(index, self.durable_lsn, |_| true)
    }

    fn last_lsn(&self) -> u64 {
        let newest = self.segments.iter().flatten().next_back();
        newest.map_or(0, |frame| frame.lsn).max(self.checkpoint.lsn)
    }

    fn append(&mut self, frame: Frame) {
        let active = self.segments.back_mut().expect("one segment is active");
        if active.len() >= self.frames_per_segment {
            self.segments.push_back(vec![frame]);
        } else {
            active.push(frame);
        }
    }

    fn note(&mut self, record: &Record, lsn: u64) {
        match &record.what {
            What::Create(voters) => {
                let trim = match voters.is_empty() {
                    true => Trim::default(),
                    false => Trim { index: 1, term: 1 },
                };
                let rows = Rows {
                    replica: record.replica,
                    trim,
                    ..Rows::default()
                };
                self.rows.insert(record.group, rows);
            }
            What::Destroy => _ = self.rows.remove(&record.group),
            _ => {
                let rows = self.rows.get_mut(&record.group);
                rows.expect("a replica is created before it writes")
                    .note(record, lsn);
            }
        }
    }

    /// A segment goes when all its rows are dead as of the checkpoint, which holds the rest of it.
    fn recycle(&mut self, mutant: Option<Mutant>, coverage: &mut Coverage) {
        let active = self.segments.pop_back().expect("one segment is active");
        let before = self.segments.len();
        let checkpoint = &self.checkpoint;
        let forgets_votes = mutant == Some(Mutant::NewestVoteRecycled);
        let is_needed = |frame: &Frame| {
            let mut records = frame.records.iter();
            match frame.lsn <= checkpoint.lsn {
                true => records.any(|record| checkpoint.needs(record, frame.lsn)),
                // It has no row, but a vote that the checkpoint is too old for.
                false if forgets_votes => records.any(|record| !record.is_vote()),
                false => true,
            }
        };
        self.segments
            .retain(|segment| segment.iter().any(is_needed));
        coverage.segments_recycled += (before - self.segments.len()) as u64;
        self.segments.push_back(active);
    }

    /// What the segments and the checkpoint say, as a reader would see it after a restart.
    fn read_rows(&self) -> BTreeMap<usize, Rows> {
        let mut rows: BTreeMap<usize, Rows> = BTreeMap::new();
        let mut ends = BTreeMap::new();
        for state in &self.checkpoint.states {
            let restore = state.restore();
            let stored = restore.stored();
            ends.insert(state.group, (state.replica, stored.last_index));
            let row = Rows {
                replica: state.replica,
                trim: stored.trim,
                durable_trim: stored.trim.index,
                hard_state: stored.hard_state,
                trim_submitted: state.trim,
                ..Rows::default()
            };
            rows.insert(state.group, row);
        }
        let frames = self.segments.iter().flatten();
        let (covered, after): (Vec<&Frame>, Vec<&Frame>) =
            frames.partition(|frame| frame.lsn <= self.checkpoint.lsn);
        for (group, rows) in &mut rows {
            rows.entries = covered_entries(&covered, *group, ends[group], rows.trim);
        }
        let mut disk = Disk {
            rows,
            ..Disk::default()
        };
        for frame in after {
            for record in &frame.records {
                let is_known = disk.rows.contains_key(&record.group);
                if is_known || matches!(record.what, What::Create(_)) {
                    disk.note(record, frame.lsn);
                }
                if let Some(rows) = disk.rows.get_mut(&record.group) {
                    rows.became_durable(record);
                }
            }
        }
        disk.rows
    }
}

impl Record {
    fn is_vote(&self) -> bool {
        matches!(self.what, What::HardState(_))
    }
}

impl Checkpoint {
    /// Whether a row was alive as of this checkpoint.
    fn needs(&self, record: &Record, lsn: u64) -> bool {
        let What::Entry(entry) = &record.what else {
            return false;
        };
        let of_replica =
            |state: &&State| state.group == record.group && state.replica == record.replica;
        let Some(state) = self.states.iter().find(of_replica) else {
            return false;
        };
        let (first, frames) = &state.live;
        let at = entry.index.checked_sub(*first);
        at.and_then(|at| frames.get(at as usize)) == Some(&lsn)
    }
}

impl State {
    fn restore(&self) -> Restoring {
        let mut restore = Restoring::decode(self.group, &self.bytes);
        let (trim, offset) = self.trim;
        if trim.index > restore.stored().trim.index {
            restore.trim(trim, offset);
        }
        restore
    }
}

impl Rows {
    /// Entries from `low` on that are durable, a few of them.
    pub(crate) fn read(&self, low: u64, high: u64, most: usize) -> Vec<Entry> {
        let Some(skipped) = low.checked_sub(self.trim.index + 1) else {
            return Vec::new();
        };
        let wanted = most.min((high - low) as usize);
        let rows = self.entries.iter().skip(skipped as usize).take(wanted);
        rows.map(|(entry, _)| entry.clone()).collect()
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.trim.index + self.entries.len() as u64
    }

    pub(crate) fn entry(&self, index: u64) -> Option<&Entry> {
        self.row(index).map(|(entry, _)| entry)
    }

    pub(crate) fn term(&self, index: u64) -> Option<u64> {
        if index == self.trim.index {
            return Some(self.trim.term);
        }
        self.entry(index).map(|entry| entry.term)
    }

    /// The process knows that the trim is on disk.
    pub(crate) fn trim_to(&mut self, trim: Trim) {
        while self.trim.index < trim.index && self.entries.pop_front().is_some() {
            self.trim.index += 1;
        }
        if trim.index >= self.trim.index {
            self.trim = trim;
        }
    }

    fn holds(&self, index: u64, durable_lsn: u64, is_meant: impl Fn(&Entry) -> bool) -> bool {
        let row = self
            .row(index)
            .or_else(|| self.replaced.as_ref()?.row(index));
        index <= self.durable_trim
            || row.is_some_and(|(entry, lsn)| is_meant(entry) && *lsn <= durable_lsn)
    }

    fn live(&self) -> (u64, Vec<u64>) {
        let first = self.trim.index.max(self.trim_submitted.0.index) + 1;
        let skipped = (first - self.trim.index - 1) as usize;
        let frames = self.entries.iter().skip(skipped).map(|(_, lsn)| *lsn);
        (first, frames.collect())
    }

    fn row(&self, index: u64) -> Option<&(Entry, u64)> {
        let at = index.checked_sub(self.trim.index + 1)?;
        self.entries.get(at as usize)
    }

    fn note(&mut self, record: &Record, lsn: u64) {
        match &record.what {
            What::Entry(entry) => {
                if entry.index <= self.trim.index {
                    return;
                }
                let kept = (entry.index - self.trim.index - 1) as usize;
                assert!(
                    kept <= self.entries.len(),
                    "the log on disk has a gap: replica {} writes entry {} after {}",
                    self.replica,
                    entry.index,
                    self.last_index()
                );
                self.entries.truncate(kept);
                self.entries.push_back((entry.clone(), lsn));
            }
            What::Install(install) => {
                let replaced = Rows {
                    trim: self.trim,
                    entries: std::mem::take(&mut self.entries),
                    ..Rows::default()
                };
                self.replaced.get_or_insert_with(|| Box::new(replaced));
                self.trim = install.trim;
            }
            What::Trim(trim, offset) => self.trim_submitted = (*trim, *offset),
            _ => {}
        }
    }

    fn became_durable(&mut self, record: &Record) {
        if record.replica != self.replica {
            return;
        }
        match &record.what {
            What::HardState(hard_state) => self.hard_state = *hard_state,
            What::Install(install) => {
                self.durable_trim = install.trim.index;
                self.replaced = None;
            }
            What::Trim(trim, _) => {
                self.durable_trim = self.durable_trim.max(trim.index);
                self.trim_to(*trim);
            }
            _ => {}
        }
    }
}

/// The rows that a checkpoint's state says are alive.
fn covered_entries(
    frames: &[&Frame],
    group: usize,
    (replica, last_index): (u64, u64),
    trim: Trim,
) -> VecDeque<(Entry, u64)> {
    let mut rows: BTreeMap<u64, (Entry, u64)> = BTreeMap::new();
    for frame in frames {
        let own = |record: &&Record| record.group == group && record.replica == replica;
        for record in frame.records.iter().filter(own) {
            match &record.what {
                What::Entry(entry) => {
                    rows.split_off(&entry.index);
                    rows.insert(entry.index, (entry.clone(), frame.lsn));
                }
                What::Install(_) => rows.clear(),
                _ => {}
            }
        }
    }
    rows.retain(|index, _| *index > trim.index && *index <= last_index);
    assert_eq!(
        rows.len() as u64,
        last_index.saturating_sub(trim.index),
        "every row above the trim point is on disk"
    );
    rows.into_values().collect()
}

fn replay(
    record: &Record,
    restored: &mut BTreeMap<usize, (u64, Restoring)>,
    mutant: Option<Mutant>,
) {
    match &record.what {
        What::Create(voters) => {
            let mut restore = Restoring::born(record.group, voters.clone());
            plant(&mut restore, mutant);
            restored.insert(record.group, (record.replica, restore));
            return;
        }
        What::Destroy => {
            restored.remove(&record.group);
            return;
        }
        _ => {}
    }
    let Some((_, restore)) = restored.get_mut(&record.group) else {
        return;
    };
    match &record.what {
        What::HardState(hard_state) => restore.hard_state(*hard_state),
        What::Entry(entry) => restore.entry(entry),
        What::Members(as_of, members) => restore.members(*as_of, members.clone()),
        What::Install(install) => restore.install(install),
        What::Trim(trim, offset) => restore.trim(*trim, *offset),
        What::Create(_) | What::Destroy => {}
    }
}

fn plant(restore: &mut Restoring, mutant: Option<Mutant>) {
    if let Some(mutant) = mutant {
        restore.plant(mutant.planted());
    }
}
