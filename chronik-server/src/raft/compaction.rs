//! Key compaction of the partitions that this node holds, one pass at a time.
//!
//! The shard picks the partition that is worth it most. A thread of its own reads where the keys of its new records are,
//! then the log's low-priority thread copies what is left, and readers are sent to the copy. Every replica does so by
//! itself; what they agree on is only when tombstones may go (see [`CleanLog`]).

mod cleaner;
mod survey;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use chronik_core::catalog::topic_config::LogConfig;
use chronik_core::compaction::{
    Candidate, Cleaning, Keys, Pass, Piece, Told, next_pass, tombstones_below,
};
use chronik_core::ids::{GroupUid, NodeId, ReplicaId};
use chronik_core::wire::{Reader as WireReader, WireError, Writer};
use chronik_inbox::Sender;
use chronik_wal::{From, Reader, RewriteOrder, SealedPiece};
use tracing::{info, warn};

use super::event::Event;
use super::replica::{Replica, State};
use super::shard::Shard;
use crate::clock;
use cleaner::Cleaner;
use survey::Job;
pub(super) use survey::Surveyed;

/// Passes, what they left, and what other nodes say of theirs.
pub(super) struct Compaction {
    pub(super) due: Instant,
    pub(super) interval: Duration,
    key_bytes: usize,
    jobs: SyncSender<Job>,
    running: Option<Running>,
    /// What the last pass over each log left to do.
    left: HashMap<GroupUid, LeftBehind>,
    /// Logs with more keys than there is memory for.
    too_large: HashSet<GroupUid>,
    /// How far other replicas are clean.
    told: BTreeMap<(GroupUid, u64), CleanLog>,
}

/// How far one replica's log is clean: it holds no record below `offset` that a newer one below `offset` hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CleanLog {
    pub(crate) group: GroupUid,
    pub(crate) replica: u64,
    /// The members that it knew then; what was said among others does not count.
    pub(crate) members_as_of: u64,
    pub(crate) offset: i64,
}

struct Running {
    group: GroupUid,
    candidate: Candidate,
    cleaning: Cleaning,
    cleaner: Option<Arc<Cleaner>>,
    since: Instant,
}

/// Tombstones that were not due.
#[derive(Clone, Copy)]
struct LeftBehind {
    until_ms: i64,
    /// What was known then of the other members.
    tombstones_below: i64,
    at_ms: i64,
}

impl Compaction {
    pub(super) fn new(
        (interval, key_bytes): (Duration, usize),
        reader: Reader,
        inbox: Sender<Event>,
    ) -> std::io::Result<Compaction> {
        let jobs = survey::start(reader, inbox)?;
        Ok(Compaction {
            due: Instant::now() + interval,
            interval,
            key_bytes,
            jobs,
            running: None,
            left: HashMap::new(),
            too_large: HashSet::new(),
            told: BTreeMap::new(),
        })
    }
}

impl Compaction {
    /// A group that is destroyed is nobody's business any more.
    pub(super) fn forget(&mut self, group: GroupUid) {
        self.left.remove(&group);
        self.too_large.remove(&group);
        self.told.retain(|(told, _), _| *told != group);
    }
}

impl Shard {
    /// Begins the pass that is worth most, unless one is under way.
    pub(super) fn compact(&mut self) {
        if self.compaction.running.is_some() {
            return;
        }
        let now_ms = clock::wall_ms();
        let mut best: Option<(GroupUid, Candidate, Cleaning)> = None;
        for (group, cleaning) in self.compacted_groups() {
            let Some(candidate) = self.candidate(group, &cleaning, now_ms) else {
                continue;
            };
            if best.is_none_or(|(_, other, _)| candidate.dirty > other.dirty) {
                best = Some((group, candidate, cleaning));
            }
        }
        if let Some((group, candidate, cleaning)) = best {
            self.begin_pass(group, candidate, cleaning);
        }
    }

