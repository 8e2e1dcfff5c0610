//! The records of an uncompressed batch, one after the other, without copies.

use crate::partition::BatchHeader;

/// One record, as far as compaction looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub attributes: u8,
    pub timestamp_delta: i64,
    pub offset_delta: i64,
    pub key: Option<&'a [u8]>,
    pub is_tombstone: bool,
    /// All of it, with its length in front.
    pub(super) whole: &'a [u8],
    /// From the offset's delta on.
    pub(super) after_timestamp: &'a [u8],
}

/// Bytes that are no records of their batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record is malformed")]
pub struct Malformed;

/// The records of a batch, of which `bytes` are what follows its header.
pub fn records<'a>(
    header: &BatchHeader,
    bytes: &'a [u8],
) -> impl Iterator<Item = Result<Record<'a>, Malformed>> {
    let mut left = header.record_count.max(0);
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        left -= 1;
        let record = read(&mut rest);
        if record.is_err() {
            left = 0;
        }
        Some(record)
    })
}

fn read<'a>(rest: &mut &'a [u8]) -> Result<Record<'a>, Malformed> {
    let before = *rest;
    let len = usize::try_from(varint(rest)?).map_err(|_| Malformed)?;
    let (mut body, after) = rest.split_at_checked(len).ok_or(Malformed)?;
    let whole = &before[..before.len() - after.len()];
    *rest = after;
    let (attributes, behind) = body.split_first().ok_or(Malformed)?;
    body = behind;
    let timestamp_delta = varint(&mut body)?;
    let after_timestamp = body;
    let offset_delta = varint(&mut body)?;
    let key = blob(&mut body)?;
    let value = blob(&mut body)?;
    Ok(Record {
        attributes: *attributes,
        timestamp_delta,
        offset_delta,
        key,
        is_tombstone: value.is_none(),
        whole,
        after_timestamp,
    })
}

/// Bytes with their length in front, which is negative where there are none.
fn blob<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let Ok(len) = usize::try_from(varint(rest)?) else {
        return Ok(None);
    };
    let (blob, after) = rest.split_at_checked(len).ok_or(Malformed)?;
    *rest = after;
    Ok(Some(blob))
}

fn varint(rest: &mut &[u8]) -> Result<i64, Malformed> {
    let mut value = 0u64;
    for count in 0..10 {
        let (byte, after) = rest.split_first().ok_or(Malformed)?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << (7 * count);
        if byte & 0x80 == 0 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(Malformed)
}

pub(super) fn put_varint(number: i64, out: &mut Vec<u8>) {
    let mut value = ((number << 1) ^ (number >> 63)) as u64;
    while value > 0x7f {
        out.push(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
