//! Records in and out of batches, whatever they were folded with, in bounded memory.

use std::io::{self, Cursor, Read as _};

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

/// One record as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<(String, Option<Bytes>)>,
}

/// What one batch may unfold to.
const MAX_UNFOLDED_BYTES: u64 = 256 << 20;
/// In front of a batch: its base offset and its length.
const PREFIX_BYTES: usize = 12;
/// In front of snappy blocks with lengths.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;

/// One batch of records with these keys and values.
pub(crate) fn encode(
    records: &[(Option<Bytes>, Option<Bytes>)],
    timestamp_ms: i64,
) -> Result<Bytes, String> {
    let record = |(offset, (key, value)): (usize, &(Option<Bytes>, Option<Bytes>))| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: offset as i64,
        // One batch wants consecutive sequences, also where there are none.
        sequence: NO_SEQUENCE.wrapping_add(offset as i32),
        timestamp: timestamp_ms,
        key: key.clone(),
        value: value.clone(),
        headers: IndexMap::new(),
    };
    let records: Vec<Record> = records.iter().enumerate().map(record).collect();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut batch = BytesMut::new();
    RecordBatchEncoder::encode(&mut batch, &records, &options)
        .map_err(|error| error.to_string())?;
    Ok(batch.freeze())
}

/// The records of whole batches from `from` on; an incomplete last batch is left out, as brokers may send one. Also
/// returns the offset behind the last batch.
pub(crate) fn decode(mut batches: Bytes, from: i64) -> Result<(Vec<Read>, i64), String> {
    let mut records = Vec::new();
    let mut next = from;
    while let Some(len) = batch_len(&batches) {
        let last_delta = i32::from_be_bytes(batches[23..27].try_into().expect("four bytes"));
        let base = i64::from_be_bytes(batches[..8].try_into().expect("eight bytes"));
        let mut batch = batches.split_to(len);
        let set = RecordBatchDecoder::decode_with_custom_compression(
            &mut batch,
            Some(|folded: &mut Bytes, compression| Ok(unfold(folded, compression)?)),
        );
        let set = set.map_err(|error| error.to_string())?;
        let is_shown = |record: &Record| !record.control && record.offset >= from;
        records.extend(set.records.into_iter().filter(is_shown).map(read));
        next = next.max(base.saturating_add(i64::from(last_delta)).saturating_add(1));
    }
    Ok((records, next))
}

/// The length of the batch at the beginning, if all of it is there and it is one.
fn batch_len(batches: &[u8]) -> Option<usize> {
    let len = batches.get(8..PREFIX_BYTES)?;
    let len = i32::from_be_bytes(len.try_into().expect("four bytes"));
    let len = usize::try_from(len).ok()? + PREFIX_BYTES;
    // The header alone has so many bytes.
    (len >= 61 && batches.len() >= len).then_some(len)
}

fn read(record: Record) -> Read {
    let headers = record.headers.into_iter();
    Read {
        offset: record.offset,
        timestamp_ms: record.timestamp,
        key: record.key,
        value: record.value,
        headers: headers
            .map(|(name, value)| (name.to_string(), value))
            .collect(),
    }
}

fn unfold(folded: &mut Bytes, compression: Compression) -> io::Result<Bytes> {
    let source = Cursor::new(folded.clone());
    let mut unfolded = Vec::new();
    match compression {
        Compression::None => return Ok(std::mem::take(folded)),
        Compression::Gzip => flate2::read::MultiGzDecoder::new(source)
            .take(MAX_UNFOLDED_BYTES)
            .read_to_end(&mut unfolded)?,
        Compression::Lz4 => lz4_flex::frame::FrameDecoder::new(source)
            .take(MAX_UNFOLDED_BYTES)
            .read_to_end(&mut unfolded)?,
        Compression::Zstd => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(source);
            let decoder = decoder.map_err(io::Error::other)?;
            decoder
                .take(MAX_UNFOLDED_BYTES)
                .read_to_end(&mut unfolded)?
        }
        Compression::Snappy => return snappy(folded),
    };
    Ok(unfolded.into())
}

/// One block, or blocks with lengths behind a magic word.
fn snappy(folded: &[u8]) -> io::Result<Bytes> {
    let block = |folded: &[u8]| {
        let len = snap::raw::decompress_len(folded).map_err(io::Error::other)?;
        if len as u64 > MAX_UNFOLDED_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        snap::raw::Decoder::new()
            .decompress_vec(folded)
            .map_err(io::Error::other)
    };
    if !folded.starts_with(XERIAL_MAGIC) {
        return Ok(block(folded)?.into());
    }
    let mut left = folded
        .get(XERIAL_HEADER_BYTES..)
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut unfolded = Vec::new();
    while let Some((len, rest)) = left.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*len) as usize;
        let (folded, rest) = rest
            .split_at_checked(len)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        unfolded.extend_from_slice(&block(folded)?);
        if unfolded.len() as u64 > MAX_UNFOLDED_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        left = rest;
    }
    Ok(unfolded.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_again_from_any_offset() {
        let record = |text: &'static str| {
            (
                Some(Bytes::from_static(b"k")),
                Some(Bytes::from_static(text.as_bytes())),
            )
        };
        let batch = encode(&[record("one"), record("two")], 7).unwrap();
        let (records, next) = decode(batch.clone(), 0).unwrap();
        assert_eq!((records.len(), next), (2, 2));
        assert_eq!(records[1].value.as_deref(), Some(&b"two"[..]));
        assert_eq!((records[1].offset, records[1].timestamp_ms), (1, 7));
        assert_eq!(decode(batch.clone(), 1).unwrap().0.len(), 1);
        // A batch that is cut off is not there yet.
        assert_eq!(
            decode(batch.slice(..batch.len() - 1), 0).unwrap(),
            (Vec::new(), 0)
        );
    }

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            _ = decode(Bytes::from(bytes.clone()), 0);
            for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
                _ = unfold(&mut Bytes::from(bytes.clone()), compression);
            }
        }
    }
}
