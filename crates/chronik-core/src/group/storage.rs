//! What raft-rs sees as its storage: the boundaries and terms of the log, and its newest entries.
//!
//! Raft's records are on disk and stay there. A data group's older entries are handed out *light* (index and term,
//! no bytes), because nobody applies them; a state group keeps every entry that is not applied. What a follower needs
//! and memory no longer has is asked of the owner, and Raft comes back for it.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use raft::eraftpb::{ConfState, Entry, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

use super::stored::{HardState, Stored, changes_members};
use super::{Fetch, Install};

/// Everything up to this entry is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trim {
    pub index: u64,
    pub term: u64,
}

/// From this index on, entries are of this term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermStart {
    pub index: u64,
    pub term: u64,
}

pub(super) struct View {
    hard_state: HardState,
    conf_state: ConfState,
    trim: Trim,
    last_index: u64,
    terms: Vec<TermStart>,
    /// The newest entries, without a gap up to `last_index`.
    tail: VecDeque<Entry>,
    /// The entries of a data group that change its members: the only ones whose bytes are asked for out of turn.
    changes: BTreeMap<u64, Entry>,
    serves_light_entries: bool,
    /// Raft reads through a shared reference, so what it lacked is noted behind it.
    wants: RefCell<Wants>,
    /// Entries that were fetched, for the moment in which Raft comes back for them.
    fetched: Vec<Entry>,
}

#[derive(Default)]
struct Wants {
    fetches: Vec<Wanted>,
    fetches_made: u64,
    snapshot: bool,
    offered: Option<Install>,
}

/// Entries that are being fetched, and who asked for them.
struct Wanted {
    fetch: Fetch,
    is_ordered: bool,
    contexts: Vec<GetEntriesContext>,
}

/// Peers that wait for the same entries; more of them ask again with their next heartbeat.
const MAX_WAITING_FOR_A_FETCH: usize = 8;
/// Different places that peers may read at once.
const MAX_FETCHES: usize = 8;

impl View {
    pub(super) fn new(stored: Stored, commit: u64, applies_entries: bool) -> View {
        let follows =
            |entry: &Entry| entry.index + stored.tail.len() as u64 == stored.last_index + 1;
        assert!(
            stored.tail.first().is_none_or(follows),
            "the tail ends with the last entry"
        );
        let changes = stored.changes.into_iter().map(|entry| (entry.index, entry));
        let mut view = View {
            hard_state: HardState {
                commit,
                ..stored.hard_state
            },
            conf_state: stored.members.to_raft(),
            trim: stored.trim,
            last_index: stored.last_index.max(stored.trim.index),
            terms: stored.terms,
            tail: stored.tail.into(),
            changes: changes.collect(),
            serves_light_entries: !applies_entries,
            wants: RefCell::default(),
            fetched: Vec::new(),
        };
        view.forget_terms();
        view
    }

