//! One Raft group: messages and proposals in, orders out, and no promise before its bytes are durable.
//!
//! raft-rs decides; this module feeds it in the asynchronous way: a ready is *accepted* within one call, and
//! *persisted* when [`Group::persisted`] reports its number. Between the two nothing leaves that promises
//! durability. The rules behind the order of steps in [`Group::drain`] are in the architecture notes.

mod catch_up;
mod in_sync;
mod install;
mod members;
mod reads;
mod ready;
mod storage;
mod stored;
mod transfer;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;
use chronik_fault::{Fault, Planted};
use raft::eraftpb::{Entry, Message, MessageType};
use raft::{Config, RawNode, SnapshotStatus, StateRole};

use crate::ids::GroupUid;
use crate::wire::{Reader, WireError, Writer};
use catch_up::CatchUp;
pub use catch_up::payload_bytes;
use in_sync::InSync;
pub use in_sync::Lag;
pub use install::Install;
pub use members::{Change, ChangeRefused, Members};
pub use raft::eraftpb;
use reads::Reads;
use storage::View;
pub use storage::{TermStart, Trim};
pub use stored::{HardState, Stored, changes_members};
pub use transfer::TransferRefused;

/// What a group is built from: its place in the cluster and what its owner is.
#[derive(Clone, Debug)]
pub struct Settings {
    pub uid: GroupUid,
    /// This replica, in one incarnation: never a plain node id.
    pub replica: u64,
    /// Different in every life of the process.
    pub boot: u64,
    /// Ticks without a leader before this replica campaigns; different on every voter of the group, because equal
    /// values collide for ever.
    pub election_ticks: usize,
    pub heartbeat_ticks: usize,
    /// A state group applies its entries; a data group's entries are records that nobody applies.
    pub applies_entries: bool,
    pub lag: Lag,
    /// A mistake to make on purpose, where a test wants to see it noticed.
    pub planted: Planted,
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
    /// Write down who takes part, behind everything that was to be persisted so far. Nobody waits for it.
    Members { as_of: u64, members: Members },
    /// The commit index moved.
    Committed { index: u64 },
    /// Entries of a state group to apply, in order.
    Apply(Vec<Entry>),
    /// Read these entries from the log for a peer and hand them to [`Group::fetched`].
    Fetch(Fetch),
    /// A peer needs a snapshot: hand one to [`Group::offer_snapshot`].
    SnapshotWanted,
    /// All reads of this round and before may be answered as of `index`, which is committed here.
    ReadConfirmed { round: u64, index: u64 },
}

#[derive(Debug)]
pub struct Persist {
    pub number: u64,
    /// Stands before everything else in the log, and kills all earlier entries.
    pub install: Option<Install>,
    /// Stands before the entries in the log, in the same frame.
    pub hard_state: Option<HardState>,
    pub entries: Vec<Entry>,
}

/// Entries that a peer needs and memory no longer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub id: u64,
    /// The first index wanted, and the one after the last.
    pub low: u64,
    pub high: u64,
    /// Fewer entries are welcome, at least one.
    pub max_bytes: u64,
}

/// How far a peer is, in the eyes of the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub replica: u64,
    /// Its log is known to be the leader's up to here, durably.
    pub matched: u64,
    /// It was heard of in this election timeout.
    pub is_active: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeRefused {
    #[error("this replica does not lead the group")]
    NotLeader,
    #[error("this replica leads, but its term has no committed entry yet")]
    NotReady,
    #[error("leadership is being handed over: the proposal may wait until that has ended")]
    Transferring,
}

