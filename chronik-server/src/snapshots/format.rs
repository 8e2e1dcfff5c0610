//! The bytes of a snapshot: written in one pass, read in one pass, each block with a checksum of its own.
//!
//! Magic, version, then blocks: the header, sections with the parts of some groups each, and the end, which counts them
//! and has the checksum of everything before it. A block is compressed by itself, so that neither side ever holds more
//! than one.

use std::io::{self, Read, Write};

use chronik_core::ids::{GroupUid, NodeId};
use chronik_core::partition::batch::Compression;
use chronik_core::wire::{self, WireError};
use sha2::{Digest, Sha256};

use super::part::{self, Part};
use crate::config::SnapshotCompression;
use crate::records;

/// The format that is written. A version reads its own and every earlier one.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"CHRONSNP";
/// A file around one section of these bytes, with checksums that are right: for a fuzzer, which could not guess them.
#[doc(hidden)]
pub fn fuzz_file(header: &Header, codec: u8, plain_len: u32, stored: &[u8]) -> Vec<u8> {
    let nowhere = SnapshotWriter::begin(Vec::new(), SnapshotCompression::None, header);
    let Ok(mut writer) = nowhere else {
        return Vec::new();
    };
    // Memory takes every write.
    _ = writer.put_block([SECTION, codec % 3], plain_len, stored);
    writer.out
}

/// What a block may hold before it is compressed. A state that is kept in place of records is the largest thing there is.
const BLOCK_BYTES_MAX: usize = 1 << 30;
/// Kind, codec, both lengths, checksum.
const HEAD_BYTES: usize = 14;

const HEADER: u8 = 1;
const SECTION: u8 = 2;
const END: u8 = 3;

/// What a snapshot is, known before anything in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub cluster_id: String,
    /// Who made it, and in which of its lives.
    pub node: NodeId,
    pub incarnation: u64,
    /// The program that made it.
    pub version: String,
    pub created_ms: u64,
    pub cause: Cause,
    /// The one group that it is of; none if it is of the whole node.
    pub group: Option<(GroupUid, String)>,
}

/// Why a snapshot was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Operator,
    /// The groups that keep state wrote so many bytes, or so many entries.
    Size,
    Count,
    Time,
    /// It was made of another one, for the first node of a new cluster.
    Restore,
}

/// What was in a snapshot, known once all of it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub sections: u32,
    pub groups: u32,
}

/// Why bytes are no sound snapshot.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    #[error("it is no snapshot of Chronik")]
    Foreign,
    #[error("it has format {found}, and this version reads formats up to {VERSION}")]
    Newer { found: u32 },
    #[error("it is cut off at byte {at}")]
    CutOff { at: u64 },
    #[error("it is damaged at byte {at}: {what}")]
    Damaged { at: u64, what: String },
    #[error("something follows its end at byte {at}")]
    Trailing { at: u64 },
    #[error("it cannot be read or written")]
    Io(#[source] io::Error),
}

/// Writes a snapshot, a section after the other.
pub struct SnapshotWriter<W> {
    out: W,
    codec: SnapshotCompression,
    written: Written,
    summary: Summary,
}

/// Reads what [`SnapshotWriter`] wrote.
pub struct SnapshotReader<R> {
    input: R,
    written: Written,
    header: Header,
    summary: Summary,
    has_ended: bool,
}

/// Everything so far, as far as checksums go.
#[derive(Default)]
struct Written {
    bytes: u64,
    crc: u32,
    sha256: Sha256,
}

impl<W: Write> SnapshotWriter<W> {
    pub fn begin(
        out: W,
        codec: SnapshotCompression,
        header: &Header,
    ) -> Result<SnapshotWriter<W>, FormatError> {
        let mut writer = SnapshotWriter {
            out,
            codec,
            written: Written::default(),
            summary: Summary::default(),
        };
        writer.put(&MAGIC)?;
        writer.put(&VERSION.to_le_bytes())?;
        // Whoever wants to know what a file is need not decompress anything.
        writer.block(HEADER, SnapshotCompression::None, &header.encode())?;
        Ok(writer)
    }

    pub fn section(&mut self, parts: &[Part]) -> Result<(), FormatError> {
        self.block(SECTION, self.codec, &part::write_all(parts))?;
        self.summary.sections += 1;
        self.summary.groups += parts.len() as u32;
        Ok(())
    }

