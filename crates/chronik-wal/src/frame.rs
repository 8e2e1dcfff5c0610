//! Frames and records as bytes. A frame is one group commit: a 32-byte header, then
//! records on 8-byte boundaries, then zeros up to the next block.
//!
//! Frame header: magic, salt (u32), lsn (u64), records, body length, zero, checksum (u32).
//! Record header, 64 bytes: length, checksum (u32), kind, flags, version, zero (u8), record
//! count (u32), group, term, index, base offset, newest timestamp, lsn (u64). All numbers
//! are little-endian.
//!
//! A record's checksum starts from the segment's salt and covers the lsn, so that a stale
//! sector of an earlier use can never pass for a part of a torn frame.

use crate::io::blocks_up;
use crate::record::{Kind, Record, Row, SELF_CHECKED_PREFIX_BYTES, flags};

pub(crate) const FRAME_HEADER_BYTES: usize = 32;
pub(crate) const RECORD_HEADER_BYTES: usize = 64;
const FRAME_MAGIC: u32 = u32::from_le_bytes(*b"CFRM");

/// Bytes a record takes in a frame.
pub(crate) fn record_bytes(stored_len: usize) -> usize {
    RECORD_HEADER_BYTES + stored_len.next_multiple_of(8)
}

/// The header of a valid frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) lsn: u64,
    pub(crate) records: u32,
    pub(crate) body_bytes: u32,
}

impl FrameHeader {
    /// Reads a header if the bytes are one of this use of the segment.
    pub(crate) fn parse(bytes: &[u8], salt: u32) -> Option<Self> {
        let header = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
        if u32_at(header, 0) != FRAME_MAGIC || u32_at(header, 4) != salt {
            return None;
        }
        if u32_at(header, 28) != crc32c::crc32c(&header[..28]) {
            return None;
        }
        Some(Self {
            lsn: u64_at(header, 8),
            records: u32_at(header, 16),
            body_bytes: u32_at(header, 20),
        })
    }

    /// Writes the header in front of a body.
    pub(crate) fn write(&self, salt: u32, out: &mut [u8]) {
        let out = &mut out[..FRAME_HEADER_BYTES];
        out.fill(0);
        out[0..4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
        out[4..8].copy_from_slice(&salt.to_le_bytes());
        out[8..16].copy_from_slice(&self.lsn.to_le_bytes());
        out[16..20].copy_from_slice(&self.records.to_le_bytes());
        out[20..24].copy_from_slice(&self.body_bytes.to_le_bytes());
        let checksum = crc32c::crc32c(&out[..28]);
        out[28..32].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Length of the whole frame in the file.
    pub(crate) fn frame_bytes(&self) -> usize {
        blocks_up(FRAME_HEADER_BYTES + self.body_bytes as usize)
    }
}

/// The columns of a record header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) version: u8,
    pub(crate) len: u32,
    pub(crate) record_count: u32,
    pub(crate) group: u64,
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) base_offset: u64,
    pub(crate) max_ts: i64,
    pub(crate) lsn: u64,
}

impl RecordHeader {
    pub(crate) fn of(record: &Record, lsn: u64) -> Self {
        Self {
            kind: record.kind,
            flags: record.flags,
            version: record.version,
            len: u32::try_from(record.stored_len())
                .expect("submit refuses records above a segment"),
            record_count: record.record_count,
            group: record.group,
            term: record.term,
            index: record.index,
            base_offset: record.base_offset,
            max_ts: record.max_ts,
            lsn,
        }
    }

    /// Reads the columns without checking anything but the kind.
    pub(crate) fn parse(bytes: &[u8; RECORD_HEADER_BYTES]) -> Option<Self> {
        Some(Self {
            kind: Kind::from_byte(bytes[8])?,
            flags: bytes[9],
            version: bytes[10],
            len: u32_at(bytes, 0),
            record_count: u32_at(bytes, 12),
            group: u64_at(bytes, 16),
            term: u64_at(bytes, 24),
            index: u64_at(bytes, 32),
            base_offset: u64_at(bytes, 40),
            max_ts: u64_at(bytes, 48).cast_signed(),
            lsn: u64_at(bytes, 56),
        })
    }

    fn write(&self, out: &mut [u8]) {
        out[0..4].copy_from_slice(&self.len.to_le_bytes());
        out[4..8].fill(0);
        out[8] = self.kind as u8;
        out[9] = self.flags;
        out[10] = self.version;
        out[11] = 0;
        out[12..16].copy_from_slice(&self.record_count.to_le_bytes());
        out[16..24].copy_from_slice(&self.group.to_le_bytes());
        out[24..32].copy_from_slice(&self.term.to_le_bytes());
        out[32..40].copy_from_slice(&self.index.to_le_bytes());
        out[40..48].copy_from_slice(&self.base_offset.to_le_bytes());
        out[48..56].copy_from_slice(&self.max_ts.to_le_bytes());
        out[56..64].copy_from_slice(&self.lsn.to_le_bytes());
    }

