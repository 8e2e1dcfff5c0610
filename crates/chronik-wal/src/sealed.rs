//! The index file of a sealed segment: a directory with one place per group, then all rows
//! of a group next to each other, by index.
//!
//! Header, 64 bytes: magic, version (u32), segment number (u32), salt (u32), places (u32),
//! first lsn, last lsn (u64), rows (u32), checksum of header and directory (u32), zeros.
//! Place, 80 bytes; one that was rewritten says how many of its rows still have a record. Row, 40 bytes. Rows have no checksum of their own: whatever they point
//! to is checked when it is read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::frame::{RECORD_HEADER_BYTES, u32_at, u64_at};
use crate::record::{GroupUid, Row};
use crate::segment::FORMAT_VERSION;

const MAGIC: [u8; 8] = *b"CHRONIDX";
const HEADER_BYTES: usize = 64;
const PLACE_BYTES: usize = 80;
pub(crate) const ROW_BYTES: usize = 40;

/// Where a group's rows are in an index file, and what they add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub(crate) group: GroupUid,
    /// The segment the rows were first written to; differs only in sorted segments.
    pub(crate) source: u32,
    pub(crate) first_row: u32,
    pub(crate) rows: u32,
    pub(crate) first_index: u64,
    pub(crate) first_offset: u64,
    pub(crate) next_offset: u64,
    pub(crate) max_ts: i64,
    pub(crate) last_term: u64,
    pub(crate) bytes: u64,
    /// The last frame of the source: an installed snapshot after it kills the place.
    pub(crate) last_lsn: u64,
    /// How many of its rows still have a record, if a [`crate::Rewrite`] went over it.
    pub(crate) rewritten: Option<u32>,
}

impl Place {
    pub(crate) fn last_index(&self) -> u64 {
        self.first_index + u64::from(self.rows) - 1
    }

    /// What its records take in a file at most: they are padded to eight bytes.
    pub(crate) fn file_bytes(&self) -> u64 {
        let records = self.rewritten.unwrap_or(self.rows);
        self.bytes + u64::from(records) * (RECORD_HEADER_BYTES as u64 + 7)
    }
}

/// What happened in a segment that its index file must know.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SealEvent {
    Entry(Row),
    /// Kills the group's entries before it.
    Install,
}

/// The content of an index file before it is written.
#[derive(Debug, Default)]
pub(crate) struct SealedRows {
    pub(crate) places: Vec<Place>,
    pub(crate) rows: Vec<Row>,
}

impl SealedRows {
    /// Keeps what survives inside the segment: the last write of an index wins, and takes
    /// everything above it along.
    pub(crate) fn from_events(
        segment: u32,
        last_lsn: u64,
        events: &mut [(GroupUid, SealEvent)],
    ) -> Self {
        events.sort_by_key(|(group, _)| *group);
        let mut sealed = Self::default();
        for of_group in events.chunk_by(|left, right| left.0 == right.0) {
            let first_row = sealed.rows.len();
            for (_, event) in of_group {
                let keep = match event {
                    SealEvent::Install => first_row,
                    SealEvent::Entry(row) => {
                        first_row
                            + sealed.rows[first_row..]
                                .partition_point(|kept| kept.index < row.index)
                    }
                };
                sealed.rows.truncate(keep);
                if let SealEvent::Entry(row) = event {
                    sealed.rows.push(*row);
                }
            }
            sealed.close_place(of_group[0].0, segment, last_lsn, first_row, false);
        }
        sealed
    }

    /// Makes the rows from `first_row` on a place, if there are any.
    pub(crate) fn close_place(
        &mut self,
        group: GroupUid,
        source: u32,
        last_lsn: u64,
        first_row: usize,
        is_rewritten: bool,
    ) {
        let rows = &self.rows[first_row..];
        let stored = || rows.iter().filter(|row| !row.is_erased()).count();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return;
        };
        self.places.push(Place {
            group,
            source,
            first_row: u32::try_from(first_row).expect("a segment has fewer than 2^26 rows"),
            rows: u32::try_from(rows.len()).expect("a segment has fewer than 2^26 rows"),
            first_index: first.index,
            first_offset: first.base_offset,
            next_offset: last.next_offset(),
            max_ts: rows
                .iter()
                .map(|row| row.max_ts)
                .max()
                .expect("there is a first row"),
            last_term: last.term,
            bytes: rows.iter().map(|row| u64::from(row.len)).sum(),
            last_lsn,
            rewritten: is_rewritten.then(|| count(stored())),
        });
    }

    /// The whole file.
    pub(crate) fn encode(&self, number: u32, salt: u32, first_lsn: u64, last_lsn: u64) -> Vec<u8> {
        let directory_end = HEADER_BYTES + self.places.len() * PLACE_BYTES;
        let mut out = vec![0; HEADER_BYTES];
        out.reserve(directory_end + self.rows.len() * ROW_BYTES - HEADER_BYTES);
        out[0..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&number.to_le_bytes());
        out[16..20].copy_from_slice(&salt.to_le_bytes());
        out[20..24].copy_from_slice(&count(self.places.len()).to_le_bytes());
        out[24..32].copy_from_slice(&first_lsn.to_le_bytes());
        out[32..40].copy_from_slice(&last_lsn.to_le_bytes());
        out[40..44].copy_from_slice(&count(self.rows.len()).to_le_bytes());
        for place in &self.places {
            encode_place(place, &mut out);
        }
        let checksum = crc32c::crc32c(&out);
        out[44..48].copy_from_slice(&checksum.to_le_bytes());
        for row in &self.rows {
            encode_row(row, &mut out);
        }
        out
    }
}