    /// Ends the snapshot; returns what it was written to, its length and the SHA-256 of all its bytes.
    pub fn end(mut self) -> Result<(W, u64, [u8; 32]), FormatError> {
        let mut end = wire::Writer::new();
        end.u32(self.summary.sections)
            .u32(self.summary.groups)
            .u32(self.written.crc);
        self.block(END, SnapshotCompression::None, &end.finish())?;
        self.out.flush().map_err(FormatError::Io)?;
        Ok((
            self.out,
            self.written.bytes,
            self.written.sha256.finalize().into(),
        ))
    }

    fn block(
        &mut self,
        kind: u8,
        codec: SnapshotCompression,
        plain: &[u8],
    ) -> Result<(), FormatError> {
        if plain.len() > BLOCK_BYTES_MAX {
            let too_large = format!("a group has a state of {} bytes", plain.len());
            return Err(FormatError::Io(io::Error::other(too_large)));
        }
        let folded = fold(codec, plain);
        let (codec, stored) = match &folded {
            Some(folded) if folded.len() < plain.len() => (codec, folded.as_slice()),
            _ => (SnapshotCompression::None, plain),
        };
        self.put_block([kind, codec_number(codec)], plain.len() as u32, stored)
    }

    fn put_block(
        &mut self,
        kind_and_codec: [u8; 2],
        plain_len: u32,
        stored: &[u8],
    ) -> Result<(), FormatError> {
        let mut head = [0; HEAD_BYTES];
        head[..2].copy_from_slice(&kind_and_codec);
        head[2..6].copy_from_slice(&(stored.len() as u32).to_le_bytes());
        head[6..10].copy_from_slice(&plain_len.to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&head[..10]), stored);
        head[10..].copy_from_slice(&checksum.to_le_bytes());
        self.put(&head)?;
        self.put(stored)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.written.note(bytes);
        self.out.write_all(bytes).map_err(FormatError::Io)
    }
}

impl<R: Read> SnapshotReader<R> {
    /// Reads as far as the header.
    pub fn open(mut input: R) -> Result<SnapshotReader<R>, FormatError> {
        let mut start = [0; MAGIC.len() + 4];
        let read = read_some(&mut input, &mut start)?;
        let (magic, version) = start.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(FormatError::Foreign);
        }
        if read < start.len() {
            return Err(FormatError::CutOff { at: read as u64 });
        }
        let found = u32_at(version, 0);
        if found > VERSION {
            return Err(FormatError::Newer { found });
        }
        let mut written = Written::default();
        written.note(&start);
        let at = written.bytes;
        let (kind, plain) = block(&mut input, &mut written)?;
        let damaged = |what: String| FormatError::Damaged { at, what };
        if kind != HEADER || found == 0 {
            return Err(damaged("it does not begin with a header".to_owned()));
        }
        let header = Header::decode(&plain).map_err(|error| damaged(error.to_string()))?;
        Ok(SnapshotReader {
            input,
            written,
            header,
            summary: Summary::default(),
            has_ended: false,
        })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The parts of the next section; none once the end was read and found to be right.
    pub fn section(&mut self) -> Result<Option<Vec<Part>>, FormatError> {
        if self.has_ended {
            return Ok(None);
        }
        let (at, crc) = (self.written.bytes, self.written.crc);
        let (kind, plain) = block(&mut self.input, &mut self.written)?;
        let damaged = |what: String| FormatError::Damaged { at, what };
        match kind {
            SECTION => {
                let parts = part::read_all(&plain).map_err(|error| damaged(error.to_string()))?;
                self.summary.sections = self.summary.sections.saturating_add(1);
                self.summary.groups = self.summary.groups.saturating_add(parts.len() as u32);
                Ok(Some(parts))
            }
            END => {
                let Summary { sections, groups } = self.summary;
                let mut end = wire::Writer::new();
                end.u32(sections).u32(groups).u32(crc);
                if plain != end.finish() {
                    let what = "its end does not fit what comes before it".to_owned();
                    return Err(damaged(what));
                }
                if read_some(&mut self.input, &mut [0])? > 0 {
                    let at = self.written.bytes;
                    return Err(FormatError::Trailing { at });
                }
                self.has_ended = true;
                Ok(None)
            }
            other => Err(damaged(format!("a block of the unknown kind {other}"))),
        }
    }

    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The length and the SHA-256 of what was read so far: of the whole, once there are no more sections.
    pub(crate) fn digest(&self) -> (u64, [u8; 32]) {
        (
            self.written.bytes,
            self.written.sha256.clone().finalize().into(),
        )
    }
}

impl Written {
    fn note(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.sha256.update(bytes);
    }
}