/// One replica of one Raft group.
pub struct Group {
    uid: GroupUid,
    node: RawNode<View>,
    applies_entries: bool,
    leadership: Leadership,
    committed: u64,
    /// What the entries up to here say about members is in effect.
    members_as_of: u64,
    /// Readies whose bytes are on their way, with the messages that wait for them.
    unpersisted: VecDeque<Unpersisted>,
    /// A commit index that is not worth a write of its own: it goes with the next one.
    unwritten: Option<HardState>,
    /// The ready that installs a snapshot, until it is durable.
    installing: Option<u64>,
    reads: Reads,
    in_sync: InSync,
    catch_up: CatchUp,
    planted: Planted,
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
            false => applied_records(&stored),
        };
        let commit = stored.commit(applied);
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
            pre_vote: !settings.planted.is(Fault::NoPreVote),
            max_uncommitted_size: raft::NO_LIMIT,
            max_committed_size_per_ready: raft::NO_LIMIT,
            ..Config::default()
        };
        let members_as_of = stored.members_as_of;
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
            members_as_of,
            unpersisted: VecDeque::new(),
            unwritten: None,
            installing: None,
            reads: Reads::new(settings.boot),
            in_sync: InSync::new(settings.lag),
            catch_up: CatchUp::default(),
            planted: settings.planted,
        }
    }

    pub fn planted(&self) -> Planted {
        self.planted
    }

    pub fn uid(&self) -> GroupUid {
        self.uid
    }

    pub fn replica(&self) -> u64 {
        self.node.raft.id
    }

    pub fn leadership(&self) -> Leadership {
        self.leadership
    }

    pub fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    /// It asked for votes in a term of its own: standing again would begin another one.
    pub fn is_candidate(&self) -> bool {
        self.node.raft.state == StateRole::Candidate
    }

    pub fn term(&self) -> u64 {
        self.node.raft.term
    }

    pub fn last_index(&self) -> u64 {
        self.node.raft.raft_log.last_index()
    }

    /// The last entry that was ordered to be written.
    pub fn stored_last_index(&self) -> u64 {
        self.node.store().stored_last_index()
    }

    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Term, vote and commit index as of all orders that were given. Who writes it himself makes the commit index as
    /// durable as what stands behind it in the log.
    pub fn hard_state(&self) -> HardState {
        HardState {
            commit: self.committed,
            ..self.node.store().hard_state()
        }
    }

    pub fn trim(&self) -> Trim {
        self.node.store().trim()
    }

    pub fn members(&self) -> Members {
        Members::from_raft(self.node.store().conf_state())
    }

    /// What the entries up to here say about members is in effect.
    pub fn members_as_of(&self) -> u64 {
        self.members_as_of
    }

    /// A group of one voter needs nobody's time: it leads as soon as it exists.
    pub fn is_alone(&self) -> bool {
        self.wins_alone() && self.node.raft.prs().iter().count() == 1
    }

    /// How far each peer is, by replica; empty unless this replica leads.
    pub fn peers(&self) -> Vec<Peer> {
        if !self.is_leader() {
            return Vec::new();
        }
        let progress = self.node.raft.prs().iter();
        let mut peers: Vec<Peer> = progress
            .map(|(replica, progress)| Peer {
                replica: *replica,
                matched: progress.matched,
                is_active: progress.recent_active || *replica == self.replica(),
            })
            .collect();
        peers.sort_unstable_by_key(|peer| peer.replica);
        peers
    }

    /// Whether this replica may answer for the group: it leads, and its owner was told of everything that was ever
    /// committed. Raft itself knows a moment earlier, when what readers may see is still as of before.
    pub fn serves(&self) -> bool {
        self.is_leader() && self.term_of(self.committed) == Some(self.term())
    }

    /// The last entry that is durable here.
    pub fn persisted_index(&self) -> u64 {
        self.node.raft.raft_log.persisted
    }

    /// How many voters keep up, this one included; for the leader to know.
    pub fn in_sync_count(&self) -> usize {
        let voters = self.node.raft.prs().conf().voters().ids().len();
        self.in_sync.count(self.term(), voters)
    }

    /// Whether a voter keeps up, in the eyes of the leader.
    pub fn is_in_sync(&self, replica: u64) -> bool {
        self.in_sync.contains(self.term(), replica)
    }

    /// The last entry that at least `count` voters hold durably, as far as the leader knows.
    pub fn held_by(&self, count: usize) -> u64 {
        // That it is committed does not say it: the majority then may have been of fewer voters than there are now.
        let voters = self.node.raft.prs().conf().voters().ids();
        let progress = self.node.raft.prs();
        let mut matched: Vec<u64> = voters
            .iter()
            .map(|voter| progress.get(voter).map_or(0, |progress| progress.matched))
            .collect();
        matched.sort_unstable_by(|one, other| other.cmp(one));
        matched.get(count - 1).copied().unwrap_or(0)
    }

    /// Whether a proposal would be taken now.
    pub fn readiness(&self) -> Result<(), ProposeRefused> {
        if !self.is_leader() {
            return Err(ProposeRefused::NotLeader);
        }
        if self.node.raft.lead_transferee.is_some() {
            return Err(ProposeRefused::Transferring);
        }
        match self.node.raft.commit_to_current_term() {
            true => Ok(()),
            false => Err(ProposeRefused::NotReady),
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

    /// Proposes other members: a single change directly, several through a joint state.
    pub fn change_members(&mut self, changes: &[Change]) -> Result<(), ChangeRefused> {
        match self.readiness() {
            Ok(()) => {}
            Err(ProposeRefused::NotLeader) => return Err(ChangeRefused::NotLeader),
            Err(ProposeRefused::NotReady) => return Err(ChangeRefused::Unfinished),
            Err(ProposeRefused::Transferring) => return Err(ChangeRefused::Transferring),
        }
        let members = self.members();
        if members.is_joint() || self.node.raft.has_pending_conf() {
            return Err(ChangeRefused::Unfinished);
        }
        if changes.is_empty() {
            return Err(ChangeRefused::Nothing);
        }
        if members.voters_after(changes).is_empty() {
            return Err(ChangeRefused::NoVoters);
        }
        self.node
            .propose_conf_change(Vec::new(), members::proposal(changes))
            .expect("a ready leader takes changes of any size");
        Ok(())
    }

    /// A message of a peer. What is malformed, forwarded or not meant for this replica is dropped: a peer that
    /// needs an answer asks again.
    pub fn step(&mut self, mut message: Message) {
        let is_welcome = match message.get_msg_type() {
            // Offsets are given by the leader alone, and each replica knows whom to ask.
            MessageType::MsgPropose | MessageType::MsgTransferLeader => false,
            MessageType::MsgTimeoutNow => self.may_campaign(),
            MessageType::MsgSnapshot => Install::from_raft(message.get_snapshot()).is_some(),
            _ => true,
        };
        if !is_welcome || message.to != self.replica() || self.is_early(&message) {
            return;
        }
        if self.planted.is(Fault::StaleTermAccepted) && message.term != 0 {
            message.term = message.term.max(self.term());
        }
        let from = message.from;
        // An error means that the sender is no member, or that there is nobody to forward to.
        let _ = self.node.step(message);
        self.clamp_progress(from);
    }

    /// One tick of time.
    pub fn tick(&mut self) {
        if self.is_leader() || self.may_campaign() {
            self.node.tick();
        }
        if let Some(context) = self.reads.tick() {
            self.node.read_index(context);
        }
        if self.is_leader() {
            self.watch_peers();
        }
    }

    /// Stands for election if it may.
    pub fn campaign(&mut self) {
        if self.node.raft.promotable() && !self.is_leader() && self.may_campaign() {
            // An error means that the group cannot be led from here now, which the next tick finds out as well.
            let _ = self.node.campaign();
        }
    }

    /// The node of this leader is dead, says who watches nodes: its lease no longer forbids an election.
    pub fn suspect(&mut self, leader: u64) {
        if !self.is_leader() && self.node.raft.leader_id == leader {
            self.node.raft.leader_id = 0;
        }
    }

    /// This leader hears too few others to commit anything, says who watches nodes: whoever waits learns it now, and
    /// not when Raft's own count of active peers comes around.
    pub fn abdicate(&mut self) {
        if self.is_leader() && !self.wins_alone() {
            let term = self.term();
            self.node.raft.become_follower(term, 0);
        }
    }

    /// Asks for a linearizable read; [`Action::ReadConfirmed`] of this round or a later one answers it.
    pub fn read_index(&mut self) -> u64 {
        self.reads.want()
    }

    /// Messages to this peer may have been lost.
    pub fn unreachable(&mut self, peer: u64) {
        self.node.report_unreachable(peer);
    }

    /// What became of a snapshot that was sent: nothing else goes to that peer before this is known.
    pub fn snapshot_sent(&mut self, peer: u64, has_arrived: bool) {
        let status = match has_arrived {
            true => SnapshotStatus::Finish,
            false => SnapshotStatus::Failure,
        };
        self.node.report_snapshot(peer, status);
        self.clamp_progress(peer);
    }

    /// A snapshot after which the log continues with the entry behind `index`: a data group's trim point, or the index
    /// that the state of a state group is as of. None if the log was trimmed since that state was made, or while another
    /// snapshot is being installed: it is not applied before it is durable.
    pub fn snapshot(&self, index: u64, state: Bytes) -> Option<Install> {
        if self.installing.is_some() {
            return None;
        }
        let applied = self.node.raft.raft_log.applied;
        assert!(index <= applied, "what is not applied is in no snapshot");
        let term = self.term_of(index).filter(|_| index >= self.trim().index)?;
        let trim = Trim { index, term };
        Some(Install {
            trim,
            members: self.members(),
            members_as_of: self.members_as_of.max(trim.index),
            state,
        })
    }

    /// Offers a [snapshot](Group::snapshot) to one peer that needs it.
    pub fn offer_snapshot(&mut self, index: u64, state: Bytes) {
        let Some(install) = self.snapshot(index, state) else {
            // The peer will ask again.
            return;
        };
        self.node.mut_store().offer(install);
        for peer in self.peers() {
            let trimmed = self.trim().index;
            let behind = |next: u64| next <= trimmed;
            let progress = self.node.raft.prs().get(peer.replica);
            if peer.replica != self.replica() && progress.is_some_and(|p| behind(p.next_idx)) {
                self.node.raft.send_append(peer.replica);
            }
        }
    }

    /// The entries of a [`Fetch`], from its lowest index on; none if they could not be read.
    pub fn fetched(&mut self, id: u64, entries: Vec<Entry>) {
        let Some(contexts) = self.node.mut_store().lend(id, entries) else {
            return;
        };
        contexts
            .into_iter()
            .for_each(|context| self.node.on_entries_fetched(context));
        self.node.mut_store().end_loan();
    }

    /// Applied entries need not be kept in memory; the owner says so once they are.
    pub fn applied(&mut self, index: u64) {
        self.node.advance_apply_to(index);
    }

    /// Forgets entries up to `trim`, which are trimmed in storage.
    pub fn trimmed(&mut self, trim: Trim) {
        assert!(
            trim.index <= self.node.raft.raft_log.applied,
            "only applied entries are trimmed"
        );
        self.node.mut_store().trim_to(trim);
    }

    /// Up to where entries may be trimmed.
    pub fn trimmable(&self) -> u64 {
        self.node.raft.raft_log.applied
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

    /// Drops cached entries up to `index`; durable ones only, and of a state group applied ones.
    pub fn evict(&mut self, index: u64) {
        let log = &self.node.raft.raft_log;
        let evictable = match self.applies_entries {
            true => log.persisted.min(log.applied),
            false => log.persisted,
        };
        self.node.mut_store().evict(index.min(evictable));
    }

    /// Everything that storage must remember, as of all orders that were given.
    pub fn stored(&self) -> Stored {
        let view = self.node.store();
        let tail = match self.applies_entries {
            true => self.unapplied().cloned().collect(),
            false => Vec::new(),
        };
        Stored {
            hard_state: view.hard_state(),
            members: self.members(),
            members_as_of: self.members_as_of,
            trim: view.trim(),
            last_index: view.stored_last_index(),
            terms: view.terms().to_vec(),
            applied: self.node.raft.raft_log.applied,
            tail,
            changes: view.changes_after(self.members_as_of).cloned().collect(),
        }
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

    fn watch_peers(&mut self) {
        let (me, last_index, term) = (self.replica(), self.last_index(), self.term());
        let progress = self.node.raft.prs();
        let voters = progress.conf().voters().ids();
        let peer = |voter: u64| {
            let progress = progress.get(voter);
            Peer {
                replica: voter,
                matched: match voter == me {
                    true => last_index,
                    false => progress.map_or(0, |progress| progress.matched),
                },
                is_active: voter == me || progress.is_some_and(|progress| progress.recent_active),
            }
        };
        self.in_sync.tick(term, last_index, voters.iter().map(peer));
    }

    /// Nobody else's vote is needed.
    fn wins_alone(&self) -> bool {
        let voters = self.node.raft.prs().conf().voters();
        voters.contains(self.replica()) && voters.ids().iter().all(|voter| voter == self.replica())
    }

    /// raft-rs wins an election without a message where one vote is enough, and then expects every entry to be
    /// durable; and it reads the log below a snapshot that is still on its way to the disk.
    fn may_campaign(&self) -> bool {
        let log = &self.node.raft.raft_log;
        self.installing.is_none() && (!self.wins_alone() || log.persisted == log.last_index())
    }

    /// raft-rs 0.7 may set the next index to what is matched or below, after a rejection that was delayed (#557).
    fn clamp_progress(&mut self, peer: u64) {
        if !self.is_leader() {
            return;
        }
        if let Some(progress) = self.node.raft.mut_prs().get_mut(peer) {
            progress.next_idx = progress.next_idx.max(progress.matched + 1);
        }
    }
}

/// Nobody applies records: what is committed counts as applied, up to an entry that changes members.
fn applied_records(stored: &Stored) -> u64 {
    let commit = stored.commit(0);
    let next_change = stored
        .changes
        .iter()
        .find(|change| change.index > stored.members_as_of.max(stored.trim.index));
    next_change.map_or(commit, |change| commit.min(change.index - 1))
}