    /// The row of an entry at a position of a segment.
    pub(crate) fn row(&self, segment: u32, position: u32) -> Row {
        Row {
            index: self.index,
            base_offset: self.base_offset,
            max_ts: self.max_ts,
            term: self.term,
            segment: u64::from(segment),
            position,
            len: self.len,
            record_count: self.record_count,
            flags: self.flags,
            version: self.version,
        }
    }
}

/// A checked record inside a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordView<'a> {
    pub(crate) header: RecordHeader,
    /// Position of the record header, from the start of the frame.
    pub(crate) position: u32,
    pub(crate) stored: &'a [u8],
}

/// Writes one record at the start of `out` and returns the bytes it takes there.
pub(crate) fn write_record(
    header: &RecordHeader,
    salt: u32,
    head: &[u8],
    body: &[u8],
    out: &mut [u8],
) -> usize {
    let stored_len = head.len() + body.len();
    let total = record_bytes(stored_len);
    let out = &mut out[..total];
    header.write(out);
    let body_start = RECORD_HEADER_BYTES + head.len();
    out[RECORD_HEADER_BYTES..body_start].copy_from_slice(head);
    out[body_start..body_start + body.len()].copy_from_slice(body);
    out[RECORD_HEADER_BYTES + stored_len..].fill(0);
    let checked = RECORD_HEADER_BYTES + checked_len(header.flags, stored_len);
    let checksum = crc32c::crc32c_append(salt, &out[..checked]);
    out[4..8].copy_from_slice(&checksum.to_le_bytes());
    total
}

/// Reads the record at the start of `bytes` and checks its checksum.
pub(crate) fn read_record(bytes: &[u8], salt: u32) -> Result<(RecordHeader, &[u8]), &'static str> {
    let Some(raw) = bytes.first_chunk::<RECORD_HEADER_BYTES>() else {
        return Err("a record header is cut off");
    };
    let header = RecordHeader::parse(raw).ok_or("a record has an unknown kind")?;
    let stored_len = header.len as usize;
    let Some(stored) = bytes[RECORD_HEADER_BYTES..].get(..stored_len) else {
        return Err("a record is longer than its frame");
    };
    let mut zeroed = *raw;
    zeroed[4..8].fill(0);
    let checksum = crc32c::crc32c_append(salt, &zeroed);
    let checksum =
        crc32c::crc32c_append(checksum, &stored[..checked_len(header.flags, stored_len)]);
    if checksum != u32_at(raw, 4) {
        return Err("a record does not match its checksum");
    }
    Ok((header, stored))
}

/// Reads all records of a frame, or says why the frame is invalid as a whole.
pub(crate) fn read_frame<'a>(
    frame: &'a [u8],
    header: &FrameHeader,
    salt: u32,
    verify: &mut dyn FnMut(&RecordView<'a>) -> bool,
) -> Result<Vec<RecordView<'a>>, &'static str> {
    let end = FRAME_HEADER_BYTES + header.body_bytes as usize;
    let body = frame
        .get(..end)
        .ok_or("a frame is longer than its segment")?;
    // The count is not trusted with memory: every record takes a header at least.
    let possible = header.body_bytes as usize / RECORD_HEADER_BYTES;
    let mut records = Vec::with_capacity(possible.min(header.records as usize));
    let mut position = FRAME_HEADER_BYTES;
    while position < end {
        let (record, stored) = read_record(&body[position..], salt)?;
        let view = RecordView {
            header: record,
            position: u32::try_from(position).map_err(|_| "a frame is too long")?,
            stored,
        };
        if record.flags & flags::BODY_SELF_CHECKED != 0 && !verify(&view) {
            return Err("a record's body does not match its own checksum");
        }
        records.push(view);
        position += record_bytes(stored.len());
    }
    if position != end || records.len() != header.records as usize {
        return Err("a frame does not hold the records it counts");
    }
    Ok(records)
}

fn checked_len(flag_bits: u8, stored_len: usize) -> usize {
    if flag_bits & flags::BODY_SELF_CHECKED != 0 {
        stored_len.min(SELF_CHECKED_PREFIX_BYTES)
    } else {
        stored_len
    }
}

pub(crate) fn u32_at(bytes: &[u8], position: usize) -> u32 {
    u32::from_le_bytes(
        *bytes[position..]
            .first_chunk()
            .expect("callers pass whole headers"),
    )
}

pub(crate) fn u64_at(bytes: &[u8], position: usize) -> u64 {
    u64::from_le_bytes(
        *bytes[position..]
            .first_chunk()
            .expect("callers pass whole headers"),
    )
}

#[cfg(test)]
mod tests;
