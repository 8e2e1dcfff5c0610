//! What a shard does by the clock: checkpoints, retention, and the trims that they allow.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chronik_core::catalog::topic_config::LogConfig;
use chronik_core::group::Trim;
use chronik_core::ids::GroupUid;
use chronik_core::partition::Control;
use chronik_wal::{Kind, Record, Retention, Stats, Task};
use tokio::sync::oneshot;
use tracing::warn;

use super::Token;
use super::event::{GroupError, TrimError};
use super::records::Ticket;
use super::replica::State;
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
    /// How far the running checkpoint holds the catalog.
    catalog_running: u64,
    members_due: Instant,
    balance_due: Instant,
}

const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);
const MEMBERS_EVERY: Duration = Duration::from_millis(500);
const BALANCE_EVERY: Duration = Duration::from_secs(2);

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
            catalog_running: 0,
            members_due: now + MEMBERS_EVERY,
            balance_due: now + BALANCE_EVERY,
        }
    }
}

impl Shard {
    /// Whatever the clock asks for.
    pub(super) fn look_after(&mut self) {
        let now = clock::now(self.settings.planted);
        if now < self.upkeep.due {
            return;
        }
        self.notice_absence(now);
        self.upkeep.due = now + self.upkeep.tick;
        self.tick_groups();
        self.give_up_confirming();
        self.report_health();
        self.measure();
        if self.upkeep.checkpoint_soon || now >= self.upkeep.checkpoint_due {
            self.checkpoint(now);
        }
        if now >= self.upkeep.retention_due {
            self.upkeep.retention_due = now + self.upkeep.retention_interval;
            self.retain();
        }
        if now >= self.compaction.due {
            self.compaction.due = now + self.compaction.interval;
            self.compact();
        }
        if now >= self.upkeep.members_due {
            self.upkeep.members_due = now + MEMBERS_EVERY;
            self.reconcile_members();
            self.sweep_proposals();
            self.shed_leadership_if_stalled();
            self.push_hand_over();
            self.gossip();
        }
        if now >= self.upkeep.balance_due {
            self.upkeep.balance_due = now + BALANCE_EVERY;
            self.balance_leaders();
        }
    }

    /// One tick for every group that waits for somebody: a voter without peers has nobody to wait for.
    fn tick_groups(&mut self) {
        for replica in self
            .replicas
            .values_mut()
            .filter(|replica| !replica.group().is_alone())
        {
            replica.tick();
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
        self.trim_catalog();
    }

    /// A state that stands for old records goes through the log, so that every replica has it before they go.
    pub(super) fn keep_state(&mut self, group: GroupUid, offset: i64, state: Bytes) {
        if state.len() > self.settings.max_batch_bytes as usize {
            warn!(%group, bytes = state.len(), "a state is too large to be kept: its records stay");
            return;
        }
        self.metrics.raft.note_snapshot(state.len());
        self.order(group, Ticket::Nobody, Control::Keep { offset, state });
    }

    /// DeleteRecords: the answer comes when a majority knows the new start of the log.
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
            self.order(group, Ticket::Trim(reply), Control::Trim { offset });
        }
    }

    /// The trim is on disk: now readers and recovery agree on it.
    pub(super) fn trimmed(&mut self, group: GroupUid, trim: Trim, offset: i64) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        // A snapshot may have been installed meanwhile that begins later.
        if trim.index <= replica.group().trim().index {
            return;
        }
        replica.dirty = true;
        replica.trimmed(trim, offset);
        let place = chronik_wal::Trim {
            index: trim.index,
            term: trim.term,
            offset: offset as u64,
        };
        self.index.trim(group.0, place);
    }

    /// Readers see nothing below `offset` any more: entries that hold nothing else go from this node's disk.
    pub(super) fn trim_storage(&mut self, group: GroupUid, offset: i64) {
        let Some(replica) = self.replicas.get(&group) else {
            return;
        };
        let below_offset = Some(offset as u64);
        let retention = Retention {
            below_offset,
            limit_index: replica.group().trimmable(),
            ..Retention::default()
        };
        // A batch goes when all of it is below: until then the log's start lies inside its first entry.
        if let Some(trim) = self.index.offset_to_keep(group.0, retention) {
            let place = Trim {
                index: trim.index,
                term: trim.term,
            };
            self.submit_trim(group, place, trim.offset as i64);
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
            let keeps_all = config.retention_ms.is_none() && config.retention_bytes.is_none();
            if keeps_all || !config.deletes {
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
        let Some(replica) = self.replicas.get(&group).filter(|replica| replica.serves()) else {
            return;
        };
        let State::Records(records) = &replica.state else {
            return;
        };
        let start_offset = records.log().start_offset();
        let retention = Retention {
            bytes,
            oldest_ts,
            below_offset: None,
            limit_index: replica.group().trimmable(),
        };
        if let Some(trim) = self.index.offset_to_keep(group.0, retention)
            && trim.offset as i64 > start_offset
        {
            let offset = trim.offset as i64;
            self.order(group, Ticket::Nobody, Control::Trim { offset });
        }
    }

    fn order(&mut self, group: GroupUid, ticket: Ticket, control: Control) {
        if let Some(records) = self
            .replicas
            .get_mut(&group)
            .and_then(super::replica::Replica::records)
        {
            records.replica.order(ticket, control);
            self.touch(group);
        }
    }

    /// The commands that the checkpointed catalog covers are no longer needed, once they are many.
    fn trim_catalog(&mut self) {
        let index = self.upkeep.catalog_running;
        let Some(replica) = self.replicas.get(&GroupUid::META) else {
            return;
        };
        if index < replica.group().trim().index + self.settings.snapshot_log_entries {
            return;
        }
        let term = replica
            .group()
            .term_of(index)
            .expect("an applied entry that is kept has a term");
        let snapshot_bytes = replica.encode().len();
        self.metrics.raft.note_snapshot(snapshot_bytes);
        self.submit_trim(GroupUid::META, Trim { index, term }, 0);
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
        if !replica.serves() {
            return Err(GroupError::NotLeader(replica.hint()));
        }
        let log = replica
            .records()
            .map(|records| (records.log().start_offset(), records.log().high_watermark()));
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
            .filter(|replica| replica.group().is_leader())
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
