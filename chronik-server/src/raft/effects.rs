//! Obeys what groups order, in their order, and takes what the log reports.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use chronik_core::group::eraftpb::Entry;
use chronik_core::group::{Action, Install, Leadership, Members, Persist, changes_members};
use chronik_core::ids::{GroupUid, ReplicaId};
use chronik_core::partition::{Log, Order};
use chronik_core::wire::Writer;
use chronik_fault::Fault;
use chronik_wal::{Durable, Kind, Notice, Record, SegmentChange, Task, flags};
use tracing::error;

use super::records::{Ticket, batches_of, header_of};
use super::replica::{Replica, State};
use super::shard::Shard;
use super::{Installed, Token};
use crate::metrics::ProducePhase;

/// The exit code of a node that can no longer keep its promises.
const STORAGE_FAILED: i32 = 70;
/// The column of an entry that is about the group itself.
pub(super) const CHANGES_MEMBERS: u8 = 0x01;

impl Shard {
    pub(super) fn obey(&mut self, group: GroupUid, orders: &mut Vec<Order<Ticket>>) {
        for order in orders.drain(..) {
            match order {
                Order::Group(action) => self.obey_group(group, action),
                Order::Answer(ticket, answer) => {
                    if let Some(replica) = self.replicas.get_mut(&group) {
                        let hint = replica.hint();
                        let start = replica
                            .records()
                            .map_or(0, |records| records.log().start_offset());
                        ticket.answer(answer, hint, start);
                    }
                }
                Order::HighWatermark(offset) => {
                    if let Some(records) = self.replicas.get_mut(&group).and_then(Replica::records)
                    {
                        records.show(offset);
                    }
                }
                Order::LogStart(offset) => self.trim_storage(group, offset),
            }
        }
    }

    /// What the log says, in its order.
    pub(super) fn noticed(&mut self, notice: Notice<Token>) {
        match notice {
            Notice::Durable(tasks) => {
                self.note_synced(tasks.len());
                tasks.into_iter().for_each(|task| self.durable(task));
            }
            Notice::Segment(change) => {
                self.upkeep.checkpoint_soon |= matches!(change, SegmentChange::Opened(_));
                self.index.apply(change);
            }
            Notice::Checkpointed { .. } => self.checkpointed(),
            Notice::Rewritten { group, last_index } => self.rewritten(GroupUid(group), last_index),
            Notice::Failed(failure) => {
                error!(error = %failure, "the log could not be written; this node stops, so that nothing is promised that is not on disk");
                std::process::exit(STORAGE_FAILED);
            }
        }
    }

