//! Executes plans with blocking reads on the caller's thread. A plan names durable entries
//! only and keeps their segments from being used again; every record is checked against
//! what was asked for.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use chronik_fault::{Fault, Planted};

use crate::error::ReadError;
use crate::frame::{RECORD_HEADER_BYTES, read_record};
use crate::index::From;
use crate::limits::{READ_GAP_BYTES, READ_MAX_BYTES};
use crate::record::{GroupUid, Kind, Row};
use crate::segment::Segment;
use crate::window::Windows;

/// Rows that are read at once from an index file.
const ROWS_AT_ONCE: u64 = 256;

/// What an erased entry takes of a limit.
const ERASED_COST_BYTES: u64 = 64;

/// What to read, and a hold on the segments that contain it.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub(crate) group: GroupUid,
    pub(crate) parts: Vec<Part>,
    pub(crate) pick: Pick,
}

/// Entries in one segment.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Rows {
        segment: Arc<Segment>,
        rows: Vec<Row>,
    },
    /// To be found in the index file, from row `first_row` on.
    Sealed {
        segment: Arc<Segment>,
        first_row: u64,
        first_index: u64,
        last_index: u64,
    },
}

/// Which entries of a plan's parts are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pick {
    Bytes { from: From, max_bytes: usize },
    FirstAtOrAfter(i64),
    Newest,
}

impl Default for Pick {
    fn default() -> Self {
        Self::Bytes {
            from: From::Index(0),
            max_bytes: 0,
        }
    }
}

impl Plan {
    /// There is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

/// An entry as it was stored.
#[derive(Debug, Clone)]
pub struct StoredEntry {
    pub row: Row,
    pub bytes: Bytes,
}

/// Reads plans; clone it freely.
#[derive(Debug, Clone)]
pub struct Reader {
    windows: Arc<Windows>,
    planted: Planted,
}

impl Reader {
    pub(crate) fn new(direct: bool, budget_bytes: usize, planted: Planted) -> Self {
        Self {
            windows: Arc::new(Windows::new(direct, budget_bytes)),
            planted,
        }
    }

    pub(crate) fn windows(&self) -> Arc<Windows> {
        Arc::clone(&self.windows)
    }

