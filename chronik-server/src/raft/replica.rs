//! One replica of one group on this node: the catalog's or a partition's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chronik_core::catalog::{Catalog, Partition, Topic};
use chronik_core::group::eraftpb::{Entry, Message};
use chronik_core::group::{Change, ChangeRefused, Fetch, Group, TransferRefused, Trim};
use chronik_core::ids::{GroupUid, NodeId, ReplicaId};
use chronik_core::partition::Order;

use super::catch_up::Flow;
use super::event::{Bounds, Hint};
use super::inspect::Trail;
use super::meta::Meta;
use super::records::{Records, Ticket};
use crate::broker::view::GroupStatus;

/// A group and the state that its log makes.
pub(super) struct Replica {
    pub(super) state: State,
    pub(super) status: Arc<GroupStatus>,
    /// The nodes that should hold the group, whoever should lead first.
    pub(super) preference: Vec<NodeId>,
    /// Nodes that held the group and destroyed what they had, and how often.
    pub(super) left: Vec<(NodeId, u32)>,
    /// Its records are the state of something, like offsets of consumer groups.
    is_internal: bool,
    /// The version of the catalog in which the move began that is under way.
    pub(super) moving: Option<u64>,
    /// Nodes that hold it once that move has arrived, and did not before.
    pub(super) coming: Vec<NodeId>,
    /// What those nodes get from here to catch up.
    pub(super) flow: Flow,
    /// In the line of groups that wait until the throttle is open.
    pub(super) is_in_line: bool,
    /// Something changed since the last checkpoint.
    pub(super) dirty: bool,
    /// In the shard's list of groups to look after in this cycle.
    pub(super) touched: bool,
    /// It was known to serve when it was last looked at.
    pub(super) served: bool,
    /// Since when its present term and leader are known.
    pub(super) led_since: Instant,
    /// How the log of a leader grew.
    pub(super) trail: Trail,
    /// The last entry of each proposal on its way, and when it was made.
    proposed: VecDeque<(u64, Instant)>,
}

pub(super) enum State {
    Meta(Box<Meta>),
    Records(Box<Records>),
}

impl Replica {
    pub(super) fn new(state: State, preference: Vec<NodeId>) -> Replica {
        Replica {
            state,
            status: Arc::default(),
            preference,
            left: Vec::new(),
            is_internal: false,
            moving: None,
            coming: Vec::new(),
            flow: Flow::default(),
            is_in_line: false,
            dirty: true,
            touched: false,
            served: false,
            led_since: Instant::now(),
            trail: Trail::default(),
            proposed: VecDeque::new(),
        }
    }

    /// What the catalog says of its partition.
    pub(super) fn follow(&mut self, topic: &Topic, partition: &Partition) {
        self.is_internal = topic.internal;
        self.preference.clone_from(&partition.replicas);
        self.left.clone_from(&partition.left);
        self.moving = partition.is_moving().then_some(partition.moved_at);
        self.coming = partition.adding();
    }

    /// The number that this group knows a node by, as of now.
    pub(super) fn number_of(&self, node: NodeId, catalog: &Catalog) -> ReplicaId {
        let left = self.left.iter().find(|(other, _)| *other == node);
        let times = left.map_or(0, |(_, times)| *times);
        catalog.replica_on(node).again(times)
    }

    /// What it writes is what snapshots are about.
    pub(super) fn keeps_state(&self) -> bool {
        self.is_internal || matches!(self.state, State::Meta(_))
    }

    pub(super) fn group(&self) -> &Group {
        match &self.state {
            State::Meta(meta) => &meta.group,
            State::Records(records) => records.replica.group(),
        }
    }

    pub(super) fn uid(&self) -> GroupUid {
        self.group().uid()
    }

    pub(super) fn records(&mut self) -> Option<&mut Records> {
        match &mut self.state {
            State::Records(records) => Some(records),
            State::Meta(_) => None,
        }
    }

    pub(super) fn epoch(&self) -> i32 {
        i32::try_from(self.group().term()).expect("a term fits the epochs of Kafka")
    }

    pub(super) fn hint(&self) -> Hint {
        let leader = self.status.leader();
        Hint {
            leader: leader.node,
            epoch: leader.epoch,
        }
    }

    /// Whether it may answer for its group.
    pub(super) fn serves(&self) -> bool {
        self.group().serves()
    }

    pub(super) fn bounds(&self, records: &Records) -> Bounds {
        let log = records.log();
        Bounds {
            start_offset: log.start_offset(),
            high_watermark: records.visible_end(),
            end_offset: log.end_offset(),
            epoch: self.epoch(),
        }
    }

