//! The thread that owns every group of this node: one inbox, one cycle, no lock.
//!
//! A cycle takes what has arrived, lets each touched group settle, and hands all their entries to the log at once, so
//! that one sync serves many groups.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use chronik_core::ids::{GroupUid, NodeId};
use chronik_core::partition::Order;
use chronik_fault::{Fault, Planted};
use chronik_inbox::Inbox;
use chronik_wal::{Index, RefusedReason, Task, Writer};
use imbl::OrdMap;
use tokio::sync::{mpsc, oneshot, watch};

use super::Token;
use super::capture::StateLog;
use super::catch_up::CatchUp;
use super::compaction::Compaction;
use super::confirm::Confirming;
use super::elections::Elections;
use super::event::{Append, AppendError, Appended, Event};
use super::gossip::{Gossip, News};
use super::health::{Health, SyncWatch};
use super::history::History;
use super::meta::Proposals;
use super::peers::{Held, Job};
use super::records::Ticket;
use super::recovery::Belong;
use super::replica::Replica;
use super::seeds::Seeds;
use super::upkeep::Upkeep;
use crate::broker::view::{GroupStatus, View};
use crate::metrics::{Metrics, Queue};
use crate::peer::Peers;

/// What a shard is told once.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) node: NodeId,
    /// Different in every life of the process.
    pub(super) boot: u64,
    pub(super) election_ticks: usize,
    pub(super) heartbeat_ticks: usize,
    /// A replica that lags longer is not in sync, and has to keep up for so long to be so again.
    pub(super) lag_ticks: u64,
    pub(super) lag_return_ticks: u64,
    pub(super) cache_bytes: usize,
    pub(super) retention_interval: Duration,
    pub(super) min_insync_replicas: u32,
    pub(super) snapshot_log_entries: u64,
    /// What fits into a segment whatever else is in its frame.
    pub(super) max_batch_bytes: u32,
    pub(super) planted: Planted,
}

pub(super) struct Shard {
    pub(super) settings: Settings,
    pub(super) inbox: Inbox<Event>,
    /// What this node is in its cluster, once it has one.
    pub(super) belong: Option<Belong>,
    /// What replicas begin with that are not here yet, on a node that was restored.
    pub(super) seeds: Seeds,
    pub(super) state_log: Arc<StateLog>,
    pub(super) replicas: HashMap<GroupUid, Replica>,
    pub(super) touched: Vec<GroupUid>,
    pub(super) orders: Vec<Order<Ticket>>,
    /// What the log is to write next.
    pub(super) tasks: Vec<Task<Token>>,
    pub(super) writer: Writer<Token>,
    pub(super) index: Index,
    /// Which group holds the oldest cached entry, its index and its size.
    pub(super) cache_order: VecDeque<(GroupUid, u64, usize)>,
    pub(super) cached_bytes: usize,
    pub(super) proposals: Proposals,
    pub(super) elections: Elections,
    pub(super) peers: Peers,
    pub(super) held: Held,
    pub(super) confirming: Confirming,
    pub(super) fetches: SyncSender<Job>,
    pub(super) upkeep: Upkeep,
    pub(super) compaction: Compaction,
    pub(super) catch_up: CatchUp,
    /// Who leads each group, shared with the published views.
    pub(super) statuses: OrdMap<GroupUid, Arc<GroupStatus>>,
    pub(super) view: watch::Sender<Arc<View>>,
    /// Counts changes of leaders, for those who wait for one.
    pub(super) leader_changes: watch::Sender<u64>,
    pub(super) health: watch::Sender<Health>,
    pub(super) leaderless_since: Option<Instant>,
    pub(super) sync_watch: Arc<SyncWatch>,
    /// Tasks that the log has and that are not durable yet.
    pub(super) unsynced: usize,
    pub(super) gossip: Gossip,
    pub(super) history: History,
    /// To whoever tells other nodes.
    pub(super) news: mpsc::Sender<News>,
    /// Groups of the last run that do not lead yet.
    pub(super) starting: HashSet<GroupUid>,
    /// Every group of the last run had a leader once, and the cluster knew this node.
    pub(super) has_served: bool,
    pub(super) disk_full: bool,
    pub(super) metrics: Arc<Metrics>,
}

