//! The files: each is written beside its name, made durable, and only then gets it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::format::{FormatError, Header, SnapshotReader, SnapshotWriter};
use crate::config::SnapshotCompression;

/// The snapshots of a node, in a folder of its data directory.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// A snapshot that is being written. Dropped before its end, it leaves nothing.
pub(crate) struct Unfinished {
    path: PathBuf,
    unfinished_path: PathBuf,
    writer: Option<SnapshotWriter<BufWriter<File>>>,
}

/// The folder inside the data directory.
const FOLDER: &str = "snapshots";
const EXTENSION: &str = "snap";

impl Folder {
    pub(crate) fn of(data_dir: &Path) -> Folder {
        Folder {
            path: data_dir.join(FOLDER),
        }
    }

    /// The numbers of all snapshots, oldest first; what a stop left unfinished is removed.
    pub(crate) fn list(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(EXTENSION) => ids.extend(number_of(&path)),
                Some("part") => fs::remove_file(&path)?,
                _ => {}
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    pub(crate) fn file(&self, id: u64) -> PathBuf {
        self.path.join(format!("{id}.{EXTENSION}"))
    }

    pub(crate) fn begin(
        &self,
        id: u64,
        codec: SnapshotCompression,
        header: &Header,
    ) -> Result<Unfinished, FormatError> {
        fs::create_dir_all(&self.path)
            .and_then(|()| sync_directory(&parent_of(&self.path)))
            .map_err(FormatError::Io)?;
        Unfinished::begin(&self.file(id), codec, header)
    }

    /// Says how many bytes are free now.
    pub(crate) fn remove(&self, id: u64) -> io::Result<u64> {
        let file = self.file(id);
        let bytes = fs::metadata(&file)?.len();
        fs::remove_file(&file)?;
        sync_directory(&self.path)?;
        Ok(bytes)
    }

    /// So many bytes from an offset on, fewer at the end.
    pub(crate) fn chunk(&self, id: u64, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.file(id))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Unfinished {
    pub(crate) fn begin(
        path: &Path,
        codec: SnapshotCompression,
        header: &Header,
    ) -> Result<Unfinished, FormatError> {
        let unfinished_path = path.with_added_extension("part");
        let file = File::create(&unfinished_path).map_err(FormatError::Io)?;
        let mut unfinished = Unfinished {
            path: path.to_owned(),
            unfinished_path,
            writer: None,
        };
        let writer = SnapshotWriter::begin(BufWriter::new(file), codec, header)?;
        unfinished.writer = Some(writer);
        Ok(unfinished)
    }

    pub(crate) fn writer(&mut self) -> &mut SnapshotWriter<BufWriter<File>> {
        self.writer.as_mut().expect("it is taken at the end only")
    }

    /// Makes it durable under its name, once it was read back. Returns its length and its SHA-256.
    pub(crate) fn end(mut self) -> Result<(u64, [u8; 32]), FormatError> {
        let writer = self.writer.take().expect("it is taken here only");
        let (file, bytes, sha256) = writer.end()?;
        let file = file.into_inner().map_err(|error| error.into_error());
        let file = file.map_err(FormatError::Io)?;
        let mut reader = open(&self.unfinished_path)?;
        while reader.section()?.is_some() {}
        file.sync_all().map_err(FormatError::Io)?;
        fs::rename(&self.unfinished_path, &self.path)
            .and_then(|()| sync_directory(&parent_of(&self.path)))
            .map_err(FormatError::Io)?;
        Ok((bytes, sha256))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Nothing is there once it has its name; what cannot be removed now is removed by the next start.
        _ = fs::remove_file(&self.unfinished_path);
    }
}

/// Reads a snapshot that lies anywhere.
pub(crate) fn open(path: &Path) -> Result<SnapshotReader<BufReader<File>>, FormatError> {
    let file = File::open(path).map_err(FormatError::Io)?;
    SnapshotReader::open(BufReader::new(file))
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