impl Header {
    fn encode(&self) -> bytes::Bytes {
        let mut out = wire::Writer::new();
        out.text(&self.cluster_id)
            .u64(self.node.0)
            .u64(self.incarnation)
            .text(&self.version)
            .u64(self.created_ms)
            .u8(self.cause.number());
        match &self.group {
            Some((group, name)) => out.u8(1).u64(group.0).text(name),
            None => out.u8(0),
        };
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Header, WireError> {
        let mut input = wire::Reader::new(bytes);
        let header = Header {
            cluster_id: input.text()?,
            node: NodeId(input.u64()?),
            incarnation: input.u64()?,
            version: input.text()?,
            created_ms: input.u64()?,
            cause: match input.u8()? {
                1 => Cause::Operator,
                2 => Cause::Size,
                3 => Cause::Count,
                4 => Cause::Time,
                5 => Cause::Restore,
                other => return Err(input.unknown("cause of a snapshot", other.into())),
            },
            group: match input.u8()? {
                0 => None,
                1 => Some((GroupUid(input.u64()?), input.text()?)),
                other => return Err(input.unknown("scope of a snapshot", other.into())),
            },
        };
        input.end()?;
        Ok(header)
    }
}

impl Cause {
    /// A word for operators.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Cause::Operator => "operator",
            Cause::Size => "size",
            Cause::Count => "count",
            Cause::Time => "time",
            Cause::Restore => "restore",
        }
    }

    fn number(self) -> u8 {
        match self {
            Cause::Operator => 1,
            Cause::Size => 2,
            Cause::Count => 3,
            Cause::Time => 4,
            Cause::Restore => 5,
        }
    }
}

/// The next block: what it is, and what is in it.
fn block(input: &mut impl Read, written: &mut Written) -> Result<(u8, Vec<u8>), FormatError> {
    let at = written.bytes;
    let mut head = [0; HEAD_BYTES];
    let read = read_some(input, &mut head)?;
    if read < HEAD_BYTES {
        return Err(FormatError::CutOff {
            at: at + read as u64,
        });
    }
    let damaged = |what: String| FormatError::Damaged { at, what };
    let (stored_len, plain_len) = (u32_at(&head, 2) as usize, u32_at(&head, 6) as usize);
    if stored_len > BLOCK_BYTES_MAX || plain_len > BLOCK_BYTES_MAX {
        return Err(damaged("a block is too large".to_owned()));
    }
    // Memory is taken as bytes come, whatever the length says.
    let mut stored = Vec::new();
    let mut bounded = input.take(stored_len as u64);
    bounded.read_to_end(&mut stored).map_err(FormatError::Io)?;
    if stored.len() < stored_len {
        let at = at + (HEAD_BYTES + stored.len()) as u64;
        return Err(FormatError::CutOff { at });
    }
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&head[..10]), &stored);
    if checksum != u32_at(&head, 10) {
        return Err(damaged("a block does not match its checksum".to_owned()));
    }
    written.note(&head);
    written.note(&stored);
    let compression = match head[1] {
        0 if stored_len == plain_len => return Ok((head[0], stored)),
        1 => Compression::Gzip,
        2 => Compression::Zstd,
        other => return Err(damaged(format!("a block of the unknown codec {other}"))),
    };
    let unfolded = records::unfold(compression, &stored);
    let unfolded = unfolded.map_err(|error| damaged(error.to_string()))?;
    let mut plain = Vec::new();
    let mut bounded = unfolded.take(plain_len as u64 + 1);
    let read = bounded.read_to_end(&mut plain);
    read.map_err(|error| damaged(format!("a block does not unfold: {error}")))?;
    match plain.len() == plain_len {
        true => Ok((head[0], plain)),
        false => Err(damaged("a block unfolds to another length".to_owned())),
    }
}

fn fold(codec: SnapshotCompression, plain: &[u8]) -> Option<Vec<u8>> {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    match codec {
        SnapshotCompression::None => None,
        SnapshotCompression::Gzip => records::fold(Compression::Gzip, plain),
        SnapshotCompression::Zstd => Some(compress_to_vec(plain, CompressionLevel::Fastest)),
    }
}

fn codec_number(codec: SnapshotCompression) -> u8 {
    match codec {
        SnapshotCompression::None => 0,
        SnapshotCompression::Gzip => 1,
        SnapshotCompression::Zstd => 2,
    }
}

/// As many bytes as there are, up to the length of `target`.
fn read_some(input: &mut impl Read, target: &mut [u8]) -> Result<usize, FormatError> {
    let mut read = 0;
    while read < target.len() {
        match input.read(&mut target[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FormatError::Io(error)),
        }
    }
    Ok(read)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
