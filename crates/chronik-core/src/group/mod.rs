//! One Raft group: messages and proposals in, orders out, and no promise before its bytes are durable.
//!
//! raft-rs decides; this module feeds it in the asynchronous way: a ready is *accepted* within one call, and
//! *persisted* when [`Group::persisted`] reports its number. Between the two nothing leaves that promises
//! durability. The rules behind the order of steps in [`Group::drain`] are in the architecture notes.

mod storage;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::{Config, RawNode, StateRole};

use crate::ids::GroupUid;
use crate::wire::{Reader, WireError, Writer};
pub use raft::eraftpb;
use storage::View;
pub use storage::{TermStart, Trim};

/// What a group is built from: its place in the cluster and all that its storage remembers.
#[derive(Clone, Debug)]
pub struct Settings {
    pub uid: GroupUid,
    /// This replica, in one incarnation: never a plain node id.
    pub replica: u64,
    /// Ticks without a leader before this replica campaigns; different on every voter of the group, because equal
    /// values collide for ever.
    pub election_ticks: usize,
    pub heartbeat_ticks: usize,
    /// A state group applies its entries; a data group's entries are records that nobody applies.
    pub applies_entries: bool,
}

/// What storage remembers of a group, [`Stored::new`] for one that is just born.
#[derive(Clone, Debug)]
pub struct Stored {
    pub hard_state: HardState,
    pub voters: Vec<u64>,
    pub trim: Trim,
    pub last_index: u64,
    /// Where terms begin, from the trim point on.
    pub terms: Vec<TermStart>,
    /// Up to where entries are applied.
    pub applied: u64,
    /// The last entries of a state group, from `applied + 1` on; empty for a data group.
    pub tail: Vec<Entry>,
}

/// The part of Raft's state that must never go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    pub term: u64,
    pub vote: u64,
    pub commit: u64,
}

/// Who leads, as far as this replica knows. `term` and `leader` change as a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    pub term: u64,
    /// 0 when nobody is known to lead.
    pub leader: u64,
}

/// An order to the owner of the I/O, to be obeyed in sequence.
#[derive(Debug)]
pub enum Action {
    /// Another pair of term and leader is known.
    Leadership(Leadership),
    /// Send now: these messages promise nothing that is not durable.
    Send(Vec<Message>),
    /// Make this durable, then report `number`.
    Persist(Persist),
    /// The commit index moved.
    Committed { index: u64 },
    /// Entries of a state group to apply, in order.
    Apply(Vec<Entry>),
}

#[derive(Debug)]
pub struct Persist {
    pub number: u64,
    /// Stands before the entries in the log.
    pub hard_state: Option<HardState>,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeRefused {
    #[error("this replica does not lead the group")]
    NotLeader,
    #[error("this replica leads, but its term has no committed entry yet")]
    NotReady,
}

/// One replica of one Raft group.
pub struct Group {
    uid: GroupUid,
    node: RawNode<View>,
    applies_entries: bool,
    leadership: Leadership,
    committed: u64,
    /// Readies whose bytes are on their way, with the messages that wait for them.
    unpersisted: VecDeque<Unpersisted>,
    /// The first index of the own term, while leading.
    own_term_from: Option<u64>,
}

struct Unpersisted {
    number: u64,
    messages: Vec<Message>,
}

const MAX_MESSAGE_BYTES: u64 = 1024 * 1024;
const MAX_IN_FLIGHT: usize = 64;
const STATE_VERSION: u8 = 1;

impl Group {
    /// Builds a replica from its storage alone.
    pub fn new(settings: &Settings, stored: Stored) -> Group {
        let applied = match settings.applies_entries {
            true => stored.applied.max(stored.trim.index),
            // Nobody applies records: everything that is committed counts as applied.
            false => stored
                .hard_state
                .commit
                .clamp(stored.trim.index, stored.last_index),
        };
        let commit = stored.hard_state.commit.max(applied).min(stored.last_index);
        let config = Config {
            id: settings.replica,
            election_tick: settings.election_ticks,
            heartbeat_tick: settings.heartbeat_ticks,
            // raft-rs draws a random number in between: this leaves it one choice.
            min_election_tick: settings.election_ticks,
            max_election_tick: settings.election_ticks + 1,
            applied,
            max_size_per_msg: MAX_MESSAGE_BYTES,
            max_inflight_msgs: MAX_IN_FLIGHT,
            check_quorum: true,
            pre_vote: true,
            max_uncommitted_size: raft::NO_LIMIT,
            max_committed_size_per_ready: raft::NO_LIMIT,
            ..Config::default()
        };
        let view = View::new(stored, commit, settings.applies_entries);
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, view, &logger)
            .expect("the configuration is valid by construction");
        let term = node.raft.term;
        Group {
            uid: settings.uid,
            node,
            applies_entries: settings.applies_entries,
            leadership: Leadership { term, leader: 0 },
            committed: commit,
            unpersisted: VecDeque::new(),
            own_term_from: None,
        }
    }

