//! What a caller may choose when it opens a log.

use std::path::PathBuf;
use std::time::Duration;

use chronik_fault::Planted;

/// How segments are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IoMode {
    /// Direct where an aligned probe write succeeds, buffered elsewhere.
    #[default]
    Auto,
    /// `O_DIRECT`, or refuse to open.
    Direct,
    /// Through the page cache.
    Buffered,
}

/// Where a log lives and how large its pieces are.
#[derive(Debug, Clone)]
pub struct Options {
    /// The node's data directory; everything of the log is in `dir/wal`.
    pub dir: PathBuf,
    /// Stamped into every segment, so that a directory of another node is refused.
    pub node_uuid: [u8; 16],
    /// Length of every segment file, a multiple of 4 KiB.
    pub segment_bytes: u64,
    /// How many pre-written segments the helper keeps ready.
    pub pool_segments: usize,
    /// How segments are written.
    pub io: IoMode,
    /// Longest frame that is made of more than one record, a multiple of 4 KiB.
    pub frame_max: usize,
    /// Memory for reading what lies side by side with one read of the disk.
    pub read_bytes: usize,
    /// Longest wait for more tasks while recent frames were tiny.
    pub linger_max: Duration,
    /// A mistake to make on purpose, where a test wants to see it noticed.
    pub planted: Planted,
}

impl Options {
    /// The defaults for a data directory.
    pub fn new(dir: impl Into<PathBuf>, node_uuid: [u8; 16]) -> Self {
        Self {
            dir: dir.into(),
            node_uuid,
            segment_bytes: 128 << 20,
            pool_segments: 2,
            io: IoMode::Auto,
            frame_max: 4 << 20,
            read_bytes: 40 << 20,
            linger_max: Duration::from_micros(100),
            planted: Planted::NOTHING,
        }
    }
}
