//! Walks over the frames of one segment and decides where they end.

use std::io;

use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, RecordView, read_frame};
use crate::io::AlignedBuffer;
use crate::limits::BLOCK_BYTES;

/// Bytes that are read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// Reads whole blocks at a block's position.
pub(crate) type ReadBlocks<'a> = dyn FnMut(u64, &mut [u8]) -> io::Result<()> + 'a;

/// Why a scan stopped.
#[derive(Debug)]
pub(crate) enum ScanError {
    Io(io::Error),
    /// Something valid follows an invalid frame, or the owner refused an entry.
    Corrupt {
        position: u64,
        reason: String,
    },
}

/// Where the frames of a segment end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanEnd {
    /// Where the next frame would start.
    pub(crate) position: u64,
    /// The lsn the next frame would have.
    pub(crate) next_lsn: u64,
    /// Length of an invalid frame at that position, as far as its header tells.
    pub(crate) torn_bytes: u64,
}

/// A segment under examination.
pub(crate) struct Scan<'a> {
    read: &'a mut ReadBlocks<'a>,
    salt: u32,
    segment_bytes: u64,
    window: AlignedBuffer,
    window_start: u64,
    window_filled: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(read: &'a mut ReadBlocks<'a>, salt: u32, segment_bytes: u64) -> Self {
        let window = AlignedBuffer::new(WINDOW_BYTES);
        Self {
            read,
            salt,
            segment_bytes,
            window,
            window_start: 0,
            window_filled: 0,
        }
    }

    /// Shows every valid frame, from the first on, to `each`, with its position.
    pub(crate) fn frames(
        &mut self,
        first_lsn: u64,
        verify: &mut dyn FnMut(&RecordView<'_>, u64) -> bool,
        each: &mut dyn FnMut(u64, &RecordView<'_>) -> Result<(), String>,
    ) -> Result<ScanEnd, ScanError> {
        let mut position = BLOCK_BYTES as u64;
        let mut next_lsn = first_lsn;
        loop {
            let end = |torn_bytes| ScanEnd {
                position,
                next_lsn,
                torn_bytes,
            };
            let Some(header) = self.header_at(position)? else {
                return Ok(end(0));
            };
            let frame_bytes = header.frame_bytes() as u64;
            if header.lsn != next_lsn || position + frame_bytes > self.segment_bytes {
                return Ok(end(0));
            }
            let salt = self.salt;
            let frame = self.blocks(position, header.frame_bytes())?;
            let Ok(records) = read_frame(frame, &header, salt, &mut |view| verify(view, position))
            else {
                return Ok(end(frame_bytes));
            };
            if records.iter().any(|record| record.header.lsn != header.lsn) {
                return Ok(end(frame_bytes));
            }
            for record in &records {
                let at = position + u64::from(record.position);
                each(at, record).map_err(|reason| ScanError::Corrupt {
                    position: at,
                    reason,
                })?;
            }
            position += frame_bytes;
            next_lsn += 1;
        }
    }

    /// Whether a frame of this use of the segment, not older than `lsn`, starts after
    /// `position`: then what is invalid there is not the torn end.
    pub(crate) fn valid_header_after(
        &mut self,
        position: u64,
        lsn: u64,
    ) -> Result<Option<u64>, ScanError> {
        let mut candidate = position + BLOCK_BYTES as u64;
        while candidate + BLOCK_BYTES as u64 <= self.segment_bytes {
            if self
                .header_at(candidate)?
                .is_some_and(|header| header.lsn >= lsn)
            {
                return Ok(Some(candidate));
            }
            candidate += BLOCK_BYTES as u64;
        }
        Ok(None)
    }

    fn header_at(&mut self, position: u64) -> Result<Option<FrameHeader>, ScanError> {
        if position + BLOCK_BYTES as u64 > self.segment_bytes {
            return Ok(None);
        }
        let salt = self.salt;
        let block = self.blocks(position, BLOCK_BYTES)?;
        let header = FrameHeader::parse(&block[..FRAME_HEADER_BYTES], salt);
        Ok(header.filter(|header| header.records > 0))
    }

    /// Bytes of the file that are inside it; callers check the end.
    fn blocks(&mut self, position: u64, bytes: usize) -> Result<&[u8], ScanError> {
        let inside = position >= self.window_start
            && position + bytes as u64 <= self.window_start + self.window_filled as u64;
        if !inside {
            let left =
                usize::try_from(self.segment_bytes - position).expect("a segment is below 2 GiB");
            let wanted = bytes.max(WINDOW_BYTES).min(left);
            self.window.grow(wanted);
            self.window_filled = 0;
            (self.read)(position, &mut self.window.bytes_mut()[..wanted]).map_err(ScanError::Io)?;
            self.window_start = position;
            self.window_filled = wanted;
        }
        let start = usize::try_from(position - self.window_start).expect("the window is in memory");
        Ok(&self.window.bytes()[start..start + bytes])
    }
}