    pub fn uid(&self) -> GroupUid {
        self.uid
    }

    pub fn leadership(&self) -> Leadership {
        self.leadership
    }

    pub fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    pub fn term(&self) -> u64 {
        self.node.raft.term
    }

    pub fn last_index(&self) -> u64 {
        self.node.raft.raft_log.last_index()
    }

    pub fn committed(&self) -> u64 {
        self.committed
    }

    pub fn trim(&self) -> Trim {
        self.node.store().trim()
    }

    /// A group of one voter needs nobody's time: it leads as soon as it exists.
    pub fn is_alone(&self) -> bool {
        let members = self.node.raft.prs();
        members.iter().count() == 1 && members.conf().voters().contains(self.node.raft.id)
    }

    /// Whether a proposal would be taken now.
    pub fn readiness(&self) -> Result<(), ProposeRefused> {
        if !self.is_leader() {
            return Err(ProposeRefused::NotLeader);
        }
        match self.own_term_from {
            Some(index) if index <= self.committed => Ok(()),
            _ => Err(ProposeRefused::NotReady),
        }
    }

    /// Proposes all of `entries` at once and returns the index of the first.
    pub fn propose(
        &mut self,
        entries: impl IntoIterator<Item = Bytes>,
    ) -> Result<u64, ProposeRefused> {
        self.readiness()?;
        let entries = entries.into_iter().map(|data| Entry {
            data,
            ..Entry::default()
        });
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.set_from(self.node.raft.id);
        message.set_entries(entries.collect::<Vec<_>>().into());
        let first = self.last_index() + 1;
        self.node
            .raft
            .step(message)
            .expect("a ready leader takes proposals of any size");
        Ok(first)
    }

    /// One tick of time.
    pub fn tick(&mut self) {
        self.node.tick();
    }

    /// Stands for election if it may.
    pub fn campaign(&mut self) {
        if self.node.raft.promotable() && !self.is_leader() {
            // An error means that the group cannot be led from here now, which the next tick finds out as well.
            let _ = self.node.campaign();
        }
    }

    /// Everything up to this number is durable.
    pub fn persisted(&mut self, number: u64, out: &mut Vec<Action>) {
        while let Some(ready) = self
            .unpersisted
            .pop_front_if(|ready| ready.number <= number)
        {
            if !ready.messages.is_empty() {
                out.push(Action::Send(ready.messages));
            }
        }
        self.node.on_persist_ready(number);
    }

    /// The same tail after every event: turns what Raft wants into orders.
    pub fn drain(&mut self, out: &mut Vec<Action>) {
        while self.node.has_ready() {
            self.accept_ready(out);
        }
        self.note_commit(out);
    }

    /// Applied entries need not be kept in memory; the owner says so once they are.
    pub fn applied(&mut self, index: u64) {
        self.node.advance_apply_to(index);
    }

    /// Forgets entries up to `index`, which are trimmed in storage.
    pub fn trimmed(&mut self, trim: Trim) {
        assert!(
            trim.index <= self.committed,
            "only committed entries are trimmed"
        );
        self.node.mut_store().trim_to(trim);
    }

    /// The term of an entry that is kept, or of the trim point.
    pub fn term_of(&self, index: u64) -> Option<u64> {
        self.node
            .raft
            .raft_log
            .term(index)
            .ok()
            .filter(|term| *term > 0)
    }

    /// The entries of a state group that are not applied yet: no state covers them.
    pub fn unapplied(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.node.store().after(self.node.raft.raft_log.applied)
    }

    /// Drops cached entries up to `index`; durable ones only.
    pub fn evict(&mut self, index: u64) {
        let durable = self.node.raft.raft_log.persisted;
        self.node.mut_store().evict(index.min(durable));
    }

    /// The terms of the log, for the checkpoint.
    pub fn encode(&self, out: &mut Writer) {
        out.u8(STATE_VERSION);
        let terms = self.node.store().terms();
        out.count(terms.len());
        for start in terms {
            out.u64(start.index).u64(start.term);
        }
    }