    /// The same look at a group after everything it did: who waited for it to lead, and how long commits took.
    pub(super) fn look_at(&mut self, group: GroupUid) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        for latency in replica.commit_latencies() {
            self.metrics.raft.commit_latency.observe(latency);
            let phases = &self.metrics.produce.latency;
            phases.at(ProducePhase::Commit).observe(latency);
        }
        if let State::Records(records) = &mut replica.state
            && records.replica.group().is_alone()
        {
            // Nobody else needs what is committed: readers have a cache of their own.
            let committed = records.replica.group().committed();
            records.replica.evict(committed);
        }
        let serves = replica.serves();
        if std::mem::replace(&mut replica.served, serves) != serves && serves {
            self.has_leader_now(group);
            if group == GroupUid::META {
                self.found_if_new();
            }
        }
    }

    fn obey_group(&mut self, group: GroupUid, action: Action) {
        match action {
            Action::Leadership(leadership) => self.leadership(group, leadership),
            Action::Send(messages) => self.send(group, messages),
            Action::Persist(persist) => self.persist(group, persist),
            Action::Members { as_of, members } => self.write_members(group, as_of, &members),
            Action::Apply(entries) => self.apply(group, entries),
            Action::Fetch(fetch) => self.fetch_for_peer(group, fetch),
            Action::ReadConfirmed { round, .. } => self.confirmed(group, round),
            Action::Committed { .. } | Action::SnapshotWanted => {
                unreachable!("replicas keep these for themselves")
            }
        }
    }

    fn leadership(&mut self, group: GroupUid, leadership: Leadership) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let leader = (leadership.leader != 0).then_some(ReplicaId(leadership.leader));
        let epoch = replica.epoch();
        replica
            .status
            .publish(epoch, leader.map(|leader| leader.node()));
        replica.dirty = true;
        replica.led_since = Instant::now();
        if let Some(records) = replica.records() {
            records.wake_all();
        }
        let node = leader.map(|leader| leader.node());
        self.history.note(group, leadership.term, node);
        self.leader_changes.send_modify(|changes| *changes += 1);
        match leader {
            Some(leader) if leader.node() == self.settings.node => {
                self.metrics.raft.election_count.increment();
            }
            Some(_) => self.has_leader_now(group),
            None => self.leader_lost(group),
        }
        if self.elections.is_handing_over() {
            self.note_handed_over();
        }
    }

    /// Clients could be sent to a leader of this group: whoever waited for that learns it.
    fn has_leader_now(&mut self, group: GroupUid) {
        self.group_has_leader(group);
        if self.starting.remove(&group) {
            self.note_started();
        }
    }

    fn persist(&mut self, group: GroupUid, persist: Persist) {
        let replica = self
            .replicas
            .get_mut(&group)
            .expect("only groups that are here act");
        replica.dirty = true;
        if replica.keeps_state() {
            self.state_log.note(&persist.entries);
        }
        let mut records = Vec::with_capacity(persist.entries.len() + 2);
        let mut installed = None;
        if let Some(install) = &persist.install {
            let record = install_record(group, install, replica.records().map(|r| r.log()));
            installed = Some(Installed {
                trim: chronik_wal::Trim {
                    index: record.index,
                    term: record.term,
                    offset: record.base_offset,
                },
                begun: Instant::now(),
            });
            records.push(record);
            if let Some(state) = replica.records() {
                state.forget_cached();
            }
        }
        if let Some(hard_state) = persist.hard_state {
            records.push(Record::new(Kind::HardState, group.0, hard_state.encode()));
        }
        match &mut replica.state {
            State::Records(state) => {
                if let Some(first) = persist.entries.first()
                    && !self.settings.planted.is(Fault::ReplacedRecordsKept)
                {
                    state.replace_from(first.index);
                }
                let mut next_offset = first_offset(&persist.entries, state.log());
                for entry in persist.entries {
                    let header = batches_of(&entry).map(|bytes| header_of(bytes));
                    if let Some(header) = &header {
                        let bytes = state.cache(&entry, header);
                        self.cache_order.push_back((group, entry.index, bytes));
                        self.cached_bytes += bytes;
                        next_offset = header.next_offset();
                    }
                    records.push(records_entry(group, entry, header, next_offset));
                }
            }
            State::Meta(_) => {
                let entries = persist.entries.into_iter();
                records.extend(entries.map(|entry| bare_entry(group, entry)));
            }
        }
        let replaced_catalog = installed.is_some() && group == GroupUid::META;
        let token = Token::Ready {
            group,
            number: persist.number,
            installed,
        };
        self.tasks.push(Task { records, token });
        if replaced_catalog {
            self.catalog_replaced();
        }
    }

    fn write_members(&mut self, group: GroupUid, as_of: u64, members: &Members) {
        if let Some(replica) = self.replicas.get_mut(&group) {
            replica.dirty = true;
        }
        let mut body = Writer::new();
        members.encode(&mut body);
        let mut record = Record::new(Kind::ConfState, group.0, body.finish());
        record.index = as_of;
        self.tasks.push(Task {
            records: vec![record],
            token: Token::Noted,
        });
    }

    fn durable(&mut self, task: Durable<Token>) {
        if let Token::Ready {
            group,
            installed: Some(installed),
            ..
        } = task.token
            && self.replicas.contains_key(&group)
        {
            self.index.reset(group.0, installed.trim);
            let latency = &self.metrics.raft.snapshot_apply_latency;
            latency.observe(installed.begun.elapsed());
        }
        for (group, row) in task.rows {
            // A group may have been destroyed while its entries were on their way.
            if self.replicas.contains_key(&GroupUid(group)) {
                self.index.insert(group, row);
            }
        }
        match task.token {
            Token::Ready { group, number, .. } => {
                let Some(replica) = self.replicas.get_mut(&group) else {
                    return;
                };
                let mut orders = std::mem::take(&mut self.orders);
                replica.persisted(number, &mut orders);
                self.obey(group, &mut orders);
                self.orders = orders;
                self.touch(group);
            }
            Token::Trimmed {
                group,
                trim,
                offset,
            } => self.trimmed(group, trim, offset),
            Token::Noted => {}
        }
    }
}

/// After the log is closed: tells those whose batches it still wrote, as far as nobody else has to agree.
pub(super) fn answer_last(replicas: &mut HashMap<GroupUid, Replica>, durable: Vec<Durable<Token>>) {
    for task in durable {
        let Token::Ready { group, number, .. } = task.token else {
            continue;
        };
        let Some(replica) = replicas.get_mut(&group) else {
            continue;
        };
        let mut orders = Vec::new();
        replica.persisted(number, &mut orders);
        replica.drain(&mut orders);
        let hint = replica.hint();
        let start = replica
            .records()
            .map_or(0, |records| records.log().start_offset());
        for order in orders {
            if let Order::Answer(ticket, answer) = order {
                ticket.answer(answer, hint, start);
            }
        }
    }
}

/// A snapshot in the log; `log` is what it made of the partition.
pub(super) fn install_record(group: GroupUid, install: &Install, log: Option<&Log>) -> Record {
    let mut record = Record::new(Kind::SnapshotInstall, group.0, install.encode());
    record.index = install.trim.index;
    record.term = install.trim.term;
    record.base_offset = log.map_or(0, |log| log.first_entry_offset() as u64);
    record
}

/// Where the records of new entries begin. Those without records stand at the next offset, whatever it is.
fn first_offset(entries: &[Entry], log: &Log) -> i64 {
    let first = entries.iter().find_map(batches_of);
    first.map_or(log.end_offset(), |bytes| header_of(bytes).base_offset)
}

/// An entry as the log keeps it. A partition's entry is its batches and nothing else.
fn records_entry(
    group: GroupUid,
    entry: Entry,
    header: Option<chronik_core::partition::BatchHeader>,
    next_offset: i64,
) -> Record {
    let mut record = bare_entry(group, entry);
    match header {
        Some(header) => {
            record.flags = flags::BODY_SELF_CHECKED;
            record.base_offset = header.base_offset as u64;
            record.record_count = header.offset_span();
            record.max_ts = header.max_timestamp;
        }
        None => {
            record.base_offset = next_offset as u64;
            record.max_ts = -1;
        }
    }
    record
}

fn bare_entry(group: GroupUid, entry: Entry) -> Record {
    let mut record = Record::new(Kind::Entry, group.0, Bytes::new());
    record.term = entry.term;
    record.index = entry.index;
    record.flags = match changes_members(&entry) {
        true => CHANGES_MEMBERS,
        false => 0,
    };
    record.body = entry.data;
    record
}
