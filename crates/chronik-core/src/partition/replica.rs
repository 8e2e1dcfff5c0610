//! A partition on one node: a data group and the log that its entries make.
//!
//! Batches go in with a ticket and their offsets come back once a majority holds them durably. The leader gives
//! offsets and epochs before it proposes, so that all replicas are byte-identical; every replica derives the rest,
//! producers included, from the entries that its group accepts, and forgets it again when entries are replaced.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use chronik_fault::{Fault, Planted};
use raft::eraftpb::{Entry, Message};

use super::batch::{self, BatchHeader};
use super::control::Control;
use super::log::{Appended, Log, Refused};
use crate::group::{
    Action, Change, ChangeRefused, Fetch, Group, Install, Leadership, Persist, ProposeRefused,
    Settings, TransferRefused, Trim,
};
use crate::wire::Writer;

/// When whoever sent a batch wants to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Once it is durable here; another leader may drop it.
    Leader,
    /// Once it is in the log for ever and so many replicas hold it durably.
    All { least_replicas: usize },
}

/// What became of a batch or of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is in the log for ever.
    Appended { base_offset: i64 },
    /// It is durable on the leader, and nothing more is promised.
    Written { base_offset: i64 },
    /// The order is carried out here, and will be everywhere.
    Done,
    /// It was not proposed: fewer replicas keep up than have to hold it.
    NotEnoughReplicas,
    /// It is not in the log and never was proposed.
    Refused(Refused),
    /// It was not proposed: this replica does not lead.
    NotLeader(Leadership),
    /// It was proposed, and whoever leads now decides its fate.
    Unknown,
}

/// What the owner of the I/O has to do, in this order. A ticket is whatever the owner knows a waiting client by.
#[derive(Debug)]
pub enum Order<T> {
    /// Everything but what the replica keeps for itself: commitment.
    Group(Action),
    Answer(T, Answer),
    /// Readers may see the records below.
    HighWatermark(i64),
    /// Records below this offset are gone, on all replicas alike: what holds only such may be trimmed in storage.
    LogStart(i64),
}

/// A data group and its partition's log.
pub struct Replica<T> {
    group: Group,
    log: Log,
    /// Batches that no place was given to yet. They wait here while leadership is handed over.
    arrived: VecDeque<Arrived<T>>,
    /// What was proposed, in the order of the log.
    proposed: VecDeque<Proposed<T>>,
    /// The same, for those who only wait for this replica's disk.
    written: VecDeque<Proposed<T>>,
    /// Repeated batches whose first time is not committed yet.
    repeated: Vec<Repeated<T>>,
    actions: Vec<Action>,
    planted: Planted,
}

struct Arrived<T> {
    ticket: T,
    what: What,
}

enum What {
    Batch(BatchHeader, BytesMut, Acks),
    Control(Control),
}

struct Proposed<T> {
    ticket: T,
    index: u64,
    least_replicas: usize,
    answer: Answer,
}

struct Repeated<T> {
    ticket: T,
    base_offset: i64,
    last_offset: i64,
}

impl<T> Replica<T> {
    pub(super) fn new(
        settings: &Settings,
        stored: crate::group::Stored,
        mut log: Log,
    ) -> Replica<T> {
        let group = Group::new(settings, stored);
        log.committed(group.committed());
        Replica {
            group,
            log,
            arrived: VecDeque::new(),
            proposed: VecDeque::new(),
            written: VecDeque::new(),
            repeated: Vec::new(),
            actions: Vec::new(),
            planted: settings.planted,
        }
    }

