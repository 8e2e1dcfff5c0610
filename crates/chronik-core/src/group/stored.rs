//! What storage remembers of a group, and how it follows from the records in the order of writing.

use bytes::Bytes;
use raft::eraftpb::{self, Entry, EntryType};

use super::install::Install;
use super::members::Members;
use super::storage::{TermStart, Trim};
use crate::wire::{Reader, WireError, Writer};

/// What storage remembers of a group: [`Stored::new`] for one that is just born, [`Stored::empty`] for a replica
/// that joins one.
#[derive(Clone, Debug)]
pub struct Stored {
    pub hard_state: HardState,
    pub members: Members,
    /// `members` hold what entries up to here say about them.
    pub members_as_of: u64,
    pub trim: Trim,
    pub last_index: u64,
    /// Where terms begin, from the trim point on.
    pub terms: Vec<TermStart>,
    /// Up to where entries are applied; a data group finds that out itself.
    pub applied: u64,
    /// The last entries of a state group, from `applied + 1` on; empty for a data group.
    pub tail: Vec<Entry>,
    /// The entries of a data group that change its members, from `members_as_of + 1` on.
    pub changes: Vec<Entry>,
}

/// The part of Raft's state that must never go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    pub term: u64,
    pub vote: u64,
    pub commit: u64,
}

impl Stored {
    /// A group that begins now: as if trimmed at index 1, so that its voters are part of its birth.
    pub fn new(voters: Vec<u64>) -> Stored {
        Stored {
            hard_state: HardState {
                term: 1,
                vote: 0,
                commit: 1,
            },
            members: Members::of_voters(voters),
            members_as_of: 1,
            ..Stored::trimmed_at(Trim { index: 1, term: 1 })
        }
    }

    /// A replica that knows nothing: it is a member of nothing until a leader sends it a snapshot.
    pub fn empty() -> Stored {
        Stored::trimmed_at(Trim { index: 0, term: 0 })
    }

    /// The next entry in the order of writing: it replaces the same index and everything above it.
    pub fn entry(&mut self, entry: &Entry) {
        self.terms.retain(|start| start.index < entry.index);
        self.changes.retain(|change| change.index < entry.index);
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
        if changes_members(entry) && entry.index > self.members_as_of {
            self.changes.push(entry.clone());
        }
        self.last_index = entry.index;
    }

    /// The same for a state group, which applies it later.
    pub fn unapplied_entry(&mut self, entry: &Entry) {
        self.entry(entry);
        self.tail.retain(|kept| kept.index < entry.index);
        self.tail.push(entry.clone());
    }

    /// Members that were in effect once everything up to `as_of` was applied.
    pub fn members(&mut self, as_of: u64, members: Members) {
        self.members = members;
        self.members_as_of = as_of;
        self.changes.retain(|change| change.index > as_of);
    }

    /// A snapshot kills all earlier entries, also those above its trim point.
    pub fn install(&mut self, install: &Install) {
        *self = Stored {
            hard_state: self.hard_state,
            members: install.members.clone(),
            members_as_of: install.members_as_of,
            ..Stored::trimmed_at(install.trim)
        };
    }

    pub fn trim(&mut self, trim: Trim) {
        if trim.index <= self.trim.index {
            return;
        }
        let kept_from = self
            .terms
            .partition_point(|start| start.index <= trim.index);
        self.terms.drain(..kept_from);
        self.terms.insert(0, trim.as_term_start());
        self.changes.retain(|change| change.index > trim.index);
        self.tail.retain(|entry| entry.index > trim.index);
        self.trim = trim;
        self.last_index = self.last_index.max(trim.index);
    }

    pub fn encode(&self, out: &mut Writer) {
        out.raw(&self.hard_state.encode());
        self.members.encode(out);
        out.u64(self.members_as_of)
            .u64(self.trim.index)
            .u64(self.trim.term)
            .u64(self.last_index)
            .u64(self.applied);
        out.count(self.terms.len());
        for start in &self.terms {
            out.u64(start.index).u64(start.term);
        }
        encode_entries(&self.tail, out);
        encode_entries(&self.changes, out);
    }

    pub fn decode(input: &mut Reader<'_>) -> Result<Stored, WireError> {
        let hard_state = HardState::read(input)?;
        let members = Members::decode(input)?;
        let members_as_of = input.u64()?;
        let trim = Trim {
            index: input.u64()?,
            term: input.u64()?,
        };
        let (last_index, applied) = (input.u64()?, input.u64()?);
        let terms = (0..input.count(16)?)
            .map(|_| {
                Ok(TermStart {
                    index: input.u64()?,
                    term: input.u64()?,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Stored {
            hard_state,
            members,
            members_as_of,
            trim,
            last_index,
            terms,
            applied,
            tail: decode_entries(input)?,
            changes: decode_entries(input)?,
        })
    }

    /// Where the commit index may stand: not below what is trimmed, not above what is there.
    ///
    /// What changed members was committed. A removed replica that forgot this could neither lead nor tell those who
    /// still need its vote that they do not.
    pub(super) fn commit(&self, applied: u64) -> u64 {
        self.hard_state
            .commit
            .max(self.members_as_of)
            .max(self.trim.index)
            .max(applied)
            .min(self.last_index)
    }

    fn trimmed_at(trim: Trim) -> Stored {
        Stored {
            hard_state: HardState::default(),
            members: Members::default(),
            members_as_of: 0,
            trim,
            last_index: trim.index,
            terms: vec![trim.as_term_start()],
            applied: trim.index,
            tail: Vec::new(),
            changes: Vec::new(),
        }
    }
}

impl HardState {
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u64(self.term).u64(self.vote).u64(self.commit);
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<HardState, WireError> {
        let mut input = Reader::new(bytes);
        let state = HardState::read(&mut input)?;
        input.end()?;
        Ok(state)
    }

    pub(super) fn from_raft(state: &eraftpb::HardState) -> HardState {
        HardState {
            term: state.term,
            vote: state.vote,
            commit: state.commit,
        }
    }

    pub(super) fn to_raft(self) -> eraftpb::HardState {
        eraftpb::HardState {
            term: self.term,
            vote: self.vote,
            commit: self.commit,
            ..eraftpb::HardState::default()
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<HardState, WireError> {
        Ok(HardState {
            term: input.u64()?,
            vote: input.u64()?,
            commit: input.u64()?,
        })
    }
}

/// Whether an entry is about the group itself and not its owner's.
pub fn changes_members(entry: &Entry) -> bool {
    entry.get_entry_type() != EntryType::EntryNormal
}

fn encode_entries(entries: &[Entry], out: &mut Writer) {
    out.count(entries.len());
    for entry in entries {
        out.u64(entry.index)
            .u64(entry.term)
            .u8(changes_members(entry).into())
            .blob(&entry.data);
    }
}

fn decode_entries(input: &mut Reader<'_>) -> Result<Vec<Entry>, WireError> {
    (0..input.count(21)?)
        .map(|_| {
            let mut entry = Entry {
                index: input.u64()?,
                term: input.u64()?,
                ..Entry::default()
            };
            if input.u8()? != 0 {
                entry.set_entry_type(EntryType::EntryConfChangeV2);
            }
            entry.data = Bytes::copy_from_slice(input.blob()?);
            Ok(entry)
        })
        .collect()
}
