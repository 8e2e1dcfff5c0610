//! Counters of a running log, readable from any thread.

/// A moment's view of the counters.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Whether frames bypass the page cache.
    pub direct_io: bool,
    /// Bytes of all frames written by this process.
    pub frame_bytes: u64,
    pub frames: u64,
    pub records: u64,
    pub syncs: u64,
    /// Durations of write plus sync in microseconds.
    pub sync_p50_us: u64,
    pub sync_p99_us: u64,
    pub sync_max_us: u64,
    pub sync_total_us: u64,
    /// Segments in the log by state.
    pub segments_open: u64,
    pub segments_sealed: u64,
    pub segments_sorted: u64,
    /// Spare segments that are ready.
    pub pool: u64,
    pub queue: u64,
    pub checkpoints: u64,
    pub recycled: u64,
    pub defragmented_bytes: u64,
    /// No further segment can be had: refuse writes that users can repeat. What is left is
    /// for trimming.
    pub disk_full: bool,
    pub durable_lsn: u64,
    pub checkpoint_lsn: u64,
}
