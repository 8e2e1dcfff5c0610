//! Every bound of the log, with its unit in the name.

/// Frames, headers and segments start and end on multiples of this, because a sector that
/// was acknowledged must never be written again.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// Segment numbers fit 31 bits: the top bit marks the sorted namespace.
pub(crate) const SORTED_BIT: u32 = 1 << 31;

/// How many submits and checkpoints may wait for the WAL thread.
pub(crate) const QUEUE_COMMANDS: usize = 1024;

/// How many jobs may wait for the helper before the WAL thread keeps them itself.
pub(crate) const QUEUE_JOBS: usize = 256;

/// How many reports of the helper may wait for the WAL thread.
pub(crate) const QUEUE_REPORTS: usize = 256;

/// Tasks the WAL thread takes from its queue before it writes.
pub(crate) const PENDING_BYTES: usize = 16 << 20;

/// Frames below this are tiny: waiting a little for company is worth it.
pub(crate) const TINY_FRAME_BYTES: usize = 16 << 10;

/// After a wait that brought nothing, this many frames are written without waiting.
pub(crate) const LINGER_PAUSE_FRAMES: u32 = 15;

/// How long a full disk is left alone before the next attempt.
pub(crate) const DISK_FULL_RETRY_MS: u64 = 200;

/// Bytes the helper writes at once, and how many per second it may. Pre-writing is faster
/// while the log itself grows faster.
pub(crate) const HELPER_STEP_BYTES: usize = 2 << 20;
pub(crate) const PREWRITE_BYTES_PER_S: u64 = 64 << 20;
pub(crate) const DEFRAG_BYTES_PER_S: u64 = 20 << 20;

/// Entries that are this close in one segment are read together.
pub(crate) const READ_GAP_BYTES: u64 = 32 << 10;

/// One read is never longer than this, unless a single record is. What clients ask of a partition by default, 1 MiB,
/// is one read.
pub(crate) const READ_MAX_BYTES: u64 = (WINDOW_BYTES - 2 * BLOCK_BYTES) as u64;

/// A sorted segment replaces at most this many sources.
pub(crate) const DEFRAG_SOURCES: usize = 16;

/// Smallest segment: a header and a few frames.
pub(crate) const SEGMENT_MIN_BYTES: u64 = 16 * BLOCK_BYTES as u64;

/// Positions in a segment are 32 bits wide.
pub(crate) const SEGMENT_MAX_BYTES: u64 = 1 << 31;

/// What is read together with its neighbours: one huge page of memory.
pub(crate) const WINDOW_BYTES: usize = 2 << 20;

const _: () = assert!(READ_MAX_BYTES > READ_GAP_BYTES);
// The longest read fits a window, wherever in its blocks it starts and ends.
const _: () = assert!(WINDOW_BYTES >= READ_MAX_BYTES as usize + 2 * BLOCK_BYTES);
const _: () = assert!(HELPER_STEP_BYTES.is_multiple_of(BLOCK_BYTES));
