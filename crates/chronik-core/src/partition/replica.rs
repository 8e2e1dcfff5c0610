//! A partition on one node: a data group and the log that its entries make.
//!
//! Batches go in with a ticket and their offsets come back once a majority holds them durably. The leader gives
//! offsets and epochs before it proposes, so that all replicas are byte-identical; every replica derives the rest,
//! producers included, from the entries that its group accepts, and forgets it again when entries are replaced.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use raft::eraftpb::{Entry, Message};

use super::batch::{self, BatchHeader};
use super::log::{Appended, Log, Refused};
use crate::fault::{Fault, Planted};
use crate::group::{
    Action, Change, ChangeRefused, Fetch, Group, Leadership, Persist, ProposeRefused, Settings,
    TransferRefused, Trim,
};
use crate::wire::Writer;

/// Who waits for a batch; the owner knows what it stands for.
pub type Ticket = u64;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is in the log for ever.
    Appended { base_offset: i64 },
    /// It is not in the log and never was proposed.
    Refused(Refused),
    /// It was not proposed: this replica does not lead.
    NotLeader(Leadership),
    /// It was proposed, and whoever leads now decides its fate.
    Unknown,
}

/// What the owner of the I/O has to do, in this order.
#[derive(Debug)]
pub enum Order {
    /// Everything but what the replica keeps for itself: commitment.
    Group(Action),
    Answer(Ticket, Answer),
    /// Readers may see the records below.
    HighWatermark(i64),
}

/// A data group and its partition's log.
pub struct Replica {
    group: Group,
    log: Log,
    /// Batches that no place was given to yet. They wait here while leadership is handed over.
    arrived: VecDeque<Arrived>,
    /// Proposed batches, in the order of their offsets.
    proposed: VecDeque<Waiting>,
    /// Repeated batches whose first time is not committed yet.
    repeated: Vec<Waiting>,
    actions: Vec<Action>,
    planted: Planted,
}

struct Arrived {
    ticket: Ticket,
    header: BatchHeader,
    bytes: BytesMut,
}

struct Waiting {
    ticket: Ticket,
    base_offset: i64,
    last_offset: i64,
}

impl Replica {
    pub(super) fn new(settings: &Settings, stored: crate::group::Stored, mut log: Log) -> Replica {
        let group = Group::new(settings, stored);
        log.committed(group.committed());
        Replica {
            group,
            log,
            arrived: VecDeque::new(),
            proposed: VecDeque::new(),
            repeated: Vec::new(),
            actions: Vec::new(),
            planted: Planted::default(),
        }
    }

    pub fn plant(&mut self, fault: Planted) {
        self.planted = fault;
        self.group.plant(fault);
    }

    pub fn group(&self) -> &Group {
        &self.group
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// How many batches wait for leadership to be handed over or given up.
    pub fn parked(&self) -> usize {
        self.arrived.len()
    }

    /// Takes a checked batch; its place is given when the replica is drained.
    pub fn produce(&mut self, ticket: Ticket, header: BatchHeader, bytes: BytesMut) {
        self.arrived.push_back(Arrived {
            ticket,
            header,
            bytes,
        });
    }

    pub fn step(&mut self, message: Message) {
        self.group.step(message);
    }

    pub fn tick(&mut self) {
        self.group.tick();
    }

    pub fn campaign(&mut self) {
        self.group.campaign();
    }

    pub fn suspect(&mut self, leader: u64) {
        self.group.suspect(leader);
    }

    pub fn transfer(&mut self, to: u64) -> Result<(), TransferRefused> {
        self.group.transfer(to)
    }

    pub fn change_members(&mut self, changes: &[Change]) -> Result<(), ChangeRefused> {
        self.group.change_members(changes)
    }

    pub fn read_index(&mut self) -> u64 {
        self.group.read_index()
    }

    pub fn unreachable(&mut self, peer: u64) {
        self.group.unreachable(peer);
    }

    pub fn snapshot_sent(&mut self, peer: u64, has_arrived: bool) {
        self.group.snapshot_sent(peer, has_arrived);
    }

    pub fn fetched(&mut self, fetch: Fetch, entries: Vec<Entry>) {
        self.group.fetched(fetch.id, entries);
    }

    pub fn evict(&mut self, index: u64) {
        self.group.evict(index);
    }

    /// Entries up to `trim` are trimmed in storage; the next one begins at `offset`.
    pub fn trimmed(&mut self, trim: Trim, offset: i64) {
        self.group.trimmed(trim);
        self.log.trim_entries(offset);
    }

    pub fn persisted(&mut self, number: u64, out: &mut Vec<Order>) {
        let mut actions = std::mem::take(&mut self.actions);
        self.group.persisted(number, &mut actions);
        self.actions = self.carry_out(actions, out);
    }

    /// The same tail after every event: batches get their places, and what Raft wants becomes orders.
    pub fn drain(&mut self, out: &mut Vec<Order>) {
        self.propose_arrived(out);
        loop {
            let mut actions = std::mem::take(&mut self.actions);
            self.group.drain(&mut actions);
            let offers = actions
                .iter()
                .any(|action| matches!(action, Action::SnapshotWanted));
            self.actions = self.carry_out(actions, out);
            if !offers {
                return;
            }
        }
    }

    /// Everything that storage must remember, as of all orders that were given.
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u8(super::restore::VERSION);
        self.group.stored().encode(&mut out);
        self.log.encode(&mut out);
        out.finish()
    }