    /// The keys are known: now the log is cleaned with them.
    pub(super) fn surveyed(&mut self, surveyed: Surveyed) {
        let Surveyed {
            group,
            keys,
            reached_index,
        } = surveyed;
        let Some(reached_index) = reached_index else {
            self.compaction.running = None;
            return;
        };
        let is_whole = |piece: &SealedPiece| piece.last_index <= reached_index;
        let last = self.index.sealed(group.0).take_while(is_whole).last();
        let now_ms = clock::wall_ms();
        let tombstones_below = self.tombstones_below(group);
        let producers = self.remembered_batches(group);
        let Some(running) = self
            .compaction
            .running
            .as_mut()
            .filter(|run| run.group == group)
        else {
            return;
        };
        let Some(last) = last.filter(|last| last.last_index >= running.candidate.dirty_from) else {
            warn!(%group, keys = keys.len(), "a full segment has more keys than `compaction.key_bytes` holds: the partition is not compacted");
            self.compaction.too_large.insert(group);
            self.compaction.running = None;
            return;
        };
        running.candidate.last_index = running.candidate.last_index.min(last.last_index);
        running.candidate.next_offset = running.candidate.next_offset.min(last.next_offset as i64);
        self.clean(keys, now_ms, tombstones_below, producers);
    }

    /// A part of the log is clean, or nothing could be done.
    pub(super) fn rewritten(&mut self, group: GroupUid, last_index: Option<u64>) {
        let Some(running) = self.compaction.running.take_if(|run| run.group == group) else {
            return;
        };
        let (Some(reached), Some(cleaner)) = (last_index, running.cleaner.clone()) else {
            return;
        };
        if let Some(records) = self.replicas.get_mut(&group).and_then(Replica::records) {
            records.forget_through(reached);
        }
        if reached < running.candidate.last_index {
            self.compaction.running = Some(running);
            self.order_rewrite(reached + 1);
            return;
        }
        info!(%group, keys = cleaner.pass.keys.len(), took_ms = running.since.elapsed().as_millis() as u64, "compacted");
        self.metrics.compaction.passes.increment();
        let left = LeftBehind {
            until_ms: cleaner.tombstones_until_ms.load(Ordering::Relaxed),
            tombstones_below: cleaner.pass.tombstones_below,
            at_ms: cleaner.pass.now_ms,
        };
        self.compaction.left.insert(group, left);
    }

    /// How far the logs are clean that are compacted here, for the other nodes.
    pub(super) fn clean_logs(&self) -> Vec<CleanLog> {
        let groups = self.compacted_groups();
        let logs = groups.filter_map(|(group, _)| {
            let replica = self.replicas.get(&group)?.group();
            Some(CleanLog {
                group,
                replica: replica.replica(),
                members_as_of: replica.members_as_of(),
                offset: self.clean_offset(group),
            })
        });
        logs.collect()
    }

    pub(super) fn hear_clean(&mut self, from: NodeId, logs: Vec<CleanLog>) {
        for log in logs {
            // A node speaks for its own replicas, and of groups that matter here.
            if ReplicaId(log.replica).node() == from && self.replicas.contains_key(&log.group) {
                self.compaction.told.insert((log.group, log.replica), log);
            }
        }
    }

    fn compacted_groups(&self) -> impl Iterator<Item = (GroupUid, Cleaning)> {
        let topics = self
            .meta()
            .into_iter()
            .flat_map(|meta| meta.catalog.topics.values());
        let least = self.settings.min_insync_replicas;
        topics.flat_map(move |topic| {
            let cleaning = LogConfig::of(topic, least).compaction;
            let groups = topic.partitions.iter().map(|partition| partition.group);
            groups.filter_map(move |group| Some((group, cleaning?)))
        })
    }

    fn candidate(&self, group: GroupUid, cleaning: &Cleaning, now_ms: i64) -> Option<Candidate> {
        let replica = self.replicas.get(&group)?;
        if self.compaction.too_large.contains(&group) {
            return None;
        }
        let pieces: Vec<Piece> = self.index.sealed(group.0).map(piece).collect();
        let may_drop_tombstones = self.compaction.left.get(&group).is_some_and(|left| {
            let is_due = left.until_ms <= now_ms;
            is_due
                && (left.until_ms > left.at_ms
                    || self.tombstones_below(group) > left.tombstones_below)
        });
        let committed = replica.group().committed();
        next_pass(&pieces, committed, cleaning, now_ms, may_drop_tombstones)
    }