    pub(super) fn drain(&mut self, out: &mut Vec<Order<Ticket>>) {
        let before = self.group().last_index();
        match &mut self.state {
            State::Meta(meta) => meta.drain(out),
            State::Records(records) => records.replica.drain(out),
        }
        let last_index = self.group().last_index();
        if last_index > before && self.group().is_leader() {
            self.proposed.push_back((last_index, Instant::now()));
        }
        // A replica that only follows would keep its measurements for ever.
        if !self.group().is_leader() {
            self.proposed.clear();
        }
    }

    /// How long each proposal that is committed now took.
    pub(super) fn commit_latencies(&mut self) -> impl Iterator<Item = Duration> {
        let committed = self.group().committed();
        let count = self
            .proposed
            .partition_point(|(last, _)| *last <= committed);
        self.proposed
            .drain(..count)
            .map(|(_, proposed_at)| proposed_at.elapsed())
    }

    pub(super) fn step(&mut self, message: Message) {
        match &mut self.state {
            State::Meta(meta) => meta.group.step(message),
            State::Records(records) => records.replica.step(message),
        }
    }

    pub(super) fn tick(&mut self) {
        match &mut self.state {
            State::Meta(meta) => meta.group.tick(),
            State::Records(records) => records.replica.tick(),
        }
        match self.group().is_leader() {
            true => self.trail.note(Instant::now(), self.group().last_index()),
            false => self.trail.forget(),
        }
    }

    pub(super) fn campaign(&mut self) {
        match &mut self.state {
            State::Meta(meta) => meta.group.campaign(),
            State::Records(records) => records.replica.campaign(),
        }
    }

    pub(super) fn suspect(&mut self, leader: u64) {
        match &mut self.state {
            State::Meta(meta) => meta.group.suspect(leader),
            State::Records(records) => records.replica.suspect(leader),
        }
    }

    pub(super) fn abdicate(&mut self) {
        match &mut self.state {
            State::Meta(meta) => meta.group.abdicate(),
            State::Records(records) => records.replica.abdicate(),
        }
    }

    /// Asks what is committed; the answer confirms this round or a later one.
    pub(super) fn read_index(&mut self) -> u64 {
        match &mut self.state {
            State::Meta(meta) => meta.group.read_index(),
            State::Records(records) => records.replica.read_index(),
        }
    }

    pub(super) fn unreachable(&mut self, peer: u64) {
        match &mut self.state {
            State::Meta(meta) => meta.group.unreachable(peer),
            State::Records(records) => records.replica.unreachable(peer),
        }
    }

    pub(super) fn snapshot_sent(&mut self, peer: u64, has_arrived: bool) {
        match &mut self.state {
            State::Meta(meta) => meta.group.snapshot_sent(peer, has_arrived),
            State::Records(records) => records.replica.snapshot_sent(peer, has_arrived),
        }
    }

    pub(super) fn fetched(&mut self, fetch: Fetch, entries: Vec<Entry>) {
        match &mut self.state {
            State::Meta(meta) => meta.group.fetched(fetch.id, entries),
            State::Records(records) => records.replica.fetched(fetch, entries),
        }
    }

    pub(super) fn transfer(&mut self, to: u64) -> Result<(), TransferRefused> {
        match &mut self.state {
            State::Meta(meta) => meta.group.transfer(to),
            State::Records(records) => records.replica.transfer(to),
        }
    }

    pub(super) fn change_members(&mut self, changes: &[Change]) -> Result<(), ChangeRefused> {
        match &mut self.state {
            State::Meta(meta) => meta.group.change_members(changes),
            State::Records(records) => records.replica.change_members(changes),
        }
    }

    pub(super) fn pace(&mut self, peers: &[u64]) {
        match &mut self.state {
            State::Meta(meta) => meta.group.pace(peers),
            State::Records(records) => records.replica.pace(peers),
        }
    }

    pub(super) fn release(&mut self) -> Option<Message> {
        match &mut self.state {
            State::Meta(meta) => meta.group.release(),
            State::Records(records) => records.replica.release(),
        }
    }

    pub(super) fn persisted(&mut self, number: u64, out: &mut Vec<Order<Ticket>>) {
        match &mut self.state {
            State::Meta(meta) => meta.persisted(number, out),
            State::Records(records) => records.replica.persisted(number, out),
        }
    }

    pub(super) fn trimmed(&mut self, trim: Trim, offset: i64) {
        match &mut self.state {
            State::Meta(meta) => meta.group.trimmed(trim),
            State::Records(records) => records.replica.trimmed(trim, offset),
        }
    }

    /// The state of the group for a checkpoint: exactly what the appended log says.
    pub(super) fn encode(&self) -> Bytes {
        match &self.state {
            State::Meta(meta) => meta.encode(),
            State::Records(records) => records.replica.encode(),
        }
    }
}
