//! Spare segments: recycled ones first, else pre-written in small steps, because blocks that
//! were written before cost a sync no journal work.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::helper::remove_if_there;
use crate::io::{AlignedBuffer, create_reserved, open_write, sync_directory};
use crate::limits::HELPER_STEP_BYTES;

/// Recycled segments that are kept beyond the wanted number.
const SURPLUS: usize = 2;

/// Space that is given back when the disk is full, so that a checkpoint, which lets
/// segments go, can still be written.
const BALLAST_NAME: &str = "ballast";
const BALLAST_BYTES_MAX: u64 = 8 << 20;

/// The helper's view of the pool directory.
#[derive(Debug)]
pub(crate) struct Pool {
    directory: PathBuf,
    segment_bytes: u64,
    wanted: usize,
    ready: usize,
    next_name: u64,
    /// What new segments are filled with, made when the first is.
    zeros: Option<AlignedBuffer>,
}

impl Pool {
    /// Lists the spare segments of a stopped process and removes what is half written.
    pub(crate) fn open(
        directory: &Path,
        segment_bytes: u64,
        wanted: usize,
    ) -> io::Result<(Self, Vec<PathBuf>)> {
        let mut spares = Vec::new();
        let mut next_name = 0;
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.ends_with(BALLAST_NAME) {
                continue;
            }
            let name = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .and_then(|stem| stem.parse::<u64>().ok());
            next_name = next_name.max(name.map_or(0, |name| name + 1));
            let whole = path
                .extension()
                .is_some_and(|extension| extension == "spare")
                && std::fs::metadata(&path)?.len() == segment_bytes;
            if whole && name.is_some() {
                spares.push(path);
            } else {
                remove_if_there(&path)?;
            }
        }
        spares.sort();
        let ready = spares.len();
        Ok((
            Self {
                directory: directory.to_owned(),
                segment_bytes,
                wanted,
                ready,
                next_name,
                zeros: None,
            },
            spares,
        ))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn ballast(&self) -> PathBuf {
        self.directory.join(BALLAST_NAME)
    }

    pub(crate) fn has_ballast(&self) -> bool {
        self.ballast().exists()
    }

    /// Takes the ballast on board; nothing is lost if there is no space for it.
    pub(crate) fn load_ballast(&self) -> io::Result<()> {
        let bytes = BALLAST_BYTES_MAX.min(self.segment_bytes / 4);
        let loaded = create_reserved(&self.ballast(), bytes);
        if loaded.is_err() {
            self.drop_ballast();
        }
        loaded
    }

    /// Gives the ballast's space back; `false` if it was gone already.
    pub(crate) fn drop_ballast(&self) -> bool {
        std::fs::remove_file(self.ballast()).is_ok()
    }

    pub(crate) fn wants_more(&self) -> bool {
        self.ready < self.wanted
    }

    /// Whether there is one besides the reserve.
    pub(crate) fn has_spare(&self) -> bool {
        self.ready > 1
    }

    pub(crate) fn taken(&mut self) {
        self.ready = self.ready.saturating_sub(1);
    }

    fn new_name(&mut self, extension: &str) -> PathBuf {
        self.next_name += 1;
        self.directory
            .join(format!("{:010}.{extension}", self.next_name))
    }

    /// Takes a dead segment out of the log; the caller syncs the log's directory.
    pub(crate) fn take_in(&mut self, path: &Path) -> io::Result<Option<PathBuf>> {
        if self.ready >= self.wanted + SURPLUS {
            remove_if_there(path)?;
            return Ok(None);
        }
        let spare = self.new_name("spare");
        std::fs::rename(path, &spare)?;
        sync_directory(&self.directory)?;
        self.ready += 1;
        Ok(Some(spare))
    }

    pub(crate) fn start_prewriting(&mut self, direct: bool) -> io::Result<Prewriting> {
        let path = self.new_name("part");
        let opened =
            create_reserved(&path, self.segment_bytes).and_then(|()| open_write(&path, direct));
        match opened {
            Ok(file) => Ok(Prewriting {
                path,
                file,
                position: 0,
                segment_bytes: self.segment_bytes,
            }),
            Err(error) => {
                remove_if_there(&path)?;
                Err(error)
            }
        }
    }

    /// Writes a little; `true` when everything is written.
    pub(crate) fn prewrite(&mut self, prewriting: &mut Prewriting) -> io::Result<bool> {
        let zeros = self.zeros.get_or_insert_with(|| {
            let mut zeros = AlignedBuffer::new(HELPER_STEP_BYTES);
            // Memory that was never touched is many small pages of nothing, each of which is pinned for each write.
            zeros.touch();
            zeros
        });
        prewriting.write(zeros.bytes())
    }

    /// Makes a pre-written segment a spare.
    pub(crate) fn finish(&mut self, prewriting: Prewriting) -> io::Result<PathBuf> {
        let spare = prewriting.path.with_extension("spare");
        prewriting.file.sync_all()?;
        std::fs::rename(&prewriting.path, &spare)?;
        sync_directory(&self.directory)?;
        self.ready += 1;
        Ok(spare)
    }
}

/// A spare segment in the making.
#[derive(Debug)]
pub(crate) struct Prewriting {
    path: PathBuf,
    file: File,
    position: u64,
    segment_bytes: u64,
}

impl Prewriting {
    fn write(&mut self, zeros: &[u8]) -> io::Result<bool> {
        let left = self.segment_bytes - self.position;
        let now = left.min(zeros.len() as u64);
        let zeros = &zeros[..usize::try_from(now).expect("a step fits into memory")];
        self.file.write_all_at(zeros, self.position)?;
        self.position += now;
        Ok(self.position == self.segment_bytes)
    }

    /// Gives the space back.
    pub(crate) fn abandon(self) {
        // The next start removes it too.
        let _ = std::fs::remove_file(&self.path);
    }
}