    pub fn group(&self) -> &Group {
        &self.group
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// How many batches wait for leadership to be handed over, given up or confirmed.
    pub fn parked(&self) -> usize {
        self.arrived.len()
    }

    /// Takes a checked batch; its place is given when the replica is drained.
    pub fn produce(&mut self, ticket: T, header: BatchHeader, bytes: BytesMut, acks: Acks) {
        let what = What::Batch(header, bytes, acks);
        self.arrived.push_back(Arrived { ticket, what });
    }

    /// Takes an order to all replicas; its offset is one below which everything is committed.
    pub fn order(&mut self, ticket: T, control: Control) {
        let what = What::Control(control);
        self.arrived.push_back(Arrived { ticket, what });
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

    pub fn abdicate(&mut self) {
        self.group.abdicate();
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

    pub fn pace(&mut self, peers: &[u64]) {
        self.group.pace(peers);
    }

    pub fn release(&mut self) -> Option<Message> {
        self.group.release()
    }

    pub fn evict(&mut self, index: u64) {
        self.group.evict(index);
    }

    /// Entries up to `trim` are trimmed in storage; the next one begins at `offset`.
    pub fn trimmed(&mut self, trim: Trim, offset: i64) {
        self.group.trimmed(trim);
        self.log.trim_entries(offset);
    }

    pub fn persisted(&mut self, number: u64, out: &mut Vec<Order<T>>) {
        let mut actions = std::mem::take(&mut self.actions);
        self.group.persisted(number, &mut actions);
        self.actions = self.carry_out(actions, out);
        let durable = self.group.persisted_index();
        while let Some(written) = self
            .written
            .pop_front_if(|written| written.index <= durable)
        {
            out.push(Order::Answer(written.ticket, written.answer));
        }
    }

    /// The same tail after every event: batches get their places, and what Raft wants becomes orders.
    pub fn drain(&mut self, out: &mut Vec<Order<T>>) {
        self.propose_arrived(out);
        loop {
            let mut actions = std::mem::take(&mut self.actions);
            self.group.drain(&mut actions);
            let offers = actions
                .iter()
                .any(|action| matches!(action, Action::SnapshotWanted));
            self.actions = self.carry_out(actions, out);
            if !offers {
                self.answer_proposed(out);
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

    /// What another replica would need to begin here; none as long as this one knows nothing of the group.
    pub fn snapshot(&self) -> Option<Install> {
        let state = self.log.snapshot(self.group.committed());
        self.group.snapshot(self.group.trim().index, state)
    }

    fn propose_arrived(&mut self, out: &mut Vec<Order<T>>) {
        if self.arrived.is_empty() {
            return;
        }
        match self.group.readiness() {
            Ok(()) => {}
            // At most one election timeout, then it has happened, or it or the leadership is given up.
            Err(ProposeRefused::Transferring | ProposeRefused::NotReady) => return,
            Err(ProposeRefused::NotLeader) => {
                let refused = Answer::NotLeader(self.group.leadership());
                let tickets = self.arrived.drain(..).map(|arrived| arrived.ticket);
                out.extend(tickets.map(|ticket| Order::Answer(ticket, refused)));
                return;
            }
        }
        let in_sync = self.group.in_sync_count();
        let first = self.group.last_index() + 1;
        let mut entries = Vec::with_capacity(self.arrived.len());
        while let Some(Arrived { ticket, what }) = self.arrived.pop_front() {
            let index = first + entries.len() as u64;
            match what {
                What::Batch(_, _, Acks::All { least_replicas }) if in_sync < least_replicas => {
                    out.push(Order::Answer(ticket, Answer::NotEnoughReplicas));
                }
                What::Batch(header, bytes, acks) => {
                    if let Some(bytes) = self.place(index, ticket, (header, bytes), acks, out) {
                        self.log.entry_appended(index, self.log.end_offset());
                        entries.push(bytes);
                    }
                }
                What::Control(control) => {
                    assert!(
                        control.offset() <= self.log.high_watermark(),
                        "only committed records are trimmed"
                    );
                    self.proposed.push_back(Proposed {
                        ticket,
                        index,
                        least_replicas: 1,
                        answer: Answer::Done,
                    });
                    let bytes = control.encode();
                    self.log.entry(index, epoch(self.group.term()), &bytes);
                    entries.push(bytes);
                }
            }
        }
        if entries.is_empty() {
            return;
        }
        let proposed = self.group.propose(entries);
        assert_eq!(proposed, Ok(first), "a group that is ready proposes");
    }

    /// Judging and placing are one step, so that a repeated batch cannot slip in between.
    fn place(
        &mut self,
        index: u64,
        ticket: T,
        (mut header, mut bytes): (BatchHeader, BytesMut),
        acks: Acks,
        out: &mut Vec<Order<T>>,
    ) -> Option<Bytes> {
        let placed = match self.planted.is(Fault::NoDedup) {
            true => Ok(self.log.place_at_end()),
            false => self.log.place(&header),
        };
        match placed {
            Ok(Appended::At { base_offset }) => {
                header.base_offset = base_offset;
                header.leader_epoch = epoch(self.group.term());
                batch::place(&mut bytes, header.base_offset, header.leader_epoch);
                self.log.record(&header);
                let acks = match self.planted.is(Fault::AckBeforeQuorum) {
                    true => Acks::Leader,
                    false => acks,
                };
                let (waiting, least_replicas, answer) = match acks {
                    Acks::Leader => (&mut self.written, 1, Answer::Written { base_offset }),
                    Acks::All { least_replicas } => {
                        let appended = Answer::Appended { base_offset };
                        (&mut self.proposed, least_replicas, appended)
                    }
                };
                waiting.push_back(Proposed {
                    ticket,
                    index,
                    least_replicas,
                    answer,
                });
                Some(bytes.freeze())
            }
            Ok(Appended::Before(seen)) => {
                self.repeated.push(Repeated {
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

    fn carry_out(&mut self, mut actions: Vec<Action>, out: &mut Vec<Order<T>>) -> Vec<Action> {
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
            if self.planted.is(Fault::NoopTakesOffset) && entry.data.is_empty() {
                self.log.lose_an_offset();
            }
        }
    }

    fn committed(&mut self, index: u64, out: &mut Vec<Order<T>>) {
        let start_offset = self.log.start_offset();
        if self.log.committed(index) {
            out.push(Order::HighWatermark(self.log.high_watermark()));
        }
        if self.log.start_offset() > start_offset {
            out.push(Order::LogStart(self.log.start_offset()));
        }
        self.answer_proposed(out);
        self.answer_repeated(out);
    }

    /// What is committed and held by as many replicas as whoever waits asks for.
    fn answer_proposed(&mut self, out: &mut Vec<Order<T>>) {
        let committed = self.group.committed();
        while let Some(proposed) = self.proposed.pop_front_if(|proposed| {
            proposed.index <= committed
                && (proposed.least_replicas <= 1
                    || proposed.index <= self.group.held_by(proposed.least_replicas))
        }) {
            out.push(Order::Answer(proposed.ticket, proposed.answer));
        }
    }

    fn answer_repeated(&mut self, out: &mut Vec<Order<T>>) {
        let high_watermark = self.log.high_watermark();
        let answered = self
            .repeated
            .extract_if(.., |repeated| repeated.last_offset < high_watermark);
        out.extend(answered.map(Repeated::answer));
    }

    /// Another term or leader: proposed batches may still be committed by others, so their fate is unknown.
    fn leadership_changed(&mut self, out: &mut Vec<Order<T>>) {
        let proposed = self.proposed.drain(..).chain(self.written.drain(..));
        let tickets = proposed.map(|proposed| proposed.ticket);
        let tickets = tickets.chain(self.repeated.drain(..).map(|repeated| repeated.ticket));
        let answer = match self.planted.is(Fault::NotLeaderAfterPropose) {
            true => Answer::NotLeader(self.group.leadership()),
            false => Answer::Unknown,
        };
        out.extend(tickets.map(|ticket| Order::Answer(ticket, answer)));
        if self.planted.is(Fault::DedupLostOnFailover) && self.group.is_leader() {
            self.log.forget_producers();
        }
    }

    fn offer_snapshot(&mut self) {
        let state = self.log.snapshot(self.group.committed());
        self.group.offer_snapshot(self.group.trim().index, state);
    }
}

impl<T> Repeated<T> {
    fn answer(self) -> Order<T> {
        let base_offset = self.base_offset;
        Order::Answer(self.ticket, Answer::Appended { base_offset })
    }
}

fn epoch(term: u64) -> i32 {
    i32::try_from(term).expect("a term fits the epochs of Kafka")
}
