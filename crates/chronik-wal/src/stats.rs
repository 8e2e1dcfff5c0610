//! Counters of a running log, readable from any thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

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
    /// Durations of write plus sync of a frame, in microseconds; within a quarter of the
    /// true quantile.
    pub sync_p50_us: u64,
    pub sync_p99_us: u64,
    pub sync_max_us: u64,
    pub sync_total_us: u64,
    /// Segments by state.
    pub segments_unsealed: u64,
    pub segments_sealed: u64,
    pub segments_sorted: u64,
    /// Spare segments that are ready.
    pub pool: u64,
    /// Submits and checkpoints that wait for the WAL thread.
    pub queue: u64,
    pub rolls: u64,
    pub checkpoints: u64,
    pub recycled: u64,
    pub defragmented_bytes: u64,
    /// No further segment can be had: refuse writes that users can repeat. What is left is
    /// for trimming.
    pub disk_full: bool,
    pub durable_lsn: u64,
    pub checkpoint_lsn: u64,
}

/// Quarters of powers of two: bucket 4e + q holds `2^e * (4 + q) / 4` and above.
const BUCKETS: usize = 4 * 40;

/// The shared counters.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) frame_bytes: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) segments_unsealed: AtomicU64,
    pub(crate) segments_sealed: AtomicU64,
    pub(crate) segments_sorted: AtomicU64,
    pub(crate) pool: AtomicU64,
    pub(crate) queue: AtomicU64,
    pub(crate) rolls: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) recycled: AtomicU64,
    pub(crate) defragmented_bytes: AtomicU64,
    pub(crate) durable_lsn: AtomicU64,
    pub(crate) checkpoint_lsn: AtomicU64,
    disk_full: AtomicBool,
    /// Set before the WAL thread is told: a full queue must not keep it from ending.
    closing: AtomicBool,
    sync_max_us: AtomicU64,
    sync_total_us: AtomicU64,
    syncs: Box<[AtomicU64]>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            frame_bytes: AtomicU64::default(),
            frames: AtomicU64::default(),
            records: AtomicU64::default(),
            segments_unsealed: AtomicU64::default(),
            segments_sealed: AtomicU64::default(),
            segments_sorted: AtomicU64::default(),
            pool: AtomicU64::default(),
            queue: AtomicU64::default(),
            rolls: AtomicU64::default(),
            checkpoints: AtomicU64::default(),
            recycled: AtomicU64::default(),
            defragmented_bytes: AtomicU64::default(),
            durable_lsn: AtomicU64::default(),
            checkpoint_lsn: AtomicU64::default(),
            disk_full: AtomicBool::default(),
            closing: AtomicBool::default(),
            sync_max_us: AtomicU64::default(),
            sync_total_us: AtomicU64::default(),
            syncs: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn set(counter: &AtomicU64, value: u64) {
        counter.store(value, Ordering::Relaxed);
    }

    pub(crate) fn dequeued(&self) {
        self.queue.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn wrote(&self, bytes: u64, records: u64, lsn: u64) {
        Self::add(&self.frames, 1);
        Self::add(&self.frame_bytes, bytes);
        Self::add(&self.records, records);
        Self::set(&self.durable_lsn, lsn);
    }

    pub(crate) fn written_bytes(&self) -> u64 {
        self.frame_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn rolled(&self) {
        Self::add(&self.rolls, 1);
    }

    pub(crate) fn checkpointed(&self, lsn: u64) {
        Self::add(&self.checkpoints, 1);
        Self::set(&self.checkpoint_lsn, lsn);
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(crate) fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Relaxed)
    }

    pub(crate) fn set_disk_full(&self, full: bool) {
        self.disk_full.store(full, Ordering::Relaxed);
    }

    pub(crate) fn synced(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Self::add(&self.syncs[bucket_of(us)], 1);
        Self::add(&self.sync_total_us, us);
        self.sync_max_us.fetch_max(us, Ordering::Relaxed);
    }

    pub(crate) fn view(&self, direct_io: bool) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let syncs: Vec<u64> = self.syncs.iter().map(get).collect();
        Stats {
            direct_io,
            frame_bytes: get(&self.frame_bytes),
            frames: get(&self.frames),
            records: get(&self.records),
            sync_p50_us: quantile(&syncs, 50),
            sync_p99_us: quantile(&syncs, 99),
            sync_max_us: get(&self.sync_max_us),
            sync_total_us: get(&self.sync_total_us),
            segments_unsealed: get(&self.segments_unsealed),
            segments_sealed: get(&self.segments_sealed),
            segments_sorted: get(&self.segments_sorted),
            pool: get(&self.pool),
            queue: get(&self.queue),
            rolls: get(&self.rolls),
            checkpoints: get(&self.checkpoints),
            recycled: get(&self.recycled),
            defragmented_bytes: get(&self.defragmented_bytes),
            disk_full: self.disk_full.load(Ordering::Relaxed),
            durable_lsn: get(&self.durable_lsn),
            checkpoint_lsn: get(&self.checkpoint_lsn),
        }
    }
}

fn bucket_of(us: u64) -> usize {
    let value = us.max(4);
    let exponent = value.ilog2();
    let quarter = (value >> (exponent - 2)) & 3;
    ((exponent as usize) * 4 + quarter as usize).min(BUCKETS - 1)
}

/// The upper end of the bucket in which a quantile lies.
fn quantile(buckets: &[u64], percent: u64) -> u64 {
    let total: u64 = buckets.iter().sum();
    let rank = (total * percent).div_ceil(100);
    let mut seen = 0;
    for (number, count) in buckets.iter().enumerate() {
        seen += count;
        if seen >= rank && *count > 0 {
            let (exponent, quarter) = (number / 4, number as u64 % 4);
            return (5 + quarter) << exponent >> 2;
        }
    }
    0
}

#[cfg(test)]
mod tests;
