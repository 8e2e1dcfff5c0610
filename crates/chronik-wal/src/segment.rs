//! A segment file while it is in the log: its name, its first page, and who still reads it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use crate::error::OpenError;
use crate::frame::{u32_at, u64_at};
use crate::helper::Job;
use crate::io::{no_readahead, open_read};
use crate::limits::{BLOCK_BYTES, SORTED_BIT};
use crate::sealed::RowsFile;

/// A segment file that rows may point into. Plans and the index hold it, and it is used
/// again only after the last of them let go.
#[derive(Debug)]
pub struct Segment {
    number: u32,
    salt: u32,
    path: PathBuf,
    file: OnceLock<File>,
    direct_file: OnceLock<File>,
    rows_file: OnceLock<RowsFile>,
    retired: AtomicBool,
    /// Up to here its bytes are final.
    written: AtomicU64,
    helper: SyncSender<Job>,
}

impl Segment {
    pub(crate) fn new(number: u32, salt: u32, path: PathBuf, helper: SyncSender<Job>) -> Self {
        Self {
            number,
            salt,
            path,
            file: OnceLock::new(),
            direct_file: OnceLock::new(),
            rows_file: OnceLock::new(),
            retired: AtomicBool::new(false),
            written: AtomicU64::new(0),
            helper,
        }
    }

    /// The number that rows carry.
    pub fn number(&self) -> u64 {
        u64::from(self.number)
    }

    pub(crate) fn short_number(&self) -> u32 {
        self.number
    }

    pub(crate) fn salt(&self) -> u32 {
        self.salt
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn rows_path(&self) -> PathBuf {
        rows_path(&self.path)
    }

    /// The file for buffered reads, opened by the first of them.
    pub(crate) fn file(&self) -> io::Result<&File> {
        get_or_open(&self.file, || open_cached(&self.path))
    }

    /// The file for reads of whole blocks, past the page cache if `direct`.
    pub(crate) fn window_file(&self, direct: bool) -> io::Result<&File> {
        if !direct {
            return self.file();
        }
        get_or_open(&self.direct_file, || open_read(&self.path, true))
    }

    /// The index file of a sealed segment, opened by the first read.
    pub(crate) fn rows_file(&self) -> io::Result<&RowsFile> {
        get_or_open(&self.rows_file, || {
            RowsFile::new(open_cached(&self.rows_path())?)
        })
    }

    /// Up to here nothing will change.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Everything before `position` is on disk and will not change.
    pub(crate) fn grew_to(&self, position: u64) {
        self.written.store(position, Ordering::Release);
    }

    /// Nothing in it is alive: whoever lets go last sends it to the pool.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if *self.retired.get_mut() {
            // If the helper is gone or swamped, the first checkpoint after the next start
            // finds the segment dead again.
            let _ = self.helper.try_send(Job::Recycle {
                path: std::mem::take(&mut self.path),
            });
        }
    }
}

/// A file for reads from the page cache.
fn open_cached(path: &Path) -> io::Result<File> {
    let file = open_read(path, false)?;
    no_readahead(&file)?;
    Ok(file)
}

fn get_or_open<T>(slot: &OnceLock<T>, open: impl FnOnce() -> io::Result<T>) -> io::Result<&T> {
    if let Some(opened) = slot.get() {
        return Ok(opened);
    }
    let opened = open()?;
    // Two readers may race; the second file is closed unused.
    Ok(slot.get_or_init(|| opened))
}

/// The directories and names of one log.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) log: PathBuf,
    pub(crate) pool: PathBuf,
    pub(crate) sorted: PathBuf,
}

impl Layout {
    pub(crate) fn of(data_directory: &Path) -> Self {
        let log = data_directory.join("wal");
        Self {
            pool: log.join("pool"),
            sorted: log.join("sorted"),
            log,
        }
    }

    pub(crate) fn segment(&self, number: u32) -> PathBuf {
        if number & SORTED_BIT == 0 {
            self.log.join(format!("{number:010}.seg"))
        } else {
            self.sorted
                .join(format!("{:010}.seg", number & !SORTED_BIT))
        }
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.log.join("checkpoint")
    }
}

/// The index file that belongs to a segment file.
pub(crate) fn rows_path(segment: &Path) -> PathBuf {
    segment.with_extension("idx")
}

/// The version of frames, segment headers and index files.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Far beyond any life of a node, and far from an overflow.
pub(crate) const LSN_MAX: u64 = 1 << 62;

const SEGMENT_MAGIC: [u8; 8] = *b"CHRONSEG";
const HEADER_CHECKED_BYTES: usize = 64;

/// The first page of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) node_uuid: [u8; 16],
    pub(crate) number: u32,
    pub(crate) salt: u32,
    pub(crate) first_lsn: u64,
    pub(crate) segment_bytes: u64,
}

impl SegmentHeader {
    pub(crate) fn write(&self, page: &mut [u8]) {
        let page = &mut page[..BLOCK_BYTES];
        page.fill(0);
        page[0..8].copy_from_slice(&SEGMENT_MAGIC);
        page[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        page[12..16].copy_from_slice(&self.number.to_le_bytes());
        page[16..32].copy_from_slice(&self.node_uuid);
        page[32..40].copy_from_slice(&self.first_lsn.to_le_bytes());
        page[40..48].copy_from_slice(&self.segment_bytes.to_le_bytes());
        page[48..52].copy_from_slice(&self.salt.to_le_bytes());
        let checksum = crc32c::crc32c(&page[..HEADER_CHECKED_BYTES]);
        page[HEADER_CHECKED_BYTES..HEADER_CHECKED_BYTES + 4]
            .copy_from_slice(&checksum.to_le_bytes());
    }

    pub(crate) fn read(page: &[u8], path: &Path) -> Result<Self, OpenError> {
        let corrupt = |reason: &str| OpenError::Corrupt {
            path: path.to_owned(),
            position: 0,
            reason: reason.to_owned(),
        };
        if page.len() < BLOCK_BYTES || page[0..8] != SEGMENT_MAGIC {
            return Err(corrupt("it does not start with a segment header"));
        }
        // The checksum comes first, so that a damaged version is not taken for a newer one.
        if u32_at(page, HEADER_CHECKED_BYTES) != crc32c::crc32c(&page[..HEADER_CHECKED_BYTES]) {
            return Err(corrupt("the segment header does not match its checksum"));
        }
        let found = u32_at(page, 8);
        if found != FORMAT_VERSION {
            return Err(OpenError::NewerFormat {
                path: path.to_owned(),
                found,
                known: FORMAT_VERSION,
            });
        }
        if u64_at(page, 32) > LSN_MAX {
            return Err(corrupt("the segment header has an impossible lsn"));
        }
        Ok(Self {
            number: u32_at(page, 12),
            node_uuid: *page[16..32].first_chunk().expect("the slice has 16 bytes"),
            first_lsn: u64_at(page, 32),
            segment_bytes: u64_at(page, 40),
            salt: u32_at(page, 48),
        })
    }
}