/// The directory of an index file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) number: u32,
    pub(crate) salt: u32,
    pub(crate) first_lsn: u64,
    pub(crate) last_lsn: u64,
    pub(crate) places: Vec<Place>,
}

impl Directory {
    /// Reads the directory; `None` if the file is not a whole index file of this version.
    pub(crate) fn read(file: &File) -> io::Result<Option<Self>> {
        let file_bytes = file.metadata()?.len();
        let mut header = vec![0; HEADER_BYTES];
        if file_bytes < HEADER_BYTES as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0)?;
        let places = u32_at(&header, 20) as usize;
        let rows = u32_at(&header, 40) as u64;
        let expected = (HEADER_BYTES + places * PLACE_BYTES) as u64 + rows * ROW_BYTES as u64;
        if header[0..8] != MAGIC || u32_at(&header, 8) != FORMAT_VERSION || expected != file_bytes {
            return Ok(None);
        }
        header.resize(HEADER_BYTES + places * PLACE_BYTES, 0);
        file.read_exact_at(&mut header[HEADER_BYTES..], HEADER_BYTES as u64)?;
        let checksum = u32_at(&header, 44);
        header[44..48].fill(0);
        if checksum != crc32c::crc32c(&header) {
            return Ok(None);
        }
        Ok(Some(Self {
            number: u32_at(&header, 12),
            salt: u32_at(&header, 16),
            first_lsn: u64_at(&header, 24),
            last_lsn: u64_at(&header, 32),
            places: header[HEADER_BYTES..]
                .chunks_exact(PLACE_BYTES)
                .map(decode_place)
                .collect(),
        }))
    }
}

/// An index file that is open, and where its rows begin.
#[derive(Debug)]
pub(crate) struct RowsFile {
    file: File,
    rows_start: u64,
}

impl RowsFile {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let mut places = [0; 4];
        file.read_exact_at(&mut places, 20)?;
        let places = u64::from(u32::from_le_bytes(places));
        Ok(Self {
            file,
            rows_start: HEADER_BYTES as u64 + places * PLACE_BYTES as u64,
        })
    }

    pub(crate) fn directory(&self) -> io::Result<Option<Directory>> {
        Directory::read(&self.file)
    }

    /// Reads `count` rows from row number `first_row` on; `first_index` is the index of the
    /// first of them.
    pub(crate) fn rows(
        &self,
        segment: u32,
        first_row: u64,
        first_index: u64,
        count: usize,
    ) -> io::Result<Vec<Row>> {
        let mut bytes = vec![0; count * ROW_BYTES];
        let start = self.rows_start + first_row * ROW_BYTES as u64;
        self.file.read_exact_at(&mut bytes, start)?;
        let indexes = first_index..;
        Ok(indexes
            .zip(bytes.chunks_exact(ROW_BYTES))
            .map(|(index, row)| decode_row(segment, index, row))
            .collect())
    }
}

fn count(items: usize) -> u32 {
    u32::try_from(items).expect("a segment has fewer than 2^26 records")
}

fn encode_place(place: &Place, out: &mut Vec<u8>) {
    out.extend_from_slice(&place.group.to_le_bytes());
    out.extend_from_slice(&place.source.to_le_bytes());
    out.extend_from_slice(&place.first_row.to_le_bytes());
    out.extend_from_slice(&place.rows.to_le_bytes());
    // Zero says that nothing was rewritten.
    let rewritten = place.rewritten.map_or(0, |stored| stored + 1);
    out.extend_from_slice(&rewritten.to_le_bytes());
    out.extend_from_slice(&place.first_index.to_le_bytes());
    out.extend_from_slice(&place.first_offset.to_le_bytes());
    out.extend_from_slice(&place.next_offset.to_le_bytes());
    out.extend_from_slice(&place.max_ts.to_le_bytes());
    out.extend_from_slice(&place.last_term.to_le_bytes());
    out.extend_from_slice(&place.bytes.to_le_bytes());
    out.extend_from_slice(&place.last_lsn.to_le_bytes());
}

fn decode_place(bytes: &[u8]) -> Place {
    Place {
        group: u64_at(bytes, 0),
        source: u32_at(bytes, 8),
        first_row: u32_at(bytes, 12),
        rows: u32_at(bytes, 16),
        first_index: u64_at(bytes, 24),
        first_offset: u64_at(bytes, 32),
        next_offset: u64_at(bytes, 40),
        max_ts: u64_at(bytes, 48).cast_signed(),
        last_term: u64_at(bytes, 56),
        bytes: u64_at(bytes, 64),
        last_lsn: u64_at(bytes, 72),
        rewritten: u32_at(bytes, 20).checked_sub(1),
    }
}

fn encode_row(row: &Row, out: &mut Vec<u8>) {
    out.extend_from_slice(&row.base_offset.to_le_bytes());
    out.extend_from_slice(&row.max_ts.to_le_bytes());
    out.extend_from_slice(&row.term.to_le_bytes());
    out.extend_from_slice(&row.position.to_le_bytes());
    out.extend_from_slice(&row.len.to_le_bytes());
    out.extend_from_slice(&row.record_count.to_le_bytes());
    out.extend_from_slice(&[row.flags, row.version, 0, 0]);
}

fn decode_row(segment: u32, index: u64, bytes: &[u8]) -> Row {
    Row {
        index,
        base_offset: u64_at(bytes, 0),
        max_ts: u64_at(bytes, 8).cast_signed(),
        term: u64_at(bytes, 16),
        segment: u64::from(segment),
        position: u32_at(bytes, 24),
        len: u32_at(bytes, 28),
        record_count: u32_at(bytes, 32),
        flags: bytes[36],
        version: bytes[37],
    }
}

#[cfg(test)]
mod tests;
