//! Every metric, named once. Recording is an atomic addition to a field found at compile time; text is made on demand.

pub mod docs;
mod label;
mod process;
mod series;
mod table;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;

pub use label::{
    Closing, Direction, ErrorNumber, EventKind, FetchPhase, Label, Operation, PeerNode,
    ProducePhase, Queue, SegmentState, TopicPhase, Version,
};
pub use series::{
    Counter, Family, Gauge, Milliseconds, Peak, Raised, Seconds, SecondsCounter, SecondsSummary,
    State,
};

use table::metrics_table;

metrics_table! {
    /// The node as a whole.
    node: NodeMetrics {
        /// Always 1; the label says which version runs.
        build: Family<Version, Gauge> = "chronik_build_info";
        /// 1 while the node serves clients, 0 while it starts or stops.
        ready: Gauge = "chronik_ready";
    }

    /// The clients' door.
    kafka: KafkaMetrics {
        /// Client connections open now.
        connections: Gauge = "chronik_kafka_connections";
        /// Client connections accepted.
        accepted: Counter = "chronik_kafka_connections_accepted_total";
        /// Client connections closed, by the reason.
        closed: Family<Closing, Counter> = "chronik_kafka_connections_closed_total";
        /// Requests answered, by API.
        requests: Family<ApiKey, Counter> = "chronik_kafka_requests_total";
        /// Time from the last byte of a request to its answer, by API; long polls wait on purpose.
        request_latency: Family<ApiKey, Seconds> = "chronik_kafka_request_latency_seconds";
        /// Errors in answers, by Kafka's error number; one answer may carry several.
        errors: Family<ErrorNumber, Counter> = "chronik_kafka_errors_total";
        /// Bytes read from and written to clients.
        bytes: Family<Direction, Counter> = "chronik_kafka_bytes_total";
        /// Requests read and not yet answered.
        requests_in_flight: Gauge = "chronik_kafka_requests_in_flight";
        /// Memory of requests read and not yet answered.
        request_bytes_in_flight: Gauge = "chronik_kafka_request_bytes_in_flight";
    }

    /// Producing.
    produce: ProduceMetrics {
        /// Time a produced batch spends in each phase.
        latency: Family<ProducePhase, Seconds> = "chronik_produce_latency_seconds";
        /// Batches accepted.
        batches: Counter = "chronik_produce_batches_total";
        /// Records accepted.
        records: Counter = "chronik_produce_records_total";
        /// Bytes of the batches accepted.
        bytes: Counter = "chronik_produce_bytes_total";
    }

    /// Fetching.
    fetch: FetchMetrics {
        /// Time a fetch spends in each phase.
        latency: Family<FetchPhase, Seconds> = "chronik_fetch_latency_seconds";
        /// Bytes of records handed to clients.
        bytes: Counter = "chronik_fetch_bytes_total";
        /// Fetches that wait for records now.
        waiting: Gauge = "chronik_fetch_waiting";
        /// Reads answered from memory.
        cache_hits: Counter = "chronik_fetch_cache_hits_total";
        /// Reads that went to the log's files.
        cache_misses: Counter = "chronik_fetch_cache_misses_total";
    }

    /// Topics and groups.
    catalog: CatalogMetrics {
        /// Topics, internal ones included.
        topics: Gauge = "chronik_topics";
        /// Partitions of all topics.
        partitions: Gauge = "chronik_partitions";
        /// Time to create a topic, by phase.
        topic_creation: Family<TopicPhase, Seconds> = "chronik_topic_creation_seconds";
        /// Consumer groups that this node coordinates and that have members or committed offsets.
        consumer_groups: Gauge = "chronik_consumer_groups";
    }

    /// Consensus.
    raft: RaftMetrics {
        /// Raft groups with a replica on this node.
        groups: Gauge = "chronik_raft_groups";
        /// Groups this node leads.
        leader_count: Gauge = "chronik_raft_leader_count";
        /// Groups this node follows.
        follower_count: Gauge = "chronik_raft_follower_count";
        /// Elections won by replicas of this node.
        election_count: Counter = "chronik_raft_election_count";
        /// Time from a proposal to its commit.
        commit_latency: Milliseconds = "chronik_raft_commit_latency_ms";
        /// Messages of other nodes that were dropped because batches in them were damaged.
        damaged_messages: Counter = "chronik_raft_damaged_messages_total";
        /// Bytes sent to replicas on the move, so that they catch up.
        catch_up_bytes: Counter = "chronik_raft_catch_up_bytes_total";
        /// States kept in place of log entries.
        snapshot_count: Counter = "chronik_raft_snapshot_count";
        /// Size of the newest such state.
        snapshot_size: Gauge = "chronik_raft_snapshot_size_bytes";
        /// Time from a state that another node sent to its being durable here.
        snapshot_apply_latency: Milliseconds = "chronik_raft_snapshot_apply_latency_ms";
    }

    /// Files with the state of the node, or of a group.
    snapshot: SnapshotMetrics {
        /// Files that are kept.
        files: Gauge = "chronik_snapshot_files";
        /// Size of all of them.
        bytes: Gauge = "chronik_snapshot_files_bytes";
        /// When the newest one of the node was made, in seconds since 1970.
        newest: Gauge = "chronik_snapshot_newest_timestamp_seconds";
        /// Time to make one.
        make_time: Seconds = "chronik_snapshot_make_seconds";
        /// Attempts that came to nothing.
        failures: Counter = "chronik_snapshot_failures_total";
    }

    /// Compaction by keys.
    compaction: CompactionMetrics {
        /// Passes over a partition that came to their end.
        passes: Counter = "chronik_compaction_passes_total";
    }

    /// Other nodes, by their number.
    peer: PeerMetrics {
        /// Group messages sent to a node.
        sent: Family<PeerNode, Counter> = "chronik_peer_messages_sent_total";
        /// Bytes of the group messages sent to a node.
        sent_bytes: Family<PeerNode, Counter> = "chronik_peer_bytes_sent_total";
        /// Group messages received from a node.
        received: Family<PeerNode, Counter> = "chronik_peer_messages_received_total";
        /// Bytes of the group messages received from a node.
        received_bytes: Family<PeerNode, Counter> = "chronik_peer_bytes_received_total";
        /// Group messages for a node that were dropped, because its breaker is open, its queue full, or its connection lost.
        dropped: Family<PeerNode, Counter> = "chronik_peer_messages_dropped_total";
        /// Connections to a node that were lost.
        disconnects: Family<PeerNode, Counter> = "chronik_peer_disconnects_total";
        /// Time from a ping to its answer.
        round_trip: Family<PeerNode, Seconds> = "chronik_peer_round_trip_seconds";
        /// 1 while a node gives signs of life, 0 while it is suspected.
        alive: Family<PeerNode, State> = "chronik_peer_alive";
        /// The breaker of a node: 0 closed, 1 half open, 2 open. Nothing is sent unless it is closed.
        breaker: Family<PeerNode, State> = "chronik_circuit_breaker_state";
    }

    /// The shard threads, which own the groups.
    shard: ShardMetrics {
        /// Time the shards spent working; a rate near 1 per thread means that they are the bottleneck.
        busy: SecondsCounter = "chronik_shard_busy_seconds_total";
        /// Time of one turn of the loop.
        cycle: Seconds = "chronik_shard_cycle_seconds";
        /// Events handled, by kind.
        events: Family<EventKind, Counter> = "chronik_shard_events_total";
    }

    /// Bounded queues between the rooms.
    queue: QueueMetrics {
        /// Entries that waited when the queue was last looked at.
        depth: Family<Queue, Gauge> = "chronik_queue_depth";
        /// Most entries that ever waited.
        depth_peak: Family<Queue, Peak> = "chronik_queue_depth_peak";
        /// Entries refused because the queue was full.
        refused: Family<Queue, Counter> = "chronik_queue_refused_total";
    }

    /// Waits for something outside the process's memory.
    io: IoMetrics {
        /// Duration of operations that ended in time.
        duration: Family<Operation, Seconds> = "chronik_io_duration_seconds";
        /// Operations given up because they took too long.
        timeouts: Family<Operation, Counter> = "chronik_io_timeouts_total";
    }

    /// The write-ahead log.
    wal: WalMetrics {
        /// Bytes of frames written.
        bytes: Counter = "chronik_wal_bytes_total";
        /// Frames written; a frame is one group commit.
        frames: Counter = "chronik_wal_frames_total";
        /// Records written.
        records: Counter = "chronik_wal_records_total";
        /// Syncs completed.
        syncs: Counter = "chronik_wal_syncs_total";
        /// Time of a write with its sync.
        sync_latency: SecondsSummary = "chronik_wal_sync_latency_seconds";
        /// Segment files, by state.
        segments: Family<SegmentState, Gauge> = "chronik_wal_segments";
        /// Segment files used again.
        recycled: Counter = "chronik_wal_segments_recycled_total";
        /// Checkpoints written.
        checkpoints: Counter = "chronik_wal_checkpoints_total";
        /// Bytes moved so that sparse segments could be recycled.
        defragmented: Counter = "chronik_wal_defragmented_bytes_total";
        /// 1 if frames bypass the page cache, 0 if they go through it.
        direct_io: Gauge = "chronik_wal_direct_io";
        /// 1 while no further segment can be had.
        disk_full: Gauge = "chronik_wal_disk_full";
    }

    /// The process, read when the metrics are.
    process: ProcessMetrics {
        /// CPU time used, user and system.
        cpu: SecondsCounter = "process_cpu_seconds_total";
        /// Resident memory.
        resident_memory: Gauge = "process_resident_memory_bytes";
        /// Most resident memory there ever was.
        resident_memory_peak: Gauge = "process_resident_memory_peak_bytes";
        /// Open file descriptors.
        open_files: Gauge = "process_open_fds";
        /// Threads.
        threads: Gauge = "process_threads";
        /// When the process started, in seconds since 1970.
        start_time: Gauge = "process_start_time_seconds";
    }
}