    fn propose_arrived(&mut self, out: &mut Vec<Order>) {
        if self.arrived.is_empty() {
            return;
        }
        match self.group.readiness() {
            Ok(()) => {}
            // At most one election timeout, then it has happened or is given up.
            Err(ProposeRefused::Transferring) => return,
            Err(ProposeRefused::NotLeader | ProposeRefused::NotReady) => {
                let refused = Answer::NotLeader(self.group.leadership());
                let tickets = self.arrived.drain(..).map(|arrived| arrived.ticket);
                out.extend(tickets.map(|ticket| Order::Answer(ticket, refused)));
                return;
            }
        }
        let mut index = self.group.last_index();
        let mut batches = Vec::with_capacity(self.arrived.len());
        while let Some(arrived) = self.arrived.pop_front() {
            let Some(bytes) = self.place(arrived, out) else {
                continue;
            };
            index += 1;
            self.log.entry_appended(index, self.log.end_offset());
            batches.push(bytes);
        }
        if batches.is_empty() {
            return;
        }
        let first = index + 1 - batches.len() as u64;
        let proposed = self.group.propose(batches);
        assert_eq!(proposed, Ok(first), "a group that is ready proposes");
    }

    /// Judging and placing are one step, so that a repeated batch cannot slip in between.
    fn place(&mut self, arrived: Arrived, out: &mut Vec<Order>) -> Option<Bytes> {
        let Arrived {
            ticket,
            mut header,
            mut bytes,
        } = arrived;
        match self.log.place(&header) {
            Ok(Appended::At { base_offset }) => {
                header.base_offset = base_offset;
                header.leader_epoch = epoch(self.group.term());
                batch::place(&mut bytes, header.base_offset, header.leader_epoch);
                self.log.record(&header);
                self.proposed.push_back(Waiting {
                    ticket,
                    base_offset,
                    last_offset: header.next_offset() - 1,
                });
                Some(bytes.freeze())
            }
            Ok(Appended::Before(seen)) => {
                self.repeated.push(Waiting {
                    ticket,
                    base_offset: seen.base_offset,
                    last_offset: seen.last_offset,
                });
                self.answer_repeated(out);
                None
            }
            Err(refused) => {
                out.push(Order::Answer(ticket, Answer::Refused(refused)));
                None
            }
        }
    }

    fn carry_out(&mut self, mut actions: Vec<Action>, out: &mut Vec<Order>) -> Vec<Action> {
        for action in actions.drain(..) {
            match action {
                Action::Committed { index } => self.committed(index, out),
                Action::SnapshotWanted => self.offer_snapshot(),
                Action::Leadership(_) => {
                    self.leadership_changed(out);
                    out.push(Order::Group(action));
                }
                Action::Persist(persist) => {
                    self.accepted(&persist);
                    out.push(Order::Group(Action::Persist(persist)));
                }
                action => out.push(Order::Group(action)),
            }
        }
        actions
    }

    /// What the group accepted is what the log consists of.
    fn accepted(&mut self, persist: &Persist) {
        if let Some(install) = &persist.install {
            self.log = Log::installed(&install.state)
                .expect("a leader of this version wrote this snapshot");
            if self.planted.is(Fault::DedupWindowLost) {
                self.log.forget_producers();
            }
        }
        for entry in &persist.entries {
            let epoch = epoch(entry.term);
            if self.planted.is(Fault::TruncationSkipped) && self.log.replaces(entry.index, epoch) {
                self.log.keep_producers(entry.index);
            }
            let batches: &[u8] = match crate::group::changes_members(entry) {
                true => &[],
                false => &entry.data,
            };
            self.log.entry(entry.index, epoch, batches);
        }
    }

    fn committed(&mut self, index: u64, out: &mut Vec<Order>) {
        if !self.log.committed(index) {
            return;
        }
        let high_watermark = self.log.high_watermark();
        out.push(Order::HighWatermark(high_watermark));
        while let Some(waiting) = self
            .proposed
            .pop_front_if(|waiting| waiting.last_offset < high_watermark)
        {
            out.push(waiting.answer());
        }
        self.answer_repeated(out);
    }

    fn answer_repeated(&mut self, out: &mut Vec<Order>) {
        let high_watermark = self.log.high_watermark();
        let answered = self
            .repeated
            .extract_if(.., |waiting| waiting.last_offset < high_watermark);
        out.extend(answered.map(Waiting::answer));
    }

    /// Another term or leader: proposed batches may still be committed by others, so their fate is unknown.
    fn leadership_changed(&mut self, out: &mut Vec<Order>) {
        let waiting = self.proposed.drain(..).chain(self.repeated.drain(..));
        out.extend(waiting.map(|waiting| Order::Answer(waiting.ticket, Answer::Unknown)));
    }

    fn offer_snapshot(&mut self) {
        let state = self.log.snapshot(self.group.committed());
        self.group.offer_snapshot(self.group.trim().index, state);
    }
}

impl Waiting {
    fn answer(self) -> Order {
        let base_offset = self.base_offset;
        Order::Answer(self.ticket, Answer::Appended { base_offset })
    }
}

fn epoch(term: u64) -> i32 {
    i32::try_from(term).expect("a term fits the epochs of Kafka")
}
