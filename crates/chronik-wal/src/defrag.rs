//! Copies what is alive in sparse segments into one sorted segment, so that the sources can
//! be used again. A sorted segment has records by group and index and an index file, no
//! frames: it is never replayed, and its records keep the lsn of their origin.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use crate::error::WalError;
use crate::frame::{RECORD_HEADER_BYTES, RecordHeader, read_record, write_record};
use crate::helper::{Job, Report, failed, remove_if_there};
use crate::io::{
    AlignedBuffer, blocks_up, create_reserved, open_write, random_salt, replace_file,
    sync_directory,
};
use crate::ledger::Span;
use crate::limits::BLOCK_BYTES;
use crate::record::{GroupUid, Row};
use crate::rewrite::{Rewrite, Rewritten};
use crate::sealed::{Directory, Place, RowsFile, SealedRows};
use crate::segment::{Layout, Segment, SegmentHeader};

/// Which live entries to copy, by group and index.
#[derive(Debug)]
pub(crate) struct DefragOrder {
    pub(crate) layout: Layout,
    pub(crate) node_uuid: [u8; 16],
    pub(crate) target: u32,
    pub(crate) capacity: u64,
    pub(crate) last_lsn: u64,
    pub(crate) sources: Vec<Arc<Segment>>,
    pub(crate) live: Vec<(GroupUid, Span)>,
    pub(crate) helper: SyncSender<Job>,
    /// What becomes of each entry; without it, all are copied as they are.
    pub(crate) rewrite: Option<Arc<dyn Rewrite>>,
}

/// A sorted segment in the making.
#[derive(Debug)]
pub(crate) struct Defrag {
    order: DefragOrder,
    salt: u32,
    path: PathBuf,
    file: File,
    directories: Vec<Directory>,
    buffer: AlignedBuffer,
    /// Bytes of `buffer` in use, and where they go in the file.
    filled: usize,
    position: u64,
    /// The live span that is copied, and the next index in it.
    span: usize,
    index: u64,
    first_row: usize,
    sealed: SealedRows,
    copied: u64,
}

impl Defrag {
    pub(crate) fn start(order: DefragOrder, direct: bool) -> Result<Self, WalError> {
        let path = order.layout.segment(order.target).with_extension("part");
        let mut directories = Vec::new();
        for source in &order.sources {
            let damaged = || {
                failed(
                    "read",
                    &source.rows_path(),
                    std::io::ErrorKind::InvalidData.into(),
                )
            };
            let read = source.rows_file().and_then(RowsFile::directory);
            let directory = read.map_err(|error| failed("read", &source.rows_path(), error))?;
            directories.push(directory.ok_or_else(damaged)?);
        }
        let opened =
            create_reserved(&path, order.capacity).and_then(|()| open_write(&path, direct));
        let (file, salt) = opened
            .and_then(|file| Ok((file, random_salt()?)))
            .map_err(|error| failed("create", &path, error))?;
        let mut buffer = AlignedBuffer::new(2 << 20);
        SegmentHeader {
            node_uuid: order.node_uuid,
            number: order.target,
            salt,
            first_lsn: 0,
            segment_bytes: order.capacity,
        }
        .write(buffer.bytes_mut());
        let index = order.live.first().map_or(0, |(_, span)| span.first_index);
        Ok(Self {
            order,
            salt,
            path,
            file,
            directories,
            buffer,
            filled: BLOCK_BYTES,
            position: 0,
            span: 0,
            index,
            first_row: 0,
            sealed: SealedRows::default(),
            copied: 0,
        })
    }

    /// Copies about `bytes`; returns how much it was, 0 at the end.
    pub(crate) fn step(&mut self, bytes: usize) -> Result<u64, WalError> {
        let before = self.copied;
        while self.copied - before < bytes as u64 && self.span < self.order.live.len() {
            self.copy_entry()?;
        }
        Ok(self.copied - before)
    }

    fn copy_entry(&mut self) -> Result<(), WalError> {
        let (group, span) = self.order.live[self.span];
        let (place, source) = self.place_of(group, &span)?;
        let read_failed = |error| failed("read", source.path(), error);
        let row_number = u64::from(place.first_row) + (self.index - place.first_index);
        let rows_file = source.rows_file().map_err(read_failed)?;
        let rows = rows_file.rows(span.segment, row_number, self.index, 1);
        let mut row = rows.map_err(read_failed)?[0];
        row.segment = u64::from(self.order.target);
        if row.is_erased() {
            self.sealed.rows.push(row);
            self.next_entry(group, &span, &place);
            return Ok(());
        }
        let mut record = vec![0; RECORD_HEADER_BYTES + row.len as usize];
        let file = source.file().map_err(read_failed)?;
        file.read_exact_at(&mut record, u64::from(row.position))
            .map_err(read_failed)?;
        let (mut header, stored) = read_record(&record, source.salt()).map_err(|reason| {
            read_failed(std::io::Error::new(std::io::ErrorKind::InvalidData, reason))
        })?;
        if (header.group, header.index, header.term) != (group, row.index, row.term) {
            return Err(read_failed(std::io::ErrorKind::InvalidData.into()));
        }
        self.copied += u64::from(row.len) + RECORD_HEADER_BYTES as u64;
        let rewrite = self.order.rewrite.as_ref();
        let rewritten = rewrite.map_or(Rewritten::AsItIs, |rewrite| rewrite.rewrite(&row, stored));
        match rewritten {
            Rewritten::AsItIs => self.write(&header, row, stored)?,
            Rewritten::Erased => self.sealed.rows.push(row.erased()),
            Rewritten::As { bytes, max_ts } => {
                header.len = u32::try_from(bytes.len()).expect("a record is below 2 GiB");
                header.max_ts = max_ts;
                (row.len, row.max_ts) = (header.len, max_ts);
                self.write(&header, row, &bytes)?;
            }
        }
        self.next_entry(group, &span, &place);
        Ok(())
    }

