//! The 48-byte header that makes a payload say who wrote it, so that a reader can check a record it knows nothing else about.
//!
//! All numbers are little-endian:
//!
//! | bytes | content |
//! |---|---|
//! | 0..4 | magic and version |
//! | 4..12 | run |
//! | 12..16 | topic-partition hash, `0xffff_ffff` if a foreign partitioner chooses |
//! | 16..20 | producer |
//! | 20..24 | incarnation |
//! | 24..32 | sequence |
//! | 32..40 | intended send time in ns since the run's start |
//! | 40..48 | xxh3-64 of bytes 0..40 followed by the body's xxh3-64 |

use crate::history::{Content, Value};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Length of an encoded header in bytes.
pub const HEADER_LEN: usize = 48;

/// The topic-partition hash of a record whose partition the sender could not know.
pub const ANY_PARTITION: u32 = u32::MAX;

/// `CHK` and the format version 1.
const MAGIC: [u8; 4] = *b"CHK\x01";

const CHECKED_LEN: usize = 40;

/// What a payload says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub run: u64,
    pub partition_hash: u32,
    pub value: Value,
    pub intended_ns: u64,
}

/// Why a payload is not one of this run's records at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    #[error("{len} bytes are too short for a header of {HEADER_LEN}")]
    TooShort { len: usize },
    #[error("the first four bytes are not the magic of this format")]
    NotOurs,
    #[error("the checksum is {found:#018x}, the bytes give {computed:#018x}")]
    Corrupt { found: u64, computed: u64 },
    #[error("the record belongs to run {found:#x}")]
    OtherRun { found: u64 },
    #[error("the record was sent to the partition with hash {found:#010x}")]
    Misrouted { found: u32 },
}

/// The hash by which a header names its topic-partition; never [`ANY_PARTITION`].
pub fn partition_hash(topic: &str, partition: u32) -> u32 {
    let mut hasher = Xxh3::new();
    hasher.update(topic.as_bytes());
    hasher.update(&[0]);
    hasher.update(&partition.to_le_bytes());
    let low = hasher.digest() as u32;
    // The reserved value moves to its neighbour: one collision in four billion is as good as any other.
    if low == ANY_PARTITION { low - 1 } else { low }
}

/// Hash of a body, computed once for each body of a payload pool.
pub fn body_hash(body: &[u8]) -> u64 {
    xxh3_64(body)
}

impl Header {
    /// Writes the header for a body whose [`body_hash`] is known.
    pub fn encode(&self, body_hash: u64) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4..12].copy_from_slice(&self.run.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.partition_hash.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.value.producer.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.value.incarnation.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.value.seq.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.intended_ns.to_le_bytes());
        let sum = checksum(&bytes[..CHECKED_LEN], body_hash);
        bytes[CHECKED_LEN..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a payload and verifies its checksum, whatever run and partition it belongs to.
    pub fn decode(payload: &[u8]) -> Result<Header, HeaderFault> {
        let Some((head, body)) = payload.split_first_chunk::<HEADER_LEN>() else {
            return Err(HeaderFault::TooShort { len: payload.len() });
        };
        if head[0..4] != MAGIC {
            return Err(HeaderFault::NotOurs);
        }
        let found = u64_at(head, CHECKED_LEN);
        let computed = checksum(&head[..CHECKED_LEN], body_hash(body));
        if found != computed {
            return Err(HeaderFault::Corrupt { found, computed });
        }
        Ok(Header {
            run: u64_at(head, 4),
            partition_hash: u32_at(head, 12),
            value: Value {
                producer: u32_at(head, 16),
                incarnation: u32_at(head, 20),
                seq: u64_at(head, 24),
            },
            intended_ns: u64_at(head, 32),
        })
    }

    /// Reads a payload that must be a record of `run` in the partition with `partition_hash`.
    pub fn verify(payload: &[u8], run: u64, partition_hash: u32) -> Result<Header, HeaderFault> {
        let header = Header::decode(payload)?;
        if header.run != run {
            return Err(HeaderFault::OtherRun { found: header.run });
        }
        if header.partition_hash != partition_hash && header.partition_hash != ANY_PARTITION {
            return Err(HeaderFault::Misrouted {
                found: header.partition_hash,
            });
        }
        Ok(header)
    }
}

impl Content {
    /// What a recording client writes down for a payload that it read.
    pub fn of_payload(payload: &[u8], run: u64, partition_hash: u32) -> Content {
        match Header::verify(payload, run, partition_hash) {
            Ok(header) => Content::Value(header.value),
            Err(HeaderFault::Misrouted { .. }) => Content::Misrouted,
            Err(HeaderFault::OtherRun { .. }) => Content::Foreign,
            // A record without our magic may be ours with a flipped bit in it: both are wrong in a topic of our own.
            Err(
                HeaderFault::TooShort { .. } | HeaderFault::NotOurs | HeaderFault::Corrupt { .. },
            ) => Content::Corrupt,
        }
    }
}

fn checksum(head: &[u8], body_hash: u64) -> u64 {
    let mut bytes = [0; CHECKED_LEN + 8];
    bytes[..CHECKED_LEN].copy_from_slice(head);
    bytes[CHECKED_LEN..].copy_from_slice(&body_hash.to_le_bytes());
    xxh3_64(&bytes)
}

fn u32_at(bytes: &[u8; HEADER_LEN], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes make a u32"))
}

fn u64_at(bytes: &[u8; HEADER_LEN], at: usize) -> u64 {
    u64::from_le_bytes(
        bytes[at..at + 8]
            .try_into()
            .expect("eight bytes make a u64"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(run: u64, partition_hash: u32, seq: u64) -> Header {
        let value = Value {
            producer: 4,
            incarnation: 1,
            seq,
        };
        Header {
            run,
            partition_hash,
            value,
            intended_ns: 77,
        }
    }

    fn payload(header: &Header, body: &[u8]) -> Vec<u8> {
        let mut payload = header.encode(body_hash(body)).to_vec();
        payload.extend_from_slice(body);
        payload
    }

    #[test]
    fn tells_its_run_and_partition() {
        let home = partition_hash("orders", 3);
        let sent = header(9, home, 120);
        let bytes = payload(&sent, b"body");
        assert_eq!(Header::verify(&bytes, 9, home), Ok(sent));
        assert_eq!(
            Header::verify(&bytes, 8, home),
            Err(HeaderFault::OtherRun { found: 9 })
        );
        let other = partition_hash("orders", 4);
        assert_eq!(
            Header::verify(&bytes, 9, other),
            Err(HeaderFault::Misrouted { found: home })
        );
        let floating = payload(&header(9, ANY_PARTITION, 1), b"");
        assert!(Header::verify(&floating, 9, other).is_ok());
    }

    #[test]
    fn layout_is_frozen() {
        let bytes = header(0x0102_0304_0506_0708, 0xaabb_ccdd, 3).encode(body_hash(b"x"));
        assert_eq!(
            &bytes[..20],
            b"CHK\x01\x08\x07\x06\x05\x04\x03\x02\x01\xdd\xcc\xbb\xaa\x04\0\0\0"
        );
        assert_eq!(bytes.len(), HEADER_LEN);
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_found(body in proptest::collection::vec(any::<u8>(), 0..200), seq: u64, bit: prop::sample::Index) {
            let home = partition_hash("t", 0);
            let mut bytes = payload(&header(1, home, seq), &body);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Header::decode(&bytes).is_err());
            prop_assert_eq!(Content::of_payload(&bytes, 1, home), Content::Corrupt);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Header::decode(&bytes);
        }
    }
}
