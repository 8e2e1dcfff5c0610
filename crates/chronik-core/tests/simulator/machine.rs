//! What a node hosts: a partition, or a state machine as the metadata group is one.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use chronik_core::group::eraftpb::{Entry, Message};
use chronik_core::group::{
    Action, Change, ChangeRefused, Fetch, Group, HardState, Install, Members, ProposeRefused,
    Settings, Stored, TransferRefused, Trim,
};
use chronik_core::partition::batch::{BatchHeader, HEADER_LEN};
use chronik_core::partition::{Acks, Answer, Control, Log, Order, Replica, Restore};
use chronik_core::wire::{Reader, Writer};
use chronik_fault::Planted;

use crate::clients::Ticket;

/// The group whose entries are applied; the others hold records.
pub(crate) const STATE_GROUP: usize = 2;

/// A replica of either kind.
pub(crate) enum Machine {
    Records(Box<Replica<Ticket>>),
    State(Box<State>),
}

/// The state: which commands were applied, in one number.
pub(crate) struct State {
    group: Group,
    applied: u64,
    hash: u64,
    arrived: Vec<(Ticket, Bytes)>,
    waiting: VecDeque<(u64, Ticket)>,
    /// What was applied since somebody looked.
    pub(crate) news: Vec<(u64, u64)>,
}

/// A replica that is being read from its disk.
pub(crate) enum Restoring {
    Records(Box<Restore>),
    State {
        stored: Box<Stored>,
        applied: u64,
        hash: u64,
    },
}

impl Machine {
    pub(crate) fn group(&self) -> &Group {
        match self {
            Machine::Records(replica) => replica.group(),
            Machine::State(state) => &state.group,
        }
    }

    pub(crate) fn log(&self) -> Option<&Log> {
        match self {
            Machine::Records(replica) => Some(replica.log()),
            Machine::State(_) => None,
        }
    }

    pub(crate) fn parked(&self) -> usize {
        match self {
            Machine::Records(replica) => replica.parked(),
            Machine::State(state) => state.arrived.len(),
        }
    }

    pub(crate) fn produce(
        &mut self,
        ticket: Ticket,
        header: BatchHeader,
        bytes: BytesMut,
        acks: Acks,
    ) {
        match self {
            Machine::Records(replica) => replica.produce(ticket, header, bytes, acks),
            Machine::State(state) => {
                let command = bytes.freeze().slice(HEADER_LEN..);
                state.arrived.push((ticket, command));
            }
        }
    }

    /// An order to all replicas; a state has none.
    pub(crate) fn order(&mut self, ticket: Ticket, control: Control) {
        if let Machine::Records(replica) = self {
            replica.order(ticket, control);
        }
    }

    pub(crate) fn step(&mut self, message: Message) {
        match self {
            Machine::Records(replica) => replica.step(message),
            Machine::State(state) => state.group.step(message),
        }
    }

    pub(crate) fn tick(&mut self) {
        match self {
            Machine::Records(replica) => replica.tick(),
            Machine::State(state) => state.group.tick(),
        }
    }

    pub(crate) fn campaign(&mut self) {
        match self {
            Machine::Records(replica) => replica.campaign(),
            Machine::State(state) => state.group.campaign(),
        }
    }

    pub(crate) fn suspect(&mut self, leader: u64) {
        match self {
            Machine::Records(replica) => replica.suspect(leader),
            Machine::State(state) => state.group.suspect(leader),
        }
    }

    pub(crate) fn abdicate(&mut self) {
        match self {
            Machine::Records(replica) => replica.abdicate(),
            Machine::State(state) => state.group.abdicate(),
        }
    }

    pub(crate) fn transfer(&mut self, to: u64) -> Result<(), TransferRefused> {
        match self {
            Machine::Records(replica) => replica.transfer(to),
            Machine::State(state) => state.group.transfer(to),
        }
    }

    pub(crate) fn change_members(&mut self, changes: &[Change]) -> Result<(), ChangeRefused> {
        match self {
            Machine::Records(replica) => replica.change_members(changes),
            Machine::State(state) => state.group.change_members(changes),
        }
    }

    pub(crate) fn read_index(&mut self) -> u64 {
        match self {
            Machine::Records(replica) => replica.read_index(),
            Machine::State(state) => state.group.read_index(),
        }
    }