    fn begin_pass(&mut self, group: GroupUid, candidate: Candidate, cleaning: Cleaning) {
        let seed = uuid::Uuid::new_v4().as_u64_pair();
        let keys = Keys::new(seed, self.compaction.key_bytes);
        self.compaction.running = Some(Running {
            group,
            candidate,
            cleaning,
            cleaner: None,
            since: Instant::now(),
        });
        if candidate.dirty_from > candidate.last_index {
            let below = self.tombstones_below(group);
            let producers = self.remembered_batches(group);
            self.clean(keys, clock::wall_ms(), below, producers);
            return;
        }
        let from = From::Index(candidate.dirty_from);
        let job = Job {
            group,
            plan: self.index.plan(group.0, from, usize::MAX),
            last_index: candidate.last_index,
            keys,
        };
        if self.compaction.jobs.try_send(job).is_err() {
            self.compaction.running = None;
        }
    }

    fn clean(
        &mut self,
        keys: Keys,
        now_ms: i64,
        tombstones_below: i64,
        producers: HashMap<i64, Vec<i64>>,
    ) {
        let Some(running) = &mut self.compaction.running else {
            return;
        };
        running.cleaner = Some(Arc::new(Cleaner {
            pass: Pass {
                keys,
                now_ms,
                delete_retention_ms: running.cleaning.delete_retention_ms,
                tombstones_below,
            },
            end_offset: running.candidate.next_offset,
            producers,
            tombstones_until_ms: AtomicI64::new(i64::MAX),
        }));
        self.order_rewrite(0);
    }

    fn order_rewrite(&mut self, first_index: u64) {
        let Some(running) = &self.compaction.running else {
            return;
        };
        let Some(cleaner) = running.cleaner.clone() else {
            return;
        };
        let order = RewriteOrder {
            group: running.group.0,
            first_index,
            last_index: running.candidate.last_index,
            rewrite: cleaner,
        };
        match self.writer.rewrite(order) {
            // It begins with a checkpoint.
            Ok(()) => self.upkeep.checkpoint_soon = true,
            Err(_) => self.compaction.running = None,
        }
    }

    fn clean_offset(&self, group: GroupUid) -> i64 {
        let pieces = self.index.sealed(group.0);
        let clean = pieces.take_while(|piece| piece.is_rewritten).last();
        clean.map_or(0, |piece| piece.next_offset as i64)
    }

    /// Below this, tombstones hide nothing any more, as far as is known here.
    fn tombstones_below(&self, group: GroupUid) -> i64 {
        let Some(replica) = self.replicas.get(&group).map(|replica| replica.group()) else {
            return 0;
        };
        let members = replica.members();
        if members.is_joint() {
            return 0;
        }
        let members_as_of = replica.members_as_of();
        let told = |member: u64| match member == replica.replica() {
            true => Some(Told {
                members_as_of,
                clean_offset: self.clean_offset(group),
            }),
            false => {
                let told = self.compaction.told.get(&(group, member))?;
                Some(Told {
                    members_as_of: told.members_as_of,
                    clean_offset: told.offset,
                })
            }
        };
        let all = members.voters.iter().chain(&members.learners).copied();
        tombstones_below(all, members_as_of, told)
    }

    /// Where the batches are by which producers are known again.
    fn remembered_batches(&self, group: GroupUid) -> HashMap<i64, Vec<i64>> {
        let Some(State::Records(records)) = self.replicas.get(&group).map(|one| &one.state) else {
            return HashMap::new();
        };
        let producers = records.log().producers().iter();
        producers
            .map(|(id, producer)| {
                let offsets = producer.batches.iter().map(|seen| seen.base_offset);
                (id, offsets.collect())
            })
            .collect()
    }
}

fn piece(piece: SealedPiece) -> Piece {
    Piece {
        first_index: piece.first_index,
        last_index: piece.last_index,
        next_offset: piece.next_offset as i64,
        bytes: piece.bytes,
        max_timestamp: piece.max_ts,
        is_clean: piece.is_rewritten,
    }
}

impl CleanLog {
    pub(crate) fn write(&self, out: &mut Writer) {
        out.u64(self.group.0)
            .u64(self.replica)
            .u64(self.members_as_of)
            .i64(self.offset);
    }

    pub(crate) fn read(input: &mut WireReader<'_>) -> Result<CleanLog, WireError> {
        Ok(CleanLog {
            group: GroupUid(input.u64()?),
            replica: input.u64()?,
            members_as_of: input.u64()?,
            offset: input.i64()?,
        })
    }
}
