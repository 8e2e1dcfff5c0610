//! Looks inside a stored batch, in bounded memory: to find a record by its timestamp, and for compaction.

use std::io::{self, BufReader, Read, Write};

use chronik_core::partition::batch::{BatchError, BatchHeader, Compression, HEADER_LEN};

/// What one batch may unfold to before the search is given up.
const UNFOLDED_LIMIT_BYTES: u64 = 128 << 20;
/// The largest block that must be unfolded as a whole.
const BLOCK_LIMIT_BYTES: usize = 16 << 20;
/// The largest window that a zstd frame may ask for.
const ZSTD_WINDOW_LIMIT_BYTES: u64 = 8 << 20;
const READ_BUFFER_BYTES: usize = 8 << 10;
/// In front of blocks with lengths; without it, snappy data is one block.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
/// The magic and two version numbers.
const XERIAL_HEADER_BYTES: usize = 16;

/// Why the records of a batch cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("the records do not unfold: {0}")]
    Unfold(#[from] io::Error),
    #[error("a record's {0} is malformed")]
    Malformed(&'static str),
    #[error("the batch asks for more memory than it is worth: {0} bytes")]
    Greedy(u64),
}

/// What ListOffsets needs of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    pub offset: i64,
    pub timestamp_ms: i64,
}

/// The records of one batch, in order.
pub struct Records<'a> {
    header: BatchHeader,
    source: BufReader<io::Take<Box<dyn Read + 'a>>>,
    left: i32,
}

/// The first record of a batch that is not older than `target_ms`.
pub fn first_at_or_after(batch: &[u8], target_ms: i64) -> Result<Option<RecordHead>, RecordsError> {
    let header = BatchHeader::read(batch)?;
    if header.is_log_append_time() {
        let first = RecordHead {
            offset: header.base_offset,
            timestamp_ms: header.max_timestamp,
        };
        return Ok((first.timestamp_ms >= target_ms).then_some(first));
    }
    let mut records = Records::of(batch)?;
    while let Some(record) = records.next_head()? {
        if record.timestamp_ms >= target_ms {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

impl<'a> Records<'a> {
    pub fn of(batch: &'a [u8]) -> Result<Records<'a>, RecordsError> {
        let header = BatchHeader::read(batch)?;
        let folded = &batch[HEADER_LEN..header.len()];
        let unfolded = unfold(header.compression()?, folded)?.take(UNFOLDED_LIMIT_BYTES);
        let source = BufReader::with_capacity(READ_BUFFER_BYTES, unfolded);
        Ok(Records {
            header,
            source,
            left: header.record_count,
        })
    }

    /// The next record's place and time; the rest of it is passed over.
    pub fn next_head(&mut self) -> Result<Option<RecordHead>, RecordsError> {
        if self.left <= 0 {
            return Ok(None);
        }
        self.left -= 1;
        let len = u64::try_from(self.varint()?.0).map_err(|_| RecordsError::Malformed("length"))?;
        let _attributes = self.byte()?;
        let (timestamp_delta, timestamp_bytes) = self.varint()?;
        let (offset_delta, offset_bytes) = self.varint()?;
        let rest = len
            .checked_sub(1 + timestamp_bytes + offset_bytes)
            .ok_or(RecordsError::Malformed("length"))?;
        self.pass(rest)?;
        Ok(Some(RecordHead {
            offset: self.header.base_offset.wrapping_add(offset_delta),
            timestamp_ms: self.header.base_timestamp.wrapping_add(timestamp_delta),
        }))
    }

    /// A zigzag number and how many bytes it took.
    fn varint(&mut self) -> Result<(i64, u64), RecordsError> {
        let mut value = 0u64;
        for count in 0..10 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * count);
            if byte & 0x80 == 0 {
                return Ok(((value >> 1) as i64 ^ -((value & 1) as i64), count + 1));
            }
        }
        Err(RecordsError::Malformed("number"))
    }

    fn byte(&mut self) -> Result<u8, RecordsError> {
        let mut byte = [0];
        self.source.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn pass(&mut self, len: u64) -> Result<(), RecordsError> {
        let passed = io::copy(&mut self.source.by_ref().take(len), &mut io::sink())?;
        if passed == len {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
        }
    }
}

/// All records of a batch without their compression, as long as they are not too large.
pub fn unfolded(batch: &[u8]) -> Result<Vec<u8>, RecordsError> {
    let header = BatchHeader::read(batch)?;
    let folded = &batch[HEADER_LEN..header.len()];
    let mut records = Vec::new();
    let mut source = unfold(header.compression()?, folded)?.take(UNFOLDED_LIMIT_BYTES);
    source.read_to_end(&mut records)?;
    match source.limit() {
        0 => Err(RecordsError::Greedy(UNFOLDED_LIMIT_BYTES)),
        _ => Ok(records),
    }
}

/// Compresses records again. Of zstd there is only a decoder here: `None`, and they stay as they are.
pub fn fold(compression: Compression, records: &[u8]) -> Option<Vec<u8>> {
    let written = "memory takes every write";
    match compression {
        Compression::None | Compression::Zstd => None,
        Compression::Gzip => {
            let level = flate2::Compression::default();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(records).expect(written);
            Some(encoder.finish().expect(written))
        }
        Compression::Snappy => Some(fold_snappy(records)),
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(records).expect(written);
            Some(encoder.finish().expect(written))
        }
    }
}

/// Blocks with their lengths in front, as the Java library writes them.
fn fold_snappy(records: &[u8]) -> Vec<u8> {
    const BLOCK_BYTES: usize = 32 << 10;
    let mut out = XERIAL_MAGIC.to_vec();
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(BLOCK_BYTES) {
        let folded = encoder.compress_vec(block).expect("a block is small");
        let len = u32::try_from(folded.len()).expect("a block is small");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&folded);
    }
    out
}

/// What was compressed, as a stream: who reads it decides how much of it there may be.
pub(crate) fn unfold<'a>(
    compression: Compression,
    folded: &'a [u8],
) -> Result<Box<dyn Read + 'a>, RecordsError> {
    Ok(match compression {
        Compression::None => Box::new(folded),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(folded)),
        Compression::Snappy => Box::new(Snappy::new(folded)),
        Compression::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(folded)),
        Compression::Zstd => {
            check_zstd_window(folded)?;
            let decoder = ruzstd::decoding::StreamingDecoder::new(folded);
            Box::new(decoder.map_err(io::Error::other)?)
        }
    })
}