    /// What [`Group::encode`] wrote.
    pub fn decode_terms(input: &mut Reader<'_>) -> Result<Vec<TermStart>, WireError> {
        match input.u8()? {
            STATE_VERSION => {}
            other => return Err(input.unknown("group state version", other.into())),
        }
        let count = input.count(16)?;
        (0..count)
            .map(|_| {
                Ok(TermStart {
                    index: input.u64()?,
                    term: input.u64()?,
                })
            })
            .collect()
    }

    /// One ready, from acceptance to what may leave now. No I/O happens between `ready` and `advance`.
    fn accept_ready(&mut self, out: &mut Vec<Action>) {
        let mut ready = self.node.ready();
        let number = ready.number();
        let hard_state = ready.hs().map(HardState::from_raft);
        let turns_term = ready.hs().is_some_and(|hs| self.turns_term(hs));
        let mut at_once = ready.take_messages();
        let mut after_persist = ready.take_persisted_messages();
        let entries = ready.take_entries();
        let committed = ready.take_committed_entries();
        assert!(
            ready.snapshot().is_empty(),
            "snapshots come with the cluster"
        );

        self.node.mut_store().append(&entries);
        if let Some(hard_state) = hard_state {
            self.node.mut_store().set_hard_state(hard_state);
        }
        self.note_leadership(&entries, out);
        if turns_term {
            // A single voter with learners wins inside `campaign`: its appends wait for its term.
            after_persist.splice(0..0, at_once.drain(..));
        }
        if !at_once.is_empty() {
            out.push(Action::Send(at_once));
        }

        let writes = !entries.is_empty() || (hard_state.is_some() && ready.must_sync());
        let waits = writes || !self.unpersisted.is_empty();
        if writes {
            self.unpersisted.push_back(Unpersisted {
                number,
                messages: after_persist,
            });
            out.push(Action::Persist(Persist {
                number,
                hard_state,
                entries,
            }));
        } else if let Some(last) = self.unpersisted.back_mut() {
            // A ready without bytes may acknowledge entries of one that is still on its way.
            last.number = number;
            last.messages.append(&mut after_persist);
        } else if !after_persist.is_empty() {
            out.push(Action::Send(after_persist));
        }

        self.node.advance_append_async(ready);
        if !waits {
            self.node.on_persist_ready(number);
        }
        self.hand_out_committed(committed, out);
    }

    fn hand_out_committed(&mut self, committed: Vec<Entry>, out: &mut Vec<Action>) {
        let Some(last) = committed.last().map(|entry| entry.index) else {
            return;
        };
        let plain = committed
            .iter()
            .all(|entry| entry.get_entry_type() == EntryType::EntryNormal);
        assert!(plain, "membership changes come with the cluster");
        if self.applies_entries {
            out.push(Action::Apply(committed));
        } else {
            self.node.advance_apply_to(last);
        }
    }

    fn turns_term(&self, hard_state: &eraftpb::HardState) -> bool {
        let stored = self.node.store().hard_state();
        hard_state.term != stored.term || hard_state.vote != stored.vote
    }

    fn note_leadership(&mut self, entries: &[Entry], out: &mut Vec<Action>) {
        let known = Leadership {
            term: self.node.raft.term,
            leader: self.node.raft.leader_id,
        };
        assert!(known.term >= self.leadership.term, "a term never falls");
        if known != self.leadership {
            self.leadership = known;
            self.own_term_from = None;
            out.push(Action::Leadership(known));
        }
        if self.is_leader() && self.own_term_from.is_none() {
            self.own_term_from = entries
                .iter()
                .find(|entry| entry.term == known.term)
                .map(|entry| entry.index);
        }
    }

    fn note_commit(&mut self, out: &mut Vec<Action>) {
        let committed = self.node.raft.raft_log.committed;
        assert!(committed >= self.committed, "a commit index never falls");
        if committed > self.committed {
            self.committed = committed;
            out.push(Action::Committed { index: committed });
        }
    }
}

impl Stored {
    /// A group that begins now: as if trimmed at index 1, so that its voters are part of its birth.
    pub fn new(voters: Vec<u64>) -> Stored {
        let trim = Trim { index: 1, term: 1 };
        Stored {
            hard_state: HardState {
                term: 1,
                vote: 0,
                commit: 1,
            },
            voters,
            trim,
            last_index: 1,
            terms: vec![TermStart { index: 1, term: 1 }],
            applied: 1,
            tail: Vec::new(),
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
        let state = HardState {
            term: input.u64()?,
            vote: input.u64()?,
            commit: input.u64()?,
        };
        input.end()?;
        Ok(state)
    }

    fn from_raft(state: &eraftpb::HardState) -> HardState {
        HardState {
            term: state.term,
            vote: state.vote,
            commit: state.commit,
        }
    }
}