    pub(super) fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    pub(super) fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = conf_state;
        self.wants.get_mut().offered = None;
    }

    /// The entries above `index` that change members.
    pub(super) fn changes_after(&self, index: u64) -> impl Iterator<Item = &Entry> {
        self.changes.range(index + 1..).map(|(_, entry)| entry)
    }

    /// The log begins anew where a snapshot ends.
    pub(super) fn install(&mut self, install: &Install) {
        self.trim = install.trim;
        self.last_index = install.trim.index;
        self.terms = vec![install.trim.as_term_start()];
        self.tail.clear();
        self.changes.clear();
        self.set_conf_state(install.members.to_raft());
        self.forget_wants();
    }

    /// The fetches that Raft came to want since the last call.
    pub(super) fn take_fetches(&mut self) -> Vec<Fetch> {
        let wants = self.wants.get_mut();
        let new = wants.fetches.iter_mut().filter(|wanted| !wanted.is_ordered);
        new.map(|wanted| {
            wanted.is_ordered = true;
            wanted.fetch
        })
        .collect()
    }

    /// Lends fetched entries to Raft; returns what it must be called back with. None if nobody waits any more.
    pub(super) fn lend(&mut self, id: u64, entries: Vec<Entry>) -> Option<Vec<GetEntriesContext>> {
        let fetches = &mut self.wants.get_mut().fetches;
        let at = fetches.iter().position(|wanted| wanted.fetch.id == id)?;
        let wanted = fetches.swap_remove(at);
        let is_current = |(index, entry): (u64, &Entry)| {
            entry.index == index && self.term(index).ok() == Some(entry.term)
        };
        if (wanted.fetch.low..).zip(&entries).all(is_current) {
            self.fetched = entries;
        }
        Some(wanted.contexts)
    }

    pub(super) fn end_loan(&mut self) {
        self.fetched = Vec::new();
    }

    /// Another leader or another log: what was on its way is of no use.
    pub(super) fn forget_wants(&mut self) {
        let wants = self.wants.get_mut();
        wants.fetches.clear();
        wants.snapshot = false;
        wants.offered = None;
    }

    /// Whether a peer needs a snapshot and none is offered.
    pub(super) fn take_snapshot_want(&mut self) -> bool {
        std::mem::take(&mut self.wants.get_mut().snapshot)
    }

    pub(super) fn offer(&mut self, install: Install) {
        self.wants.get_mut().offered = Some(install);
    }

    pub(super) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    pub(super) fn trim(&self) -> Trim {
        self.trim
    }

    pub(super) fn stored_last_index(&self) -> u64 {
        self.last_index
    }

    pub(super) fn terms(&self) -> &[TermStart] {
        &self.terms
    }

    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        assert!(
            hard_state.term >= self.hard_state.term,
            "a term never falls"
        );
        self.hard_state = hard_state;
    }

    /// Takes new entries, which replace all from their first index on.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else {
            return;
        };
        assert!(
            first.index > self.trim.index && first.index <= self.last_index + 1,
            "a log has no gap"
        );
        while self
            .tail
            .pop_back_if(|entry| entry.index >= first.index)
            .is_some()
        {}
        self.terms.retain(|start| start.index < first.index);
        self.changes.retain(|index, _| *index < first.index);
        for entry in entries {
            if self.serves_light_entries && changes_members(entry) {
                self.changes.insert(entry.index, entry.clone());
            }
            if self
                .terms
                .last()
                .is_none_or(|start| start.term != entry.term)
            {
                self.terms.push(TermStart {
                    index: entry.index,
                    term: entry.term,
                });
            }
            self.tail.push_back(entry.clone());
        }
        self.last_index = self.tail.back().expect("entries were pushed").index;
    }

    /// The cached entries above `index`.
    pub(super) fn after(&self, index: u64) -> impl ExactSizeIterator<Item = &Entry> {
        let first = self.tail.partition_point(|entry| entry.index <= index);
        self.tail.range(first..)
    }

    pub(super) fn evict(&mut self, index: u64) {
        while self
            .tail
            .pop_front_if(|entry| entry.index <= index)
            .is_some()
        {}
    }

    pub(super) fn trim_to(&mut self, trim: Trim) {
        if trim.index <= self.trim.index {
            return;
        }
        assert!(trim.index <= self.last_index, "a trim point is in the log");
        self.trim = trim;
        self.evict(trim.index);
        self.forget_terms();
        self.changes.retain(|index, _| *index > trim.index);
        self.wants.get_mut().offered = None;
    }

    /// Keeps the term of the trim point itself, which Raft asks for.
    fn forget_terms(&mut self) {
        let kept_from = self
            .terms
            .partition_point(|start| start.index <= self.trim.index);
        self.terms.drain(..kept_from);
        self.terms.insert(0, self.trim.as_term_start());
    }

    fn want_entries(&self, low: u64, high: u64, max_bytes: u64, context: GetEntriesContext) {
        let mut wants = self.wants.borrow_mut();
        let same = |wanted: &&mut Wanted| wanted.fetch.low == low;
        if let Some(wanted) = wants.fetches.iter_mut().find(same) {
            if wanted.contexts.len() < MAX_WAITING_FOR_A_FETCH {
                wanted.contexts.push(context);
            }
            return;
        }
        if wants.fetches.len() == MAX_FETCHES {
            return;
        }
        wants.fetches_made += 1;
        let fetch = Fetch {
            id: wants.fetches_made,
            low,
            high,
            max_bytes,
        };
        wants.fetches.push(Wanted {
            fetch,
            is_ordered: false,
            contexts: vec![context],
        });
    }

    fn lent(&self, low: u64, high: u64) -> Option<Vec<Entry>> {
        let first = self.fetched.first()?.index;
        let skipped = low.checked_sub(first)? as usize;
        let entries = self.fetched.get(skipped..)?;
        let count = entries.len().min((high - low) as usize);
        (count > 0).then(|| entries[..count].to_vec())
    }

    fn light(&self, index: u64) -> Entry {
        if let Some(change) = self.changes.get(&index) {
            return change.clone();
        }
        let term = self.term(index).expect("the index is within the log");
        Entry {
            index,
            term,
            ..Entry::default()
        }
    }
}

impl Storage for View {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState {
            hard_state: self.hard_state.to_raft(),
            conf_state: self.conf_state.clone(),
        })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.trim.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(
            high <= self.last_index + 1,
            "entries beyond the last are never asked for"
        );
        let cached_from = self
            .tail
            .front()
            .map_or(self.last_index + 1, |entry| entry.index);
        let max_size = max_size.into();
        if low < cached_from && (context.can_async() || !self.serves_light_entries) {
            if let Some(mut entries) = self.lent(low, high) {
                raft::util::limit_size(&mut entries, max_size);
                return Ok(entries);
            }
            self.want_entries(low, high, max_size.unwrap_or(u64::MAX), context);
            return Err(Error::Store(StorageError::LogTemporarilyUnavailable));
        }
        let light = (low..high.min(cached_from)).map(|index| self.light(index));
        let skipped = low.saturating_sub(cached_from) as usize;
        let cached = self
            .tail
            .iter()
            .skip(skipped)
            .take(high.saturating_sub(cached_from.max(low)) as usize)
            .cloned();
        let mut entries: Vec<Entry> = light.chain(cached).collect();
        raft::util::limit_size(&mut entries, max_size);
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index < self.trim.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if index > self.last_index {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let after = self.terms.partition_point(|start| start.index <= index);
        Ok(self.terms[after - 1].term)
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.trim.index + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last_index)
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> Result<Snapshot> {
        let mut wants = self.wants.borrow_mut();
        match wants.offered.take() {
            Some(install) => Ok(install.to_raft()),
            None => {
                wants.snapshot = true;
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}

impl Trim {
    pub(super) fn as_term_start(self) -> TermStart {
        TermStart {
            index: self.index,
            term: self.term,
        }
    }
}
