//! The header of a Kafka record batch (magic 2), read in place and patched in place.
//!
//! A stored batch is the client's bytes: only the base offset and the leader epoch are written, and both lie outside
//! the CRC. `LogAppendTime` is the one exception, and it computes the CRC anew.

/// The fixed part in front of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: i64,
    pub batch_length: i32,
    pub leader_epoch: i32,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Why bytes are not a batch that may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("a record batch has at least {HEADER_LEN} bytes, these are {0}")]
    Short(usize),
    #[error("record batches of magic {0} are not supported, only 2")]
    Magic(u8),
    #[error("the batch says it has {says} bytes, {has} are there")]
    Length { says: i64, has: usize },
    #[error("the checksum is {computed:#010x}, the batch says {says:#010x}")]
    Checksum { says: u32, computed: u32 },
    #[error("{count} records cannot end at offset delta {last_offset_delta}")]
    Count { count: i32, last_offset_delta: i32 },
    #[error("there is no compression type {0}")]
    Compression(i16),
}

/// Bytes in front of the first record.
pub const HEADER_LEN: usize = 61;
/// Bytes of base offset and length, which `batch_length` does not count.
pub const LENGTH_PREFIX: usize = 12;
/// Where the part begins that the CRC covers.
const CHECKED_FROM: usize = 21;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

impl BatchHeader {
    /// Reads the header at the start of `bytes`, and checks only that a batch of this length is there.
    pub fn read(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        if bytes.len() < HEADER_LEN {
            return Err(BatchError::Short(bytes.len()));
        }
        if bytes[16] != 2 {
            return Err(BatchError::Magic(bytes[16]));
        }
        let header = BatchHeader {
            base_offset: i64::from_be_bytes(field(bytes, 0)),
            batch_length: i32::from_be_bytes(field(bytes, 8)),
            leader_epoch: i32::from_be_bytes(field(bytes, 12)),
            crc: u32::from_be_bytes(field(bytes, 17)),
            attributes: i16::from_be_bytes(field(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)),
            producer_id: i64::from_be_bytes(field(bytes, 43)),
            producer_epoch: i16::from_be_bytes(field(bytes, 51)),
            base_sequence: i32::from_be_bytes(field(bytes, 53)),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        };
        let says = i64::from(header.batch_length) + LENGTH_PREFIX as i64;
        if says < HEADER_LEN as i64 || says > bytes.len() as i64 {
            return Err(BatchError::Length {
                says,
                has: bytes.len(),
            });
        }
        if header.last_offset_delta < 0 {
            let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
            return Err(BatchError::Count {
                count,
                last_offset_delta,
            });
        }
        Ok(header)
    }

    /// Reads and fully checks a batch that is alone in `bytes`, as a produce request must send it.
    pub fn check(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let header = BatchHeader::read(bytes)?;
        if header.len() != bytes.len() {
            return Err(BatchError::Length {
                says: header.len() as i64,
                has: bytes.len(),
            });
        }
        let computed = checksum(bytes);
        if computed != header.crc {
            return Err(BatchError::Checksum {
                says: header.crc,
                computed,
            });
        }
        let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
        if count <= 0 || last_offset_delta != count - 1 {
            return Err(BatchError::Count {
                count,
                last_offset_delta,
            });
        }
        header.compression()?;
        Ok(header)
    }

    /// The bytes of the whole batch.
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.batch_length as usize + LENGTH_PREFIX
    }

    /// How many offsets the batch takes. Never the record count: compaction leaves gaps.
    pub fn offset_span(&self) -> u32 {
        self.last_offset_delta as u32 + 1
    }

    pub fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.offset_span())
    }

    pub fn compression(&self) -> Result<Compression, BatchError> {
        match self.attributes & 7 {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            other => Err(BatchError::Compression(other)),
        }
    }

    /// The same without compression.
    pub fn uncompressed(&self) -> BatchHeader {
        BatchHeader {
            attributes: self.attributes & !7,
            ..*self
        }
    }

    pub fn is_idempotent(&self) -> bool {
        self.producer_id >= 0
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// From when on its tombstones may go, in milliseconds; compaction wrote it where the base timestamp was.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// The same with a horizon; deltas of timestamps count from it.
    pub fn with_delete_horizon(&self, horizon_ms: i64) -> BatchHeader {
        BatchHeader {
            attributes: self.attributes | DELETE_HORIZON,
            base_timestamp: horizon_ms,
            ..*self
        }
    }

    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }
}

/// Writes the place in the log that the leader gave to a batch.
pub fn place(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    batch[0..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// The bytes of a batch with this header and these records, which are compressed as the header says.
pub fn assemble(header: &BatchHeader, records: &[u8]) -> Vec<u8> {
    let len = HEADER_LEN + records.len();
    let batch_length = i32::try_from(len - LENGTH_PREFIX).expect("a batch is below 2 GiB");
    let mut batch = Vec::with_capacity(len);
    batch.extend_from_slice(&header.base_offset.to_be_bytes());
    batch.extend_from_slice(&batch_length.to_be_bytes());
    batch.extend_from_slice(&header.leader_epoch.to_be_bytes());
    batch.extend_from_slice(&[2, 0, 0, 0, 0]);
    batch.extend_from_slice(&header.attributes.to_be_bytes());
    batch.extend_from_slice(&header.last_offset_delta.to_be_bytes());
    batch.extend_from_slice(&header.base_timestamp.to_be_bytes());
    batch.extend_from_slice(&header.max_timestamp.to_be_bytes());
    batch.extend_from_slice(&header.producer_id.to_be_bytes());
    batch.extend_from_slice(&header.producer_epoch.to_be_bytes());
    batch.extend_from_slice(&header.base_sequence.to_be_bytes());
    batch.extend_from_slice(&header.record_count.to_be_bytes());
    batch.extend_from_slice(records);
    let crc = checksum(&batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// Gives all records of a batch the leader's time.
pub fn stamp(batch: &mut [u8], now_ms: i64) {
    let attributes = i16::from_be_bytes(field(batch, 21)) | LOG_APPEND_TIME;
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[35..43].copy_from_slice(&now_ms.to_be_bytes());
    let crc = checksum(batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// The headers of the batches that stand one after the other in `bytes`; stops with an error at the first bad one.
pub fn each(bytes: &[u8]) -> impl Iterator<Item = Result<(BatchHeader, &[u8]), BatchError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match BatchHeader::read(rest) {
            Ok(header) => {
                let (batch, after) = rest.split_at(header.len());
                rest = after;
                Some(Ok((header, batch)))
            }
            Err(error) => {
                rest = &[];
                Some(Err(error))
            }
        }
    })
}

pub fn checksum(batch: &[u8]) -> u32 {
    crc32c::crc32c(&batch[CHECKED_FROM..])
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has N bytes")
}
