//! What a shard does by the clock: checkpoints, retention, and the trims that they allow.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chronik_core::catalog::Node;
use chronik_core::catalog::topic_config::LogConfig;
use chronik_core::group::Trim;
use chronik_core::ids::GroupUid;
use chronik_wal::{Kind, Record, Retention, Stats, Task};
use tokio::sync::oneshot;
use tracing::warn;

use super::Token;
use super::event::{GroupError, TrimError};
use super::shard::Shard;
use crate::clock;
use crate::metrics::{Queue, SegmentState};

/// When things are due, and what the running checkpoint will allow.
pub(super) struct Upkeep {
    pub(super) due: Instant,
    tick: Duration,
    pub(super) checkpoint_soon: bool,
    checkpoint_running: bool,
    checkpoint_due: Instant,
    retention_due: Instant,
    retention_interval: Duration,
    /// Kept states that the next checkpoint will hold.
    kept_next: Vec<(GroupUid, i64)>,
    /// Kept states that the running checkpoint holds: what they cover is trimmed after it.
    kept_running: Vec<(GroupUid, i64)>,
    trim_waiters: Vec<TrimWaiter>,
    /// How far the running checkpoint holds the catalog.
    catalog_running: u64,
    /// What the catalog has to learn of this node and its cluster as soon as it can.
    pub(super) announce: Option<(Node, String)>,
}

struct TrimWaiter {
    group: GroupUid,
    offset: i64,
    reply: oneshot::Sender<Result<i64, TrimError>>,
}

const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

impl Upkeep {
    pub(super) fn new(tick: Duration, retention_interval: Duration) -> Upkeep {
        let now = Instant::now();
        Upkeep {
            due: now + tick,
            tick,
            checkpoint_soon: false,
            checkpoint_running: false,
            checkpoint_due: now + CHECKPOINT_EVERY,
            retention_due: now + retention_interval,
            retention_interval,
            kept_next: Vec::new(),
            kept_running: Vec::new(),
            trim_waiters: Vec::new(),
            catalog_running: 0,
            announce: None,
        }
    }
}

impl Shard {
    /// Whatever the clock asks for.
    pub(super) fn look_after(&mut self) {
        let now = Instant::now();
        if now < self.upkeep.due {
            return;
        }
        self.upkeep.due = now + self.upkeep.tick;
        self.tick_groups();
        self.measure();
        if self.upkeep.checkpoint_soon || now >= self.upkeep.checkpoint_due {
            self.checkpoint(now);
        }
        if now >= self.upkeep.retention_due {
            self.upkeep.retention_due = now + self.upkeep.retention_interval;
            self.retain();
            self.settle();
        }
    }

    /// One tick for every group that waits for somebody: a voter without peers has nobody to wait for.
    fn tick_groups(&mut self) {
        for replica in self
            .replicas
            .values_mut()
            .filter(|replica| !replica.group.is_alone())
        {
            replica.group.tick();
            if !replica.touched {
                replica.touched = true;
                self.touched.push(replica.uid());
            }
        }
    }

    /// A last checkpoint, so that the next start has nothing to replay.
    pub(super) fn checkpoint_everything(&mut self) {
        let states = self.dirty_states();
        if let Err(refused) = self.writer.checkpoint(states) {
            warn!(reason = %refused, "no last checkpoint: the next start replays the end of the log");
        }
    }

    pub(super) fn checkpointed(&mut self) {
        self.upkeep.checkpoint_running = false;
        for (group, offset) in std::mem::take(&mut self.upkeep.kept_running) {
            self.start_trim(group, offset);
        }
        self.trim_catalog();
    }

