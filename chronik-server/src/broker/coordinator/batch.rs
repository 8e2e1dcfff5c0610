//! Records of `__consumer_offsets` as one uncompressed batch, and back.

use bytes::{BufMut, Bytes, BytesMut};
use chronik_core::consumer_group::RawRecord;
use chronik_core::partition::BatchHeader;
use chronik_core::partition::batch::{self, Compression, HEADER_LEN, LENGTH_PREFIX};

const MAGIC: u8 = 2;
const CRC_AT: usize = 17;
/// A record's length, attributes, two deltas and three counts take at least one byte each.
const RECORD_BYTES_MIN: usize = 7;

/// Why a batch of the topic cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BatchUnreadable {
    #[error("it is compressed, which no coordinator does")]
    Compressed,
    #[error("its records are malformed")]
    Malformed,
}

/// One batch of all these records, as a producer would send it.
pub(super) fn encode(records: &[RawRecord], now_ms: i64) -> BytesMut {
    let payload: usize = records.iter().map(record_bytes_max).sum();
    let mut out = BytesMut::with_capacity(HEADER_LEN + payload);
    out.put_bytes(0, HEADER_LEN);
    for (delta, record) in records.iter().enumerate() {
        put_record(&mut out, delta as i64, record);
    }
    let count = i32::try_from(records.len()).expect("a batch has fewer than 2^31 records");
    let batch_length =
        i32::try_from(out.len() - LENGTH_PREFIX).expect("a batch has fewer than 2^31 bytes");
    let mut header = &mut out[..HEADER_LEN];
    header.put_i64(0);
    header.put_i32(batch_length);
    header.put_i32(-1);
    header.put_u8(MAGIC);
    header.put_u32(0);
    header.put_i16(0);
    header.put_i32(count - 1);
    header.put_i64(now_ms);
    header.put_i64(now_ms);
    header.put_i64(-1);
    header.put_i16(-1);
    header.put_i32(-1);
    header.put_i32(count);
    let crc = batch::checksum(&out);
    out[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    out
}

/// Keys and values of one batch, in order. Records without a key say nothing and are passed over.
pub(super) fn decode(
    header: &BatchHeader,
    batch: &[u8],
) -> Result<Vec<(Bytes, Option<Bytes>)>, BatchUnreadable> {
    if header.is_control() {
        return Ok(Vec::new());
    }
    if header.compression() != Ok(Compression::None) {
        return Err(BatchUnreadable::Compressed);
    }
    let mut input = Input {
        bytes: &batch[HEADER_LEN..],
    };
    let count = usize::try_from(header.record_count).map_err(|_| BatchUnreadable::Malformed)?;
    if count.saturating_mul(RECORD_BYTES_MIN) > input.bytes.len() {
        return Err(BatchUnreadable::Malformed);
    }
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let (key, value) = input.record().ok_or(BatchUnreadable::Malformed)?;
        if let Some(key) = key {
            records.push((
                Bytes::copy_from_slice(key),
                value.map(Bytes::copy_from_slice),
            ));
        }
    }
    Ok(records)
}

fn record_bytes_max(record: &RawRecord) -> usize {
    const NUMBERS_MAX: usize = 32;
    NUMBERS_MAX + record.key.len() + record.value.as_ref().map_or(0, Bytes::len)
}

fn put_record(out: &mut BytesMut, offset_delta: i64, record: &RawRecord) {
    let mut body = BytesMut::with_capacity(record_bytes_max(record));
    body.put_u8(0);
    put_varint(&mut body, 0);
    put_varint(&mut body, offset_delta);
    put_blob(&mut body, Some(&record.key));
    put_blob(&mut body, record.value.as_ref());
    put_varint(&mut body, 0);
    put_varint(out, body.len() as i64);
    out.put_slice(&body);
}

fn put_blob(out: &mut BytesMut, blob: Option<&Bytes>) {
    match blob {
        Some(blob) => {
            put_varint(out, blob.len() as i64);
            out.put_slice(blob);
        }
        None => put_varint(out, -1),
    }
}

/// A zigzag number, seven bits a byte.
fn put_varint(out: &mut BytesMut, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// Reads records and never past their end.
struct Input<'a> {
    bytes: &'a [u8],
}

type KeyAndValue<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

impl<'a> Input<'a> {
    fn record(&mut self) -> Option<KeyAndValue<'a>> {
        let len = usize::try_from(self.varint()?).ok()?;
        let mut body = Input {
            bytes: self.take(len)?,
        };
        body.take(1)?;
        body.varint()?;
        body.varint()?;
        Some((body.blob()?, body.blob()?))
    }

    /// Outer none: malformed; inner none: null.
    fn blob(&mut self) -> Option<Option<&'a [u8]>> {
        match self.varint()? {
            -1 => Some(None),
            len => Some(Some(self.take(usize::try_from(len).ok()?)?)),
        }
    }

    fn varint(&mut self) -> Option<i64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }
}
