//! Which files a log consists of, and what their first pages say.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{corrupt, io_error};
use crate::error::OpenError;
use crate::helper::remove_if_there;
use crate::io::open_read;
use crate::limits::{BLOCK_BYTES, SORTED_BIT};
use crate::options::Options;
use crate::sealed::Directory;
use crate::segment::{Layout, SegmentHeader, rows_path};

/// A segment file as it is found.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) header: SegmentHeader,
    pub(super) directory: Option<Directory>,
}

/// The files of both namespaces, each by number.
pub(super) struct FoundFiles {
    pub(super) log: Vec<Found>,
    pub(super) sorted: Vec<Found>,
}

pub(super) fn list_segments(layout: &Layout, options: &Options) -> Result<FoundFiles, OpenError> {
    let log = list_directory(&layout.log, options)?;
    let sorted = list_directory(&layout.sorted, options)?;
    for found in &log {
        if found.path != layout.segment(found.header.number) {
            return Err(corrupt(
                &found.path,
                0,
                "the segment's number is not its name",
            ));
        }
        if found.header.segment_bytes != options.segment_bytes {
            return Err(OpenError::SegmentBytes {
                path: found.path.clone(),
                found: found.header.segment_bytes,
                configured: options.segment_bytes,
            });
        }
    }
    for found in &sorted {
        if found.path != layout.segment(found.header.number) || found.directory.is_none() {
            return Err(corrupt(
                &found.path,
                0,
                "the sorted segment has no valid index file",
            ));
        }
    }
    Ok(FoundFiles { log, sorted })
}

fn list_directory(directory: &Path, options: &Options) -> Result<Vec<Found>, OpenError> {
    let failed = |source| io_error("read", directory, source);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("seg") => found.push(look_at_segment(path, options)?),
            // What a stopped process was making.
            Some("tmp" | "part") => remove_if_there(&path).map_err(failed)?,
            Some("idx") if !path.with_extension("seg").exists() => {
                remove_if_there(&path).map_err(failed)?
            }
            _ => {}
        }
    }
    found.sort_by_key(|found| found.header.number);
    Ok(found)
}

fn look_at_segment(path: PathBuf, options: &Options) -> Result<Found, OpenError> {
    let failed = |source| io_error("read", &path, source);
    let file = open_read(&path, false).map_err(failed)?;
    let mut page = vec![0; BLOCK_BYTES];
    match file.read_exact_at(&mut page, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(corrupt(
                &path,
                0,
                "the file is shorter than a segment header",
            ));
        }
        read => read.map_err(failed)?,
    }
    let header = SegmentHeader::read(&page, &path)?;
    if header.node_uuid != options.node_uuid {
        return Err(OpenError::ForeignNode { path });
    }
    if header.number & SORTED_BIT == 0
        && file.metadata().map_err(failed)?.len() != header.segment_bytes
    {
        return Err(corrupt(
            &path,
            0,
            "the file does not have the length of a segment",
        ));
    }
    let directory = match open_read(&rows_path(&path), false) {
        Ok(rows) => Directory::read(&rows).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(io_error("open", &rows_path(&path), source)),
    };
    let directory =
        directory.filter(|found| found.number == header.number && found.salt == header.salt);
    Ok(Found {
        path,
        header,
        directory,
    })
}
