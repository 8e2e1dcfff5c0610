//! Files as the log needs them: aligned memory, direct or buffered writes, syncs of
//! files and of the directories that name them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use memmap2::MmapMut;
use rustix::fs::{Advice, FallocateFlags, OFlags};

use crate::limits::BLOCK_BYTES;

/// Rounds up to whole blocks.
pub(crate) const fn blocks_up(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK_BYTES)
}

/// Zeroed memory that starts on a block boundary, as direct I/O demands, and that the kernel may back with huge pages:
/// then it is pinned and copied at a fraction of the price.
#[derive(Debug)]
pub(crate) struct AlignedBuffer {
    memory: MmapMut,
}

impl AlignedBuffer {
    pub(crate) fn new(len: usize) -> Self {
        let memory = MmapMut::map_anon(len).expect("the process gets the memory it needs");
        assert!(
            memory.as_ptr().addr().is_multiple_of(BLOCK_BYTES),
            "a mapping starts on a page"
        );
        // It is advice: without huge pages all is as before, but slower.
        let _ = memory.advise(memmap2::Advice::HugePage);
        Self { memory }
    }

    pub(crate) fn len(&self) -> usize {
        self.memory.len()
    }

    /// Makes the kernel give all of it now. It is advice: without it the first use is as slow as ever.
    pub(crate) fn touch(&mut self) {
        let _ = self.memory.advise(memmap2::Advice::PopulateWrite);
    }

    /// Makes it at least `len` long and keeps its bytes.
    pub(crate) fn grow(&mut self, len: usize) {
        if len <= self.len() {
            return;
        }
        let mut larger = Self::new(len);
        larger.bytes_mut()[..self.len()].copy_from_slice(self.bytes());
        *self = larger;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }
}

/// Opens a file for reading and writing, past the page cache if `direct`.
pub(crate) fn open_write(path: &Path, direct: bool) -> io::Result<File> {
    let flags = if direct { OFlags::DIRECT.bits() } else { 0 };
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags.cast_signed())
        .open(path)
}

/// Opens a file for reading, past the page cache if `direct`.
pub(crate) fn open_read(path: &Path, direct: bool) -> io::Result<File> {
    let flags = if direct { OFlags::DIRECT.bits() } else { 0 };
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path)
}

/// Creates a file of `bytes` whose blocks are reserved.
pub(crate) fn create_reserved(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(bytes),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether the directory's file system takes an aligned direct write.
pub(crate) fn probe_direct(directory: &Path) -> bool {
    let path = directory.join("probe");
    let written = create_reserved(&path, BLOCK_BYTES as u64)
        .and_then(|()| open_write(&path, true))
        .and_then(|file| file.write_all_at(AlignedBuffer::new(BLOCK_BYTES).bytes(), 0));
    // A probe that stays behind is truncated by the next one.
    let _ = std::fs::remove_file(&path);
    written.is_ok()
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Writes a whole file under a temporary name, and gives it its own when it is durable.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&temporary)?;
    file.write_all_at(bytes, 0)?;
    file.sync_data()?;
    std::fs::rename(&temporary, path)?;
    sync_directory(path.parent().expect("files of the log are in a directory"))
}

/// Forgets the cached pages of a file, so that a read asks the disk.
pub(crate) fn drop_cache(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, Advice::DontNeed)?)
}

/// Keeps the kernel from reading ahead into blocks that are not written yet.
pub(crate) fn no_readahead(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, Advice::Random)?)
}

/// Whether an error says that there is no space left.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// A number that nobody outside can guess, to tell this use of a segment from earlier ones.
pub(crate) fn random_salt() -> io::Result<u32> {
    let mut salt = [0; 4];
    let mut filled = 0;
    while filled < salt.len() {
        filled +=
            rustix::rand::getrandom(&mut salt[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(u32::from_le_bytes(salt))
}