    /// Reads a plan. Call it where blocking is allowed.
    pub fn read(&self, plan: &Plan) -> Result<Vec<StoredEntry>, ReadError> {
        let windows = &self.windows;
        match plan.pick {
            Pick::Bytes { from, max_bytes } => {
                let skips = self.planted.is(Fault::BatchSkippedAtRoll);
                read_bytes(windows, plan, from, max_bytes as u64, skips)
            }
            Pick::FirstAtOrAfter(ts) => read_first(windows, plan, ts),
            Pick::Newest => read_newest(windows, plan),
        }
    }
}

/// Entries of a plan that are handed on together.
const EACH_BYTES: u64 = 4 << 20;

impl Reader {
    /// Shows every entry of a plan, however much that is. Call it where blocking is allowed.
    pub fn each(
        &self,
        plan: &Plan,
        show: &mut dyn FnMut(StoredEntry) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let Pick::Bytes { from, .. } = plan.pick else {
            return Ok(());
        };
        for part in &plan.parts {
            let mut rows = RowCursor::entering(part, from)?;
            loop {
                let chunk = rows.next_chunk()?;
                if chunk.is_empty() {
                    break;
                }
                let mut rest = &chunk[..];
                while !rest.is_empty() {
                    let mut sum = 0;
                    let fits = |row: &&Row| {
                        sum += u64::from(row.len);
                        sum <= EACH_BYTES
                    };
                    let count = rest.iter().take_while(fits).count().max(1);
                    let (now, later) = rest.split_at(count);
                    let mut entries = Vec::with_capacity(count);
                    read_entries(&self.windows, plan.group, part.segment(), now, &mut entries)?;
                    for entry in entries {
                        if show(entry).is_break() {
                            return Ok(());
                        }
                    }
                    rest = later;
                }
            }
        }
        Ok(())
    }
}

fn read_bytes(
    windows: &Windows,
    plan: &Plan,
    from: From,
    max_bytes: u64,
    skips_at_roll: bool,
) -> Result<Vec<StoredEntry>, ReadError> {
    let mut entries: Vec<StoredEntry> = Vec::new();
    let mut taken = 0;
    for part in &plan.parts {
        let mut rows = RowCursor::entering(part, from)?;
        let mut skips = skips_at_roll && !entries.is_empty();
        loop {
            let mut chunk = rows.next_chunk()?;
            if chunk.is_empty() {
                break;
            }
            if std::mem::take(&mut skips) {
                chunk.remove(0);
            }
            // Who looks for records passes over what was erased; who copies the log needs to know that it was.
            if matches!(from, From::Offset(_)) {
                chunk.retain(|row| !row.is_erased());
            }
            let offered = chunk.len();
            let fits = chunk
                .iter()
                .scan(taken, |sum, row| {
                    *sum += cost_of(row);
                    Some(*sum)
                })
                .take_while(|sum| *sum <= max_bytes)
                .count();
            // Progress is worth more than the limit: the first entry always fits.
            let fits = if entries.is_empty() {
                fits.max(1).min(offered)
            } else {
                fits
            };
            chunk.truncate(fits);
            taken += chunk.iter().map(cost_of).sum::<u64>();
            read_entries(windows, plan.group, part.segment(), &chunk, &mut entries)?;
            if fits < offered {
                return Ok(entries);
            }
        }
    }
    Ok(entries)
}

/// What an entry takes of a limit: those without bytes take memory, too.
fn cost_of(row: &Row) -> u64 {
    match row.is_erased() {
        true => ERASED_COST_BYTES,
        false => u64::from(row.len),
    }
}

fn read_first(windows: &Windows, plan: &Plan, ts: i64) -> Result<Vec<StoredEntry>, ReadError> {
    for part in &plan.parts {
        let mut rows = RowCursor::at_start(part);
        loop {
            let chunk = rows.next_chunk()?;
            let has_it = |row: &&Row| !row.is_erased() && row.max_ts >= ts;
            if let Some(row) = chunk.iter().find(has_it) {
                return read_one(windows, plan.group, part.segment(), row);
            }
            if chunk.is_empty() {
                break;
            }
        }
    }
    Ok(Vec::new())
}

fn read_newest(windows: &Windows, plan: &Plan) -> Result<Vec<StoredEntry>, ReadError> {
    let mut newest: Option<(&Arc<Segment>, Row)> = None;
    for part in &plan.parts {
        let mut rows = RowCursor::at_start(part);
        loop {
            let chunk = rows.next_chunk()?;
            for row in chunk.iter().filter(|row| !row.is_erased()) {
                if newest
                    .as_ref()
                    .is_none_or(|(_, best)| row.max_ts > best.max_ts)
                {
                    newest = Some((part.segment(), *row));
                }
            }
            if chunk.is_empty() {
                break;
            }
        }
    }
    newest.map_or(Ok(Vec::new()), |(segment, row)| {
        read_one(windows, plan.group, segment, &row)
    })
}

fn read_one(
    windows: &Windows,
    group: GroupUid,
    segment: &Segment,
    row: &Row,
) -> Result<Vec<StoredEntry>, ReadError> {
    let mut entries = Vec::new();
    let rows = std::slice::from_ref(row);
    read_entries(windows, group, segment, rows, &mut entries)?;
    Ok(entries)
}

impl Part {
    fn segment(&self) -> &Arc<Segment> {
        match self {
            Part::Rows { segment, .. } | Part::Sealed { segment, .. } => segment,
        }
    }
}

/// Walks over the rows of a part without having all of them in memory.
struct RowCursor<'a> {
    part: &'a Part,
    /// How many rows of the part were handed out or skipped.
    done: u64,
    /// Rows after those, which the search brought along.
    ahead: Vec<Row>,
}

impl<'a> RowCursor<'a> {
    fn at_start(part: &'a Part) -> Self {
        Self {
            part,
            done: 0,
            ahead: Vec::new(),
        }
    }

    fn entering(part: &'a Part, from: From) -> Result<Self, ReadError> {
        let mut cursor = Self::at_start(part);
        let Part::Sealed { first_index, .. } = part else {
            return Ok(cursor);
        };
        match from {
            From::Index(index) => cursor.done = index.saturating_sub(*first_index),
            From::Offset(offset) => cursor.seek(offset)?,
        }
        Ok(cursor)
    }

    /// Skips the rows that end at or before `offset`.
    fn seek(&mut self, offset: u64) -> Result<(), ReadError> {
        let mut after = self.len();
        // One row at a time, until what is left is read at once.
        while after - self.done > ROWS_AT_ONCE {
            let middle = self.done + (after - self.done) / 2;
            if self.sealed_rows(middle, 1)?[0].next_offset() <= offset {
                self.done = middle + 1;
            } else {
                after = middle;
            }
        }
        let mut rows = self.next_chunk()?;
        let skipped = rows.partition_point(|row| row.next_offset() <= offset);
        self.ahead = rows.split_off(skipped);
        self.done -= self.ahead.len() as u64;
        Ok(())
    }

    fn len(&self) -> u64 {
        match self.part {
            Part::Rows { rows, .. } => rows.len() as u64,
            Part::Sealed {
                first_index,
                last_index,
                ..
            } => last_index - first_index + 1,
        }
    }

