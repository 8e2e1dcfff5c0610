//! Obeys what groups order, in their order, and takes what the log reports.

use std::collections::HashMap;

use bytes::Bytes;
use chronik_core::group::eraftpb::Entry;
use chronik_core::group::{Action, Leadership, Persist};
use chronik_core::ids::GroupUid;
use chronik_core::partition::Log;
use chronik_wal::{Durable, Kind, Notice, Record, SegmentChange, Task, flags};
use tracing::error;

use super::Token;
use super::replica::{Replica, State, header_of};
use super::shard::Shard;
use crate::metrics::ProducePhase;

/// The exit code of a node that can no longer keep its promises.
const STORAGE_FAILED: i32 = 70;

impl Shard {
    pub(super) fn obey(&mut self, group: GroupUid, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::Leadership(leadership) => self.leadership(group, leadership),
                Action::Send(messages) => {
                    assert!(
                        messages.is_empty(),
                        "a group of one voter has nobody to write to"
                    );
                }
                Action::Persist(persist) => self.persist(group, persist),
                Action::Committed { index } => self.committed(group, index),
                Action::Apply(entries) => self.apply(group, entries),
                other @ (Action::Members { .. }
                | Action::Fetch(_)
                | Action::SnapshotWanted
                | Action::ReadConfirmed { .. }) => {
                    unreachable!("a group of one voter has no use for {other:?}")
                }
            }
        }
    }

    /// What the log says, in its order.
    pub(super) fn noticed(&mut self, notice: Notice<Token>) {
        match notice {
            Notice::Durable(tasks) => tasks.into_iter().for_each(|task| self.durable(task)),
            Notice::Segment(change) => {
                self.upkeep.checkpoint_soon |= matches!(change, SegmentChange::Opened(_));
                self.index.apply(change);
            }
            Notice::Checkpointed { .. } => self.checkpointed(),
            Notice::Failed(failure) => {
                error!(error = %failure, "the log could not be written; this node stops, so that nothing is promised that is not on disk");
                std::process::exit(STORAGE_FAILED);
            }
        }
    }

    fn leadership(&mut self, group: GroupUid, leadership: Leadership) {
        let me = self.settings.replica;
        let node = self.settings.node;
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let leader = (leadership.leader == me).then_some(node);
        let epoch = replica.epoch();
        replica.status.publish(epoch, leader);
        replica.dirty = true;
        if let Some(records) = replica.records() {
            match leader {
                Some(_) => records.log.note_epoch(epoch),
                None => records.leadership_lost(),
            }
        }
        // What another leader commits is not our latency.
        replica.proposed.clear();
        if leader.is_some() {
            self.metrics.raft.election_count.increment();
        }
    }

    fn persist(&mut self, group: GroupUid, persist: Persist) {
        let replica = self
            .replicas
            .get_mut(&group)
            .expect("only groups that are here act");
        replica.dirty = true;
        let mut records = Vec::with_capacity(persist.entries.len() + 1);
        if let Some(hard_state) = persist.hard_state {
            records.push(Record::new(Kind::HardState, group.0, hard_state.encode()));
        }
        let log = match &replica.state {
            State::Records(state) => Some(&state.log),
            State::Meta(_) => None,
        };
        records.extend(
            persist
                .entries
                .into_iter()
                .map(|entry| entry_record(group, entry, log)),
        );
        let token = Token::Ready {
            group,
            number: persist.number,
        };
        self.tasks.push(Task { records, token });
    }

    fn committed(&mut self, group: GroupUid, index: u64) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        for latency in replica.commit_latencies(index) {
            self.metrics.raft.commit_latency.observe(latency);
            self.metrics
                .produce
                .latency
                .at(ProducePhase::Commit)
                .observe(latency);
        }
        match &mut replica.state {
            State::Records(records) => {
                records.committed(index);
                // Records are read from the cache or from disk: Raft's own copy has served its purpose.
                replica.group.evict(index);
            }
            State::Meta(_) => {}
        }
        if replica.group.readiness().is_ok() {
            self.group_is_ready(group);
        }
    }

    /// A group leads and may be used: whoever waited for that learns it.
    fn group_is_ready(&mut self, group: GroupUid) {
        self.proposals.group_is_ready(group, &self.metrics.catalog);
        if group == GroupUid::META {
            self.announce();
        }
        if self.starting.remove(&group) {
            self.note_started();
        }
    }

    fn durable(&mut self, task: Durable<Token>) {
        for (group, row) in task.rows {
            // A group may have been destroyed while its entries were on their way.
            if self.replicas.contains_key(&GroupUid(group)) {
                self.index.insert(group, row);
            }
        }
        match task.token {
            Token::Ready { group, number } => {
                let Some(replica) = self.replicas.get_mut(&group) else {
                    return;
                };
                let mut actions = std::mem::take(&mut self.actions);
                replica.group.persisted(number, &mut actions);
                self.obey(group, &mut actions);
                self.actions = actions;
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

/// After the log is closed: tells those whose batches it still wrote.
pub(super) fn answer_last(replicas: &mut HashMap<GroupUid, Replica>, durable: Vec<Durable<Token>>) {
    for task in durable {
        let Token::Ready { group, number } = task.token else {
            continue;
        };
        let Some(replica) = replicas.get_mut(&group) else {
            continue;
        };
        let mut actions = Vec::new();
        replica.group.persisted(number, &mut actions);
        replica.group.drain(&mut actions);
        let committed = replica.group.committed();
        if let Some(records) = replica.records() {
            records.committed(committed);
        }
    }
}

/// An entry as the log keeps it. A partition's entry is its batches and nothing else.
fn entry_record(group: GroupUid, entry: Entry, log: Option<&Log>) -> Record {
    let body: Bytes = entry.data;
    let mut record = Record::new(Kind::Entry, group.0, Bytes::new());
    record.term = entry.term;
    record.index = entry.index;
    match log {
        Some(_) if !body.is_empty() => {
            let header = header_of(&body);
            record.flags = flags::BODY_SELF_CHECKED;
            record.base_offset = header.base_offset as u64;
            record.record_count = header.offset_span();
            record.max_ts = header.max_timestamp;
        }
        // A leader's first entry in its term: no records, so the next offset is its place.
        Some(log) => {
            record.base_offset = log.end_offset() as u64;
            record.max_ts = -1;
        }
        None => {}
    }
    record.body = body;
    record
}