    pub(crate) fn unreachable(&mut self, peer: u64) {
        match self {
            Machine::Records(replica) => replica.unreachable(peer),
            Machine::State(state) => state.group.unreachable(peer),
        }
    }

    pub(crate) fn snapshot_sent(&mut self, peer: u64, has_arrived: bool) {
        match self {
            Machine::Records(replica) => replica.snapshot_sent(peer, has_arrived),
            Machine::State(state) => state.group.snapshot_sent(peer, has_arrived),
        }
    }

    /// What an operator may ask for at any time.
    pub(crate) fn snapshot(&self) -> Option<Install> {
        match self {
            Machine::Records(replica) => replica.snapshot(),
            Machine::State(state) => state.group.snapshot(state.applied, Bytes::new()),
        }
    }

    pub(crate) fn fetched(&mut self, fetch: Fetch, entries: Vec<Entry>) {
        match self {
            Machine::Records(replica) => replica.fetched(fetch, entries),
            Machine::State(state) => state.group.fetched(fetch.id, entries),
        }
    }

    pub(crate) fn pace(&mut self, peers: &[u64]) {
        match self {
            Machine::Records(replica) => replica.pace(peers),
            Machine::State(state) => state.group.pace(peers),
        }
    }

    pub(crate) fn release(&mut self) -> Option<Message> {
        match self {
            Machine::Records(replica) => replica.release(),
            Machine::State(state) => state.group.release(),
        }
    }

    pub(crate) fn evict(&mut self, index: u64) {
        match self {
            Machine::Records(replica) => replica.evict(index),
            Machine::State(state) => state.group.evict(index),
        }
    }

    pub(crate) fn trimmed(&mut self, trim: Trim, offset: i64) {
        match self {
            Machine::Records(replica) => replica.trimmed(trim, offset),
            Machine::State(state) => state.group.trimmed(trim),
        }
    }

    pub(crate) fn persisted(&mut self, number: u64, out: &mut Vec<Order<Ticket>>) {
        match self {
            Machine::Records(replica) => replica.persisted(number, out),
            Machine::State(state) => {
                let mut actions = Vec::new();
                state.group.persisted(number, &mut actions);
                state.carry_out(actions, out);
            }
        }
    }

    pub(crate) fn drain(&mut self, out: &mut Vec<Order<Ticket>>) {
        match self {
            Machine::Records(replica) => replica.drain(out),
            Machine::State(state) => state.drain(out),
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        match self {
            Machine::Records(replica) => replica.encode(),
            Machine::State(state) => {
                let mut out = Writer::new();
                out.u64(state.applied).u64(state.hash);
                state.group.stored().encode(&mut out);
                out.finish()
            }
        }
    }
}

impl State {
    fn drain(&mut self, out: &mut Vec<Order<Ticket>>) {
        self.propose_arrived(out);
        loop {
            let mut actions = Vec::new();
            self.group.drain(&mut actions);
            if actions.is_empty() {
                return;
            }
            self.carry_out(actions, out);
        }
    }