    fn write(
        &mut self,
        header: &RecordHeader,
        mut row: Row,
        stored: &[u8],
    ) -> Result<(), WalError> {
        self.make_room(crate::frame::record_bytes(stored.len()))?;
        row.position =
            u32::try_from(self.position + self.filled as u64).expect("a segment is below 2 GiB");
        let out = &mut self.buffer.bytes_mut()[self.filled..];
        self.filled += write_record(header, self.salt, &[], stored, out);
        self.sealed.rows.push(row);
        Ok(())
    }

    fn next_entry(&mut self, group: GroupUid, span: &Span, place: &Place) {
        if self.index < span.last_index {
            self.index += 1;
            return;
        }
        let is_rewritten = self.order.rewrite.is_some() || place.rewritten.is_some();
        let (source, last_lsn) = (place.source, place.last_lsn);
        self.sealed
            .close_place(group, source, last_lsn, self.first_row, is_rewritten);
        self.first_row = self.sealed.rows.len();
        self.span += 1;
        self.index = self
            .order
            .live
            .get(self.span)
            .map_or(0, |(_, span)| span.first_index);
    }

    fn place_of(&self, group: GroupUid, span: &Span) -> Result<(Place, Arc<Segment>), WalError> {
        let number = self
            .order
            .sources
            .iter()
            .position(|source| source.short_number() == span.segment);
        let number = number.expect("live spans are of the sources");
        let source = &self.order.sources[number];
        let holds = |place: &&Place| {
            place.group == group
                && place.first_index <= span.first_index
                && place.last_index() >= span.last_index
        };
        let place = self.directories[number].places.iter().find(holds);
        let place = place.ok_or_else(|| {
            failed(
                "read",
                &source.rows_path(),
                std::io::ErrorKind::InvalidData.into(),
            )
        })?;
        Ok((*place, Arc::clone(source)))
    }

    /// Makes room for a record, by writing the whole blocks that are full.
    fn make_room(&mut self, bytes: usize) -> Result<(), WalError> {
        if self.filled + bytes <= self.buffer.len() {
            return Ok(());
        }
        let whole = self.filled / BLOCK_BYTES * BLOCK_BYTES;
        self.write_blocks(whole)?;
        self.buffer.bytes_mut().copy_within(whole..self.filled, 0);
        self.filled -= whole;
        self.buffer.grow(blocks_up(self.filled + bytes));
        Ok(())
    }

    fn write_blocks(&mut self, bytes: usize) -> Result<(), WalError> {
        let written = self
            .file
            .write_all_at(&self.buffer.bytes()[..bytes], self.position);
        written.map_err(|error| failed("write", &self.path, error))?;
        self.position += bytes as u64;
        Ok(())
    }

    /// Makes the copy durable and gives it its name; the index file gets its name first.
    pub(crate) fn finish(mut self) -> Result<Report, WalError> {
        let bytes = blocks_up(self.filled);
        self.buffer.bytes_mut()[self.filled..bytes].fill(0);
        self.write_blocks(bytes)?;
        let final_path = self.order.layout.segment(self.order.target);
        let segment = Segment::new(
            self.order.target,
            self.salt,
            final_path,
            self.order.helper.clone(),
        );
        segment.grew_to(u64::MAX);
        let rows = self
            .sealed
            .encode(self.order.target, self.salt, 0, self.order.last_lsn);
        let named = self
            .file
            .set_len(self.position)
            .and_then(|()| self.file.sync_all())
            .and_then(|()| replace_file(&segment.rows_path(), &rows))
            .and_then(|()| std::fs::rename(&self.path, segment.path()))
            .and_then(|()| sync_directory(&self.order.layout.sorted));
        named.map_err(|error| failed("finish", &self.path, error))?;
        Ok(Report::Moved {
            target: Arc::new(segment),
            sources: self
                .order
                .sources
                .iter()
                .map(|source| source.short_number())
                .collect(),
            last_lsn: self.order.last_lsn,
            bytes: self.position,
            is_rewrite: self.order.rewrite.is_some(),
            places: self.sealed.places.into(),
        })
    }

    /// Gives the space back.
    pub(crate) fn abandon(self) {
        // The next start removes it too.
        let _ = remove_if_there(&self.path);
    }
}