/// Snappy blocks, either framed as the Java library does it or one alone.
struct Snappy<'a> {
    folded: &'a [u8],
    framed: bool,
    block: io::Cursor<Vec<u8>>,
}

impl<'a> Snappy<'a> {
    fn new(folded: &'a [u8]) -> Self {
        let framed = folded.len() >= XERIAL_HEADER_BYTES && folded.starts_with(XERIAL_MAGIC);
        let folded = if framed {
            &folded[XERIAL_HEADER_BYTES..]
        } else {
            folded
        };
        Snappy {
            folded,
            framed,
            block: io::Cursor::default(),
        }
    }

    fn next_block(&mut self) -> io::Result<()> {
        let end = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let folded = if self.framed {
            let (len, rest) = self.folded.split_first_chunk().ok_or_else(end)?;
            let (block, rest) = rest
                .split_at_checked(u32::from_be_bytes(*len) as usize)
                .ok_or_else(end)?;
            self.folded = rest;
            block
        } else {
            std::mem::take(&mut self.folded)
        };
        let len = snap::raw::decompress_len(folded).map_err(io::Error::other)?;
        if len > BLOCK_LIMIT_BYTES {
            return Err(io::Error::other(RecordsError::Greedy(len as u64)));
        }
        let block = snap::raw::Decoder::new()
            .decompress_vec(folded)
            .map_err(io::Error::other)?;
        self.block = io::Cursor::new(block);
        Ok(())
    }
}

impl Read for Snappy<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.block.read(target)?;
            if read > 0 || target.is_empty() || self.folded.is_empty() {
                return Ok(read);
            }
            self.next_block()?;
        }
    }
}

/// Reads the window size out of a zstd frame header (RFC 8878, section 3.1.1.1), because the decoder reserves it.
fn check_zstd_window(folded: &[u8]) -> Result<(), RecordsError> {
    let &[_, _, _, _, descriptor, first, ref rest @ ..] = folded else {
        return Err(RecordsError::Malformed("zstd frame"));
    };
    let single_segment = descriptor & 0x20 != 0;
    let window = if single_segment {
        content_size(descriptor, first, rest).ok_or(RecordsError::Malformed("zstd frame"))?
    } else {
        let base = 1u64 << (10 + (first >> 3));
        base + base / 8 * u64::from(first & 7)
    };
    if window > ZSTD_WINDOW_LIMIT_BYTES {
        Err(RecordsError::Greedy(window))
    } else {
        Ok(())
    }
}

/// In a single segment the content itself is the window; its size follows the dictionary id.
fn content_size(descriptor: u8, first: u8, rest: &[u8]) -> Option<u64> {
    let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_bytes = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let fields = std::iter::once(first).chain(rest.iter().copied());
    let mut size = [0; 8];
    let mut found = 0;
    for (slot, byte) in size
        .iter_mut()
        .zip(fields.skip(dictionary_bytes).take(size_bytes))
    {
        *slot = byte;
        found += 1;
    }
    let size = u64::from_le_bytes(size);
    (found == size_bytes).then_some(if size_bytes == 2 { size + 256 } else { size })
}

#[cfg(test)]
mod tests;