    fn propose_arrived(&mut self, out: &mut Vec<Order<Ticket>>) {
        if self.arrived.is_empty() {
            return;
        }
        match self.group.readiness() {
            Err(ProposeRefused::Transferring) => {}
            Err(ProposeRefused::NotLeader | ProposeRefused::NotReady) => {
                let refused = Answer::NotLeader(self.group.leadership());
                let tickets = self.arrived.drain(..).map(|(ticket, _)| ticket);
                out.extend(tickets.map(|ticket| Order::Answer(ticket, refused)));
            }
            Ok(()) => {
                let (tickets, commands): (Vec<_>, Vec<_>) = self.arrived.drain(..).unzip();
                let first = self.group.propose(commands).expect("it is ready");
                self.waiting.extend((first..).zip(tickets));
            }
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>, out: &mut Vec<Order<Ticket>>) {
        for action in actions {
            match action {
                Action::Committed { .. } => {}
                Action::SnapshotWanted => {
                    let mut state = Writer::new();
                    state.u64(self.hash);
                    self.group.offer_snapshot(self.applied, state.finish());
                }
                Action::Apply(entries) => self.apply(&entries, out),
                Action::Leadership(_) => {
                    let unknown = |(_, ticket)| Order::Answer(ticket, Answer::Unknown);
                    out.extend(self.waiting.drain(..).map(unknown));
                    out.push(Order::Group(action));
                }
                Action::Persist(persist) => {
                    if let Some(install) = &persist.install {
                        self.applied = install.trim.index;
                        self.hash = state_of(install);
                        self.news.push((self.applied, self.hash));
                    }
                    out.push(Order::Group(Action::Persist(persist)));
                }
                action => out.push(Order::Group(action)),
            }
        }
    }

    fn apply(&mut self, entries: &[Entry], out: &mut Vec<Order<Ticket>>) {
        for entry in entries {
            assert_eq!(
                entry.index,
                self.applied + 1,
                "entries are applied in order"
            );
            self.applied = entry.index;
            for byte in &entry.data {
                self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
            self.news.push((self.applied, self.hash));
            if let Some((index, ticket)) = self.waiting.pop_front_if(|(at, _)| *at == entry.index) {
                let base_offset = index as i64;
                out.push(Order::Answer(ticket, Answer::Appended { base_offset }));
            }
        }
        self.group.applied(self.applied);
    }
}

impl Restoring {
    pub(crate) fn born(group: usize, voters: Vec<u64>) -> Restoring {
        let joins = voters.is_empty();
        if group == STATE_GROUP {
            let stored = match joins {
                true => Stored::empty(),
                false => Stored::new(voters),
            };
            return Restoring::State {
                applied: stored.applied,
                stored: Box::new(stored),
                hash: 0,
            };
        }
        Restoring::Records(Box::new(match joins {
            true => Restore::joining(),
            false => Restore::born(voters),
        }))
    }

    pub(crate) fn decode(group: usize, bytes: &[u8]) -> Restoring {
        if group != STATE_GROUP {
            let restore = Restore::decode(bytes).expect("a checkpoint can be read");
            return Restoring::Records(Box::new(restore));
        }
        let mut input = Reader::new(bytes);
        Restoring::State {
            applied: input.u64().expect("a checkpoint can be read"),
            hash: input.u64().expect("a checkpoint can be read"),
            stored: Box::new(Stored::decode(&mut input).expect("a checkpoint can be read")),
        }
    }

    pub(crate) fn plant(&mut self, fault: Planted) {
        if let Restoring::Records(restore) = self {
            restore.plant(fault);
        }
    }

    pub(crate) fn stored(&self) -> &Stored {
        match self {
            Restoring::Records(restore) => restore.stored(),
            Restoring::State { stored, .. } => stored,
        }
    }

    pub(crate) fn hard_state(&mut self, hard_state: HardState) {
        match self {
            Restoring::Records(restore) => restore.hard_state(hard_state),
            Restoring::State { stored, .. } => stored.hard_state = hard_state,
        }
    }

    pub(crate) fn entry(&mut self, entry: &Entry) {
        match self {
            Restoring::Records(restore) => restore.entry(entry),
            Restoring::State { stored, .. } => stored.unapplied_entry(entry),
        }
    }

    pub(crate) fn members(&mut self, as_of: u64, members: Members) {
        match self {
            Restoring::Records(restore) => restore.members(as_of, members),
            Restoring::State { stored, .. } => stored.members(as_of, members),
        }
    }

    pub(crate) fn install(&mut self, install: &Install) {
        match self {
            Restoring::Records(restore) => restore
                .install(install)
                .expect("it was read before it was written"),
            Restoring::State {
                stored,
                applied,
                hash,
            } => {
                stored.install(install);
                (*applied, *hash) = (install.trim.index, state_of(install));
            }
        }
    }

    pub(crate) fn trim(&mut self, trim: Trim, offset: i64) {
        match self {
            Restoring::Records(restore) => restore.trim(trim, offset),
            Restoring::State {
                stored, applied, ..
            } => {
                assert!(
                    trim.index <= *applied,
                    "a checkpoint holds what is trimmed: {trim:?}, applied {applied}, {stored:?}"
                );
                stored.trim(trim);
            }
        }
    }

    pub(crate) fn into_machine(self, settings: &Settings) -> Machine {
        match self {
            Restoring::Records(restore) => {
                Machine::Records(Box::new(restore.into_replica(settings)))
            }
            Restoring::State {
                stored,
                applied,
                hash,
            } => Machine::State(Box::new(State {
                group: Group::new(settings, *stored),
                applied,
                hash,
                arrived: Vec::new(),
                waiting: VecDeque::new(),
                news: vec![(applied, hash)],
            })),
        }
    }
}

fn state_of(install: &Install) -> u64 {
    let mut input = Reader::new(&install.state);
    input.u64().expect("a leader wrote it")
}
