//! What raft-rs sees as its storage: the boundaries and terms of the log, and its newest entries.
//!
//! Raft's records are on disk and stay there. A data group's older entries are handed out *light* (index and term,
//! no bytes), because nobody applies them; a state group keeps every entry that is not applied.

use std::collections::VecDeque;

use raft::eraftpb::{self, ConfState, Entry, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

use super::{HardState, Stored};

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
    serves_light_entries: bool,
}

impl View {
    pub(super) fn new(stored: Stored, commit: u64, applies_entries: bool) -> View {
        let follows =
            |entry: &Entry| entry.index + stored.tail.len() as u64 == stored.last_index + 1;
        assert!(
            stored.tail.first().is_none_or(follows),
            "the tail ends with the last entry"
        );
        let mut view = View {
            hard_state: HardState {
                commit,
                ..stored.hard_state
            },
            conf_state: ConfState::from((stored.voters, Vec::new())),
            trim: stored.trim,
            last_index: stored.last_index.max(stored.trim.index),
            terms: stored.terms,
            tail: stored.tail.into(),
            serves_light_entries: !applies_entries,
        };
        view.forget_terms();
        view
    }

    pub(super) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    pub(super) fn trim(&self) -> Trim {
        self.trim
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
        for entry in entries {
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
    }

    /// Keeps the term of the trim point itself, which Raft asks for.
    fn forget_terms(&mut self) {
        let kept_from = self
            .terms
            .partition_point(|start| start.index <= self.trim.index);
        self.terms.drain(..kept_from);
        self.terms.insert(
            0,
            TermStart {
                index: self.trim.index,
                term: self.trim.term,
            },
        );
    }

    fn light(&self, index: u64) -> Entry {
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
        let HardState { term, vote, commit } = self.hard_state;
        let hard_state = eraftpb::HardState {
            term,
            vote,
            commit,
            ..Default::default()
        };
        Ok(RaftState {
            hard_state,
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
        if low < cached_from && (context.can_async() || !self.serves_light_entries) {
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
        raft::util::limit_size(&mut entries, max_size.into());
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
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