    /// The next rows; none at the end.
    fn next_chunk(&mut self) -> Result<Vec<Row>, ReadError> {
        if !self.ahead.is_empty() {
            self.done += self.ahead.len() as u64;
            return Ok(std::mem::take(&mut self.ahead));
        }
        let count = self.len().saturating_sub(self.done).min(ROWS_AT_ONCE);
        let rows = match self.part {
            Part::Rows { rows, .. } => rows
                .iter()
                .skip(usize_of(self.done))
                .take(usize_of(count))
                .copied()
                .collect(),
            Part::Sealed { .. } if count == 0 => Vec::new(),
            Part::Sealed { .. } => self.sealed_rows(self.done, count)?,
        };
        self.done += count;
        Ok(rows)
    }

    fn sealed_rows(&self, skipped: u64, count: u64) -> Result<Vec<Row>, ReadError> {
        let Part::Sealed {
            segment,
            first_row,
            first_index,
            ..
        } = self.part
        else {
            return Ok(Vec::new());
        };
        let failed = |source| ReadError::Io {
            path: segment.rows_path(),
            position: first_row + skipped,
            source,
        };
        let file = segment.rows_file().map_err(failed)?;
        file.rows(
            segment.short_number(),
            first_row + skipped,
            first_index + skipped,
            usize_of(count),
        )
        .map_err(failed)
    }
}

/// Reads entries of one segment; of those that were erased nothing is there to be read.
fn read_entries(
    windows: &Windows,
    group: GroupUid,
    segment: &Segment,
    rows: &[Row],
    entries: &mut Vec<StoredEntry>,
) -> Result<(), ReadError> {
    for rows in rows.chunk_by(|left, right| left.is_erased() == right.is_erased()) {
        if rows[0].is_erased() {
            entries.extend(rows.iter().map(|row| StoredEntry {
                row: *row,
                bytes: Bytes::new(),
            }));
        } else {
            read_stored(windows, group, segment, rows, entries)?;
        }
    }
    Ok(())
}

/// Reads neighbours with one system call.
fn read_stored(
    windows: &Windows,
    group: GroupUid,
    segment: &Segment,
    rows: &[Row],
    entries: &mut Vec<StoredEntry>,
) -> Result<(), ReadError> {
    let near = |left: &Row, right: &Row| {
        let end = end_of(left);
        u64::from(right.position) >= end && u64::from(right.position) - end <= READ_GAP_BYTES
    };
    for neighbours in rows.chunk_by(near) {
        let mut rest = neighbours;
        while let Some(first) = rest.first() {
            let start = u64::from(first.position);
            let together = rest
                .iter()
                .take_while(|row| end_of(row) - start <= READ_MAX_BYTES)
                .count()
                .max(1);
            let (now, later) = rest.split_at(together);
            read_run(windows, group, segment, now, entries)?;
            rest = later;
        }
    }
    Ok(())
}

fn read_run(
    windows: &Windows,
    group: GroupUid,
    segment: &Segment,
    rows: &[Row],
    entries: &mut Vec<StoredEntry>,
) -> Result<(), ReadError> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(());
    };
    let (start, end) = (u64::from(first.position), end_of(last));
    let path = || -> PathBuf { segment.path().to_owned() };
    let failed = |source| ReadError::Io {
        path: path(),
        position: start,
        source,
    };
    let run = match windows.piece(segment, start, end).map_err(failed)? {
        Some(run) => run,
        None => read_alone(segment, start, end).map_err(failed)?,
    };
    for row in rows {
        let from = usize_of(u64::from(row.position) - start);
        let corrupt = |reason| ReadError::Corrupt {
            path: path(),
            position: u64::from(row.position),
            reason,
        };
        let (header, stored) = read_record(&run[from..], segment.salt()).map_err(corrupt)?;
        let expected = (Kind::Entry, group, row.index, row.term, row.len);
        if (
            header.kind,
            header.group,
            header.index,
            header.term,
            header.len,
        ) != expected
        {
            return Err(corrupt("another record than the index says"));
        }
        entries.push(StoredEntry {
            row: *row,
            bytes: run.slice_ref(stored),
        });
    }
    Ok(())
}

/// Reads through the page cache, which others may have filled.
fn read_alone(segment: &Segment, start: u64, end: u64) -> io::Result<Bytes> {
    read_exact(segment.file()?, start, usize_of(end - start))
}

fn end_of(row: &Row) -> u64 {
    u64::from(row.position) + RECORD_HEADER_BYTES as u64 + u64::from(row.len)
}

fn read_exact(file: &std::fs::File, start: u64, len: usize) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let position = start + bytes.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), position) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    // The allocator may have given more than was asked for, and the read used it.
    bytes.truncate(len);
    Ok(Bytes::from(bytes))
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).expect("positions in memory have 64 bits")
}
