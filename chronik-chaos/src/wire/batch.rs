//! Record batches of version 2: written uncompressed, read and verified.

use super::codec::{Decoder, Encoder, WireFault};

/// Bytes before the part that the checksum covers: offset, length, epoch, version, checksum.
const UNCHECKED_LEN: usize = 21;
const VERSION: i8 = 2;
/// Offset and length, which the length itself does not count.
const PREFIX_LEN: usize = 12;
const COMPRESSION_BITS: i16 = 0b111;
const CONTROL_BIT: i16 = 1 << 5;

/// Who writes, for the broker's duplicate detection; -1 everywhere without idempotence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) base: i32,
}

impl Sequence {
    pub(crate) const NONE: Sequence = Sequence {
        producer_id: -1,
        epoch: -1,
        base: -1,
    };
}

/// One record of a fetched batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FetchedRecord<'a> {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    /// Markers of transactions take an offset and are no data.
    pub(crate) is_control: bool,
    pub(crate) value: &'a [u8],
}

/// One uncompressed batch of these values.
pub(crate) fn encode(values: &[Vec<u8>], sequence: Sequence, timestamp_ms: i64) -> Vec<u8> {
    let count = i32::try_from(values.len()).expect("a batch has few records");
    let mut checked = Encoder::default();
    checked
        .i16(0)
        .i32(count - 1)
        .i64(timestamp_ms)
        .i64(timestamp_ms);
    checked
        .i64(sequence.producer_id)
        .i16(sequence.epoch)
        .i32(sequence.base);
    checked.i32(count);
    for (delta, value) in values.iter().enumerate() {
        let mut record = Encoder::default();
        record.i8(0).varint(0).varint(delta as i64).varint(-1);
        record
            .varint(value.len() as i64)
            .bytes
            .extend_from_slice(value);
        record.varint(0);
        checked.varint(record.bytes.len() as i64);
        checked.bytes.extend_from_slice(&record.bytes);
    }
    let mut batch = Encoder::default();
    batch
        .i64(0)
        .len(UNCHECKED_LEN - PREFIX_LEN + checked.bytes.len());
    batch.i32(-1).i8(VERSION);
    batch.i32(crc32c::crc32c(&checked.bytes) as i32);
    batch.bytes.extend_from_slice(&checked.bytes);
    batch.bytes
}

/// The records of all whole batches; a cut-off last one is what brokers send when a limit is reached.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<FetchedRecord<'_>>, WireFault> {
    let mut records = Vec::new();
    let mut rest = Decoder::new(bytes);
    while rest.remaining() > UNCHECKED_LEN {
        let base_offset = rest.i64()?;
        let len = rest.i32()?;
        let len = usize::try_from(len).map_err(|_| WireFault::Length(len.into()))?;
        let Ok(batch) = rest.take(len) else {
            break;
        };
        decode_batch(base_offset, batch, &mut records)?;
    }
    Ok(records)
}

/// Whole batches as they are, each with the offset after it.
pub(crate) fn whole(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let mut head = Decoder::new(rest);
        let base_offset = head.i64().ok()?;
        let len = usize::try_from(head.i32().ok()?).ok()?;
        head.take(UNCHECKED_LEN - PREFIX_LEN).ok()?;
        head.i16().ok()?;
        let last_offset = base_offset.checked_add(head.i32().ok()?.into())?;
        let (batch, after) = rest.split_at_checked(PREFIX_LEN.checked_add(len)?)?;
        rest = after;
        Some((u64::try_from(last_offset).ok()?.checked_add(1)?, batch))
    })
}

fn decode_batch<'a>(
    base_offset: i64,
    batch: &'a [u8],
    records: &mut Vec<FetchedRecord<'a>>,
) -> Result<(), WireFault> {
    let mut head = Decoder::new(batch);
    let leader_epoch = head.i32()?;
    let version = head.i8()?;
    if version != VERSION {
        return Err(WireFault::BatchVersion(version));
    }
    let checksum = head.u32()?;
    let checked = head.take(head.remaining())?;
    if crc32c::crc32c(checked) != checksum {
        return Err(WireFault::Checksum);
    }
    let mut body = Decoder::new(checked);
    let attributes = body.i16()?;
    if attributes & COMPRESSION_BITS != 0 {
        return Err(WireFault::Compressed);
    }
    // Last offset delta, two timestamps, producer id, its epoch and sequence.
    body.take(4 + 8 + 8 + 8 + 2 + 4)?;
    let count = body.i32()?;
    for _ in 0..count {
        let len = body.varint()?;
        let len = usize::try_from(len).map_err(|_| WireFault::Length(len))?;
        let mut record = Decoder::new(body.take(len)?);
        record.i8()?;
        record.varint()?;
        let delta = record.varint()?;
        nullable(&mut record)?;
        let value = nullable(&mut record)?;
        records.push(FetchedRecord {
            offset: base_offset
                .checked_add(delta)
                .ok_or(WireFault::Length(delta))?,
            leader_epoch,
            is_control: attributes & CONTROL_BIT != 0,
            value,
        });
    }
    Ok(())
}

fn nullable<'a>(record: &mut Decoder<'a>) -> Result<&'a [u8], WireFault> {
    match record.varint()? {
        -1 => Ok(&[]),
        len => record.take(usize::try_from(len).map_err(|_| WireFault::Length(len))?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEQUENCE: Sequence = Sequence {
        producer_id: 7,
        epoch: 1,
        base: 40,
    };

    proptest! {
        #[test]
        fn values_come_back_and_every_flipped_bit_is_found(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6),
            bit: prop::sample::Index,
        ) {
            let mut bytes = encode(&values, SEQUENCE, 5);
            let found = decode(&bytes).unwrap();
            prop_assert_eq!(found.iter().map(|record| record.value.to_vec()).collect::<Vec<_>>(), values);
            prop_assert!(found.iter().zip(0..).all(|(record, at)| record.offset == at));
            let checked_bits = (bytes.len() - UNCHECKED_LEN) * 8;
            let bit = UNCHECKED_LEN * 8 + bit.index(checked_bits);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(decode(&bytes), Err(WireFault::Checksum));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = whole(&bytes).count();
        }
    }

    #[test]
    fn a_cut_off_last_batch_is_left_for_the_next_fetch() {
        let mut bytes = encode(&[b"one".to_vec()], SEQUENCE, 5);
        let whole = bytes.len();
        bytes.extend_from_within(..);
        bytes.truncate(whole + 30);
        assert_eq!(decode(&bytes).unwrap().len(), 1);
        assert_eq!(
            super::whole(&bytes).collect::<Vec<_>>(),
            [(1, &bytes[..whole])]
        );
    }
}