/// What the process uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub resident_bytes: u64,
    pub open_files: u64,
    pub threads: u64,
    /// User and system.
    pub cpu: Duration,
}

impl Metrics {
    /// What the process uses now.
    pub async fn process_now(self: &Arc<Self>) -> Usage {
        let metrics = self.clone();
        let read = move || {
            process::refresh(&metrics.process);
            let count = |gauge: &Gauge| u64::try_from(gauge.get()).unwrap_or_default();
            Usage {
                resident_bytes: count(&metrics.process.resident_memory),
                open_files: count(&metrics.process.open_files),
                threads: count(&metrics.process.threads),
                cpu: metrics.process.cpu.total(),
            }
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }

    /// All metrics in the Prometheus text format. It reads `/proc`, so it belongs on a thread that may block.
    pub fn render(&self) -> String {
        process::refresh(&self.process);
        self.node.build.at(Version).set(1);
        let mut text = String::with_capacity(32 << 10);
        self.visit(&mut |definition, series| {
            let (name, sentence, kind) = (definition.name, definition.sentence, series.kind());
            // Writing to a string cannot fail.
            let _ = write!(text, "# HELP {name} {sentence}\n# TYPE {name} {kind}\n");
            series.render(name, "", &mut text);
        });
        text
    }
}

impl QueueMetrics {
    /// How many entries waited when the queue was looked at.
    pub fn note(&self, queue: Queue, waiting: u64) {
        let depth = i64::try_from(waiting).unwrap_or(i64::MAX);
        self.depth.at(queue).set(depth);
        self.depth_peak.at(queue).observe(waiting);
    }
}

impl RaftMetrics {
    /// A state of so many bytes stands for entries from now on.
    pub fn note_snapshot(&self, state_bytes: usize) {
        self.snapshot_count.increment();
        self.snapshot_size.set_len(state_bytes);
    }
}

/// Nothing is ordered by a metric: it only has to arrive some time.
const RELAXED: Ordering = Ordering::Relaxed;

#[cfg(test)]
mod tests;