    pub(super) fn keep_state(&mut self, group: GroupUid, offset: i64, state: Bytes) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        replica.dirty = true;
        if let Some(records) = replica.records() {
            self.metrics.raft.note_snapshot(state.len());
            records.kept_state = Some((offset, state));
            self.upkeep.kept_next.push((group, offset));
        }
    }

    /// DeleteRecords: the answer comes when the new start of the log is durable.
    pub(super) fn trim_records(
        &mut self,
        group: GroupUid,
        offset: i64,
        reply: oneshot::Sender<Result<i64, TrimError>>,
    ) {
        let (start, high_watermark) = match self.leading_log(group) {
            Ok(edges) => edges,
            Err(error) => {
                let _ = reply.send(Err(error.into()));
                return;
            }
        };
        let offset = if offset == -1 { high_watermark } else { offset };
        if offset > high_watermark {
            let _ = reply.send(Err(TrimError::AboveHighWatermark(high_watermark)));
        } else if offset <= start {
            let _ = reply.send(Ok(start));
        } else {
            self.upkeep.trim_waiters.push(TrimWaiter {
                group,
                offset,
                reply,
            });
            self.start_trim(group, offset);
        }
    }

    /// The trim is on disk: now readers and recovery agree on it.
    pub(super) fn trimmed(&mut self, group: GroupUid, trim: Trim, offset: i64) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        replica.dirty = true;
        replica.group.trimmed(trim);
        let start = match replica.records() {
            Some(records) => {
                records.log.trim(offset);
                records.log.start_offset()
            }
            None => 0,
        };
        let place = chronik_wal::Trim {
            index: trim.index,
            term: trim.term,
            offset: start as u64,
        };
        self.index.trim(group.0, place);
        let done = |waiter: &mut TrimWaiter| waiter.group == group && waiter.offset <= start;
        for waiter in self.upkeep.trim_waiters.extract_if(.., done) {
            let _ = waiter.reply.send(Ok(start));
        }
    }

    fn checkpoint(&mut self, now: Instant) {
        self.upkeep.checkpoint_due = now + CHECKPOINT_EVERY;
        let idle =
            !self.upkeep.checkpoint_soon && !self.replicas.values().any(|replica| replica.dirty);
        // States are as of everything that was submitted: what waits here would be missing in the log.
        if idle || self.upkeep.checkpoint_running || !self.tasks.is_empty() {
            return;
        }
        let states = self.dirty_states();
        let groups: Vec<_> = states.iter().map(|(group, _)| GroupUid(*group)).collect();
        match self.writer.checkpoint(states) {
            Ok(()) => {
                self.upkeep.checkpoint_soon = false;
                self.upkeep.checkpoint_running = true;
                self.upkeep.kept_running.append(&mut self.upkeep.kept_next);
                self.upkeep.catalog_running = self.meta().map_or(0, |meta| meta.applied);
            }
            Err(_) => {
                for group in groups {
                    self.replicas
                        .get_mut(&group)
                        .expect("it was just encoded")
                        .dirty = true;
                }
            }
        }
    }

    fn dirty_states(&mut self) -> Vec<(u64, Bytes)> {
        let mut states = Vec::new();
        for replica in self.replicas.values_mut().filter(|replica| replica.dirty) {
            replica.dirty = false;
            states.push((replica.uid().0, replica.encode()));
        }
        states
    }

    fn retain(&mut self) {
        let Some(meta) = self.meta() else {
            return;
        };
        let now_ms = clock::wall_ms();
        let topics: Vec<_> = meta
            .catalog
            .topics
            .values()
            .filter(|topic| !topic.internal)
            .cloned()
            .collect();
        for topic in topics {
            let config = LogConfig::of(&topic, self.settings.min_insync_replicas);
            if config.retention_ms.is_none() && config.retention_bytes.is_none() {
                continue;
            }
            let oldest_ts = config
                .retention_ms
                .map(|ms| now_ms.saturating_sub_unsigned(ms));
            for partition in &topic.partitions {
                self.retain_group(partition.group, config.retention_bytes, oldest_ts);
            }
        }
    }

    fn retain_group(&mut self, group: GroupUid, bytes: Option<u64>, oldest_ts: Option<i64>) {
        let Some(replica) = self.replicas.get(&group).filter(|replica| replica.leads()) else {
            return;
        };
        let retention = Retention {
            bytes,
            oldest_ts,
            below_offset: None,
            limit_index: replica.group.committed(),
        };
        if let Some(trim) = self.index.offset_to_keep(group.0, retention) {
            self.submit_trim(
                group,
                Trim {
                    index: trim.index,
                    term: trim.term,
                },
                trim.offset as i64,
            );
        }
    }

    /// The commands that the checkpointed catalog covers are no longer needed, once they are many.
    fn trim_catalog(&mut self) {
        let index = self.upkeep.catalog_running;
        let Some(replica) = self.replicas.get(&GroupUid::META) else {
            return;
        };
        if index < replica.group.trim().index + self.settings.snapshot_log_entries {
            return;
        }
        let term = replica
            .group
            .term_of(index)
            .expect("an applied entry that is kept has a term");
        let snapshot_bytes = replica.encode().len();
        self.metrics.raft.note_snapshot(snapshot_bytes);
        self.submit_trim(GroupUid::META, Trim { index, term }, 0);
    }

    fn start_trim(&mut self, group: GroupUid, offset: i64) {
        let Some(replica) = self.replicas.get(&group) else {
            return;
        };
        let below_offset = Some(offset as u64);
        let retention = Retention {
            below_offset,
            limit_index: replica.group.committed(),
            ..Retention::default()
        };
        // A batch goes when all of it is below: until then the log's start lies inside its first entry.
        let whole = self.index.offset_to_keep(group.0, retention);
        let trim = whole.map_or(replica.group.trim(), |trim| Trim {
            index: trim.index,
            term: trim.term,
        });
        self.submit_trim(group, trim, offset);
    }

    fn submit_trim(&mut self, group: GroupUid, trim: Trim, offset: i64) {
        let mut record = Record::new(Kind::TrimPrefix, group.0, Bytes::new());
        record.index = trim.index;
        record.term = trim.term;
        record.base_offset = offset as u64;
        self.tasks.push(Task {
            records: vec![record],
            token: Token::Trimmed {
                group,
                trim,
                offset,
            },
        });
    }

    fn leading_log(&mut self, group: GroupUid) -> Result<(i64, i64), GroupError> {
        let replica = self.replicas.get_mut(&group).ok_or(GroupError::Unknown)?;
        if !replica.leads() {
            return Err(GroupError::NotLeader(replica.hint()));
        }
        let log = replica
            .records()
            .map(|records| (records.log.start_offset(), records.log.high_watermark()));
        log.ok_or(GroupError::Unknown)
    }

    fn measure(&mut self) {
        self.watch_disk();
        let stats = self.writer.stats();
        self.report(&stats);
    }

    /// What is left on a full disk is for trimming, so nothing may be taken once it is known to be full.
    pub(super) fn watch_disk(&mut self) {
        let is_full = self.writer.is_disk_full();
        if is_full != self.disk_full {
            self.disk_full = is_full;
            match is_full {
                true => {
                    warn!("the disk is full: produce requests are refused until space is freed")
                }
                false => warn!("the disk has space again"),
            }
        }
    }

    fn report(&self, stats: &Stats) {
        let metrics = &self.metrics;
        let leading = self
            .replicas
            .values()
            .filter(|replica| replica.leads())
            .count();
        metrics.raft.groups.set_len(self.replicas.len());
        metrics.raft.leader_count.set_len(leading);
        metrics
            .raft
            .follower_count
            .set_len(self.replicas.len() - leading);
        if let Some(meta) = self.meta() {
            metrics.catalog.topics.set_len(meta.catalog.topics.len());
            metrics
                .catalog
                .partitions
                .set_len(meta.catalog.partition_count());
        }
        let log = &metrics.wal;
        log.bytes.follow(stats.frame_bytes);
        log.frames.follow(stats.frames);
        log.records.follow(stats.records);
        log.syncs.follow(stats.frames);
        log.sync_latency.set(
            stats.sync_p50_us,
            stats.sync_p99_us,
            stats.sync_max_us,
            stats.sync_total_us,
            stats.frames,
        );
        log.recycled.follow(stats.recycled);
        log.checkpoints.follow(stats.checkpoints);
        log.defragmented.follow(stats.defragmented_bytes);
        log.direct_io.set(stats.direct_io.into());
        log.disk_full.set(stats.disk_full.into());
        metrics.queue.note(Queue::Wal, stats.queue);
        for (state, count) in [
            (SegmentState::Open, stats.segments_unsealed),
            (SegmentState::Sealed, stats.segments_sealed),
            (SegmentState::Sorted, stats.segments_sorted),
            (SegmentState::Pool, stats.pool),
        ] {
            log.segments.at(state).set(count as i64);
        }
    }
}