/// Events of one cycle: enough to fill a frame, few enough to keep the cycle short.
const MAX_CYCLE_EVENTS: usize = 4096;
/// While the log's queue is full, how soon to offer again what it refused.
const RESUBMIT_AFTER: Duration = Duration::from_millis(1);

impl Shard {
    /// Runs until told to stop, or until nobody is left who could send anything.
    pub(super) fn run(mut self) {
        self.settle();
        let stop = loop {
            match self.inbox.recv_timeout(self.patience()) {
                Ok(event) => {
                    if let Some(reply) = self.cycle(event) {
                        break Some(reply);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break None,
            }
            self.look_after();
            self.run_elections();
            self.settle();
        };
        self.finish();
        if let Some(reply) = stop {
            let _ = reply.send(());
        }
    }

    /// Marks a group to be settled in this cycle.
    pub(super) fn touch(&mut self, group: GroupUid) {
        if let Some(replica) = self
            .replicas
            .get_mut(&group)
            .filter(|replica| !replica.touched)
        {
            replica.touched = true;
            self.touched.push(group);
        }
    }

    /// Everything that has arrived, then what follows from it. Returns the one who wants the shard to stop.
    fn cycle(&mut self, first: Event) -> Option<oneshot::Sender<()>> {
        let begun = Instant::now();
        self.notice_absence(begun);
        self.watch_disk();
        let mut stop = self.handle(first);
        let mut handled = 1;
        for _ in 1..MAX_CYCLE_EVENTS {
            if stop.is_some() {
                break;
            }
            match self.inbox.try_recv() {
                Ok(event) => stop = self.handle(event),
                Err(_) => break,
            }
            handled += 1;
        }
        self.settle();
        self.metrics.queue.note(Queue::Shard, handled);
        let spent = begun.elapsed();
        self.metrics.shard.busy.add(spent);
        self.metrics.shard.cycle.observe(spent);
        stop
    }

    fn handle(&mut self, event: Event) -> Option<oneshot::Sender<()>> {
        self.metrics.shard.events.at(event.kind()).increment();
        match event {
            Event::Append(appends) => appends.into_iter().for_each(|append| self.append(append)),
            Event::Read(read) => self.read(read),
            Event::Find(find) => self.find(find),
            Event::Belong(belong) => self.belongs(belong),
            Event::Peer { from, messages } => self.receive(from, messages),
            Event::Liveness(change) => self.liveness(change),
            Event::Leads { from, news } => self.hear(from, news),
            Event::Clean { from, logs } => self.hear_clean(from, logs),
            Event::Surveyed(survey) => self.surveyed(survey),
            Event::Fetched {
                group,
                fetch,
                entries,
            } => self.fetched(group, fetch, entries),
            Event::Await { number, reply } => self.await_proposal(number, reply),
            Event::Propose { proposal, taken } => _ = taken.send(self.propose(&proposal)),
            Event::ProducerId { reply } => _ = reply.send(self.producer_id()),
            Event::ProducerIds(ids) => self.take_producer_ids(ids),
            Event::Trim {
                group,
                offset,
                reply,
            } => self.trim_records(group, offset, reply),
            Event::Describe { groups, reply } => _ = reply.send(self.describe(&groups)),
            Event::Inspect { reply } => _ = reply.send(self.inspect()),
            Event::Capture { groups, reply } => _ = reply.send(self.capture(&groups)),
            Event::Sights { reply } => _ = reply.send(self.elections.sights(Instant::now())),
            Event::History { reply } => _ = reply.send(self.history.changes()),
            Event::Hold(group) => self.keep_leading(group),
            Event::Transfer(transfer) => self.transfer_for_operator(transfer),
            Event::Producers { group, reply } => _ = reply.send(self.producers(group)),
            Event::KeepState {
                group,
                offset,
                state,
            } => self.keep_state(group, offset, state),
            Event::KeptState {
                group,
                source,
                reply,
            } => _ = reply.send(self.kept_state(group, source)),
            Event::Log(notice) => self.noticed(notice),
            Event::HandOver { reply } => self.hand_over(reply),
            Event::HandTo(wanted) => self.hand_to(wanted),
            Event::Quorum { reply } => _ = reply.send(self.quorum()),
            Event::Stop { reply } => return Some(reply),
        }
        None
    }

    fn append(&mut self, append: Append) {
        if self.disk_full {
            let answer = match self.settings.planted.is(Fault::FullDiskAcked) {
                true => Ok(Appended {
                    base_offset: -1,
                    log_start_offset: 0,
                }),
                false => Err(AppendError::DiskFull),
            };
            let _ = append.reply.send(answer);
            return;
        }
        let (bytes, most) = (append.batch.len(), self.settings.max_batch_bytes);
        if bytes > most as usize {
            let _ = append
                .reply
                .send(Err(AppendError::TooLarge { bytes, most }));
            return;
        }
        let Some(replica) = self.replicas.get_mut(&append.group) else {
            let _ = append.reply.send(Err(AppendError::UnknownGroup));
            return;
        };
        let group = append.group;
        match replica.records() {
            Some(records) => records.append(append),
            None => _ = append.reply.send(Err(AppendError::UnknownGroup)),
        }
        self.touch(group);
    }

    /// The same tail after every cycle: groups propose and act, the log gets its tasks, the cache its bound.
    pub(super) fn settle(&mut self) {
        while let Some(group) = self.touched.pop() {
            let Some(replica) = self.replicas.get_mut(&group) else {
                continue;
            };
            replica.touched = false;
            let mut orders = std::mem::take(&mut self.orders);
            replica.drain(&mut orders);
            self.obey(group, &mut orders);
            self.orders = orders;
            self.look_at(group);
            self.line_up(group);
        }
        self.release_catch_up();
        self.peers.flush();
        self.submit();
        self.bound_cache();
    }

    /// Gives the log everything at once. A full queue keeps it here, in order, for the next cycle.
    fn submit(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        self.note_submitted(self.tasks.len());
        if let Err(refused) = self.writer.submit(std::mem::take(&mut self.tasks)) {
            self.note_synced(refused.returned.len());
            assert_ne!(
                refused.reason,
                RefusedReason::TooLarge,
                "batches are bounded when they are taken"
            );
            self.tasks = refused.returned;
        }
    }

    fn bound_cache(&mut self) {
        while self.cached_bytes > self.settings.cache_bytes {
            let Some((group, index, bytes)) = self.cache_order.pop_front() else {
                break;
            };
            self.cached_bytes -= bytes;
            if let Some(records) = self.replicas.get_mut(&group).and_then(Replica::records) {
                records.evict(index);
            }
        }
    }

    fn patience(&self) -> Duration {
        let now = Instant::now();
        let others = [self.elections.next_due(), self.catch_up.next_due(now)];
        let due = others
            .into_iter()
            .flatten()
            .fold(self.upkeep.due, Instant::min);
        let until_upkeep = due.saturating_duration_since(now);
        if self.tasks.is_empty() {
            until_upkeep
        } else {
            until_upkeep.min(RESUBMIT_AFTER)
        }
    }

    /// Writes what was taken in, leaves a checkpoint and answers everyone whose bytes are durable.
    fn finish(mut self) {
        while !self.tasks.is_empty() {
            self.submit();
            std::thread::sleep(RESUBMIT_AFTER);
        }
        self.checkpoint_everything();
        // Closing waits for the log's thread, which may wait for room in the inbox: keep taking.
        let writer = self.writer;
        let closing = std::thread::spawn(move || writer.close());
        let mut durable = Vec::new();
        loop {
            let ended = closing.is_finished();
            while let Ok(event) = self.inbox.try_recv() {
                if let Event::Log(chronik_wal::Notice::Durable(tasks)) = event {
                    durable.extend(tasks);
                }
            }
            if ended {
                break;
            }
            std::thread::sleep(RESUBMIT_AFTER);
        }
        super::effects::answer_last(&mut self.replicas, durable);
    }
}
