//! Records are found in every codec, and hostile batches cost bounded memory.

use std::io::Write;

use proptest::prelude::*;

use super::*;

/// Records with the given timestamps (relative to 1000), as a client encodes them.
fn batch(compression: u8, timestamps: &[i64], fold: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut records = Vec::new();
    for (offset, timestamp) in timestamps.iter().enumerate() {
        let mut body = vec![0];
        zigzag(&mut body, *timestamp);
        zigzag(&mut body, offset as i64);
        zigzag(&mut body, -1);
        zigzag(&mut body, 300);
        body.extend([b'v'; 300]);
        zigzag(&mut body, 0);
        zigzag(&mut records, body.len() as i64);
        records.extend(body);
    }
    header(compression, timestamps.len() as i32, &fold(&records))
}

fn header(compression: u8, count: i32, folded: &[u8]) -> Vec<u8> {
    let mut batch = vec![0; HEADER_LEN];
    batch[0..8].copy_from_slice(&100i64.to_be_bytes());
    batch[8..12].copy_from_slice(&((HEADER_LEN - 12 + folded.len()) as i32).to_be_bytes());
    batch[16] = 2;
    batch[22] = compression;
    batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    batch[27..35].copy_from_slice(&1000i64.to_be_bytes());
    batch[57..61].copy_from_slice(&count.to_be_bytes());
    batch.extend(folded);
    batch
}

fn zigzag(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[test]
fn folded_records_unfold() {
    let records: Vec<u8> = (0..200_000u32)
        .flat_map(|number| (number / 7).to_le_bytes())
        .collect();
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
        let folded = fold(compression, &records).expect("there is an encoder");
        let batch = header(compression as u8, 1, &folded);
        assert_eq!(unfolded(&batch).expect("what was folded"), records);
    }
    assert_eq!(fold(Compression::Zstd, &records), None);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

fn xerial(bytes: &[u8]) -> Vec<u8> {
    let mut out = XERIAL_MAGIC.to_vec();
    out.extend([0, 0, 0, 1, 0, 0, 0, 1]);
    for block in bytes.chunks(1000) {
        let block = snappy(block);
        out.extend((block.len() as u32).to_be_bytes());
        out.extend(block);
    }
    out
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn the_first_record_that_is_late_enough_is_found_in_every_codec() {
    let timestamps = [0, 5, 3, 9, 9, 2];
    type Fold = fn(&[u8]) -> Vec<u8>;
    let codecs: [(u8, Fold); 6] = [
        (0, <[u8]>::to_vec),
        (1, gzip),
        (2, snappy),
        (2, xerial),
        (3, lz4),
        (4, zstd),
    ];
    for (codec, fold) in codecs {
        let batch = batch(codec, &timestamps, fold);
        let find = |target| {
            first_at_or_after(&batch, target)
                .unwrap()
                .map(|r| (r.offset, r.timestamp_ms))
        };
        assert_eq!(find(0), Some((100, 1000)));
        assert_eq!(find(1004), Some((101, 1005)), "codec {codec}");
        assert_eq!(find(1006), Some((103, 1009)));
        assert_eq!(find(1010), None);
    }
}

#[test]
fn the_leaders_time_needs_no_unfolding() {
    let mut batch = header(1, 7, b"not gzip");
    batch[22] |= 8;
    batch[35..43].copy_from_slice(&5000i64.to_be_bytes());
    let first = RecordHead {
        offset: 100,
        timestamp_ms: 5000,
    };
    assert_eq!(first_at_or_after(&batch, 5000).unwrap(), Some(first));
    assert_eq!(first_at_or_after(&batch, 5001).unwrap(), None);
}

#[test]
fn greedy_blocks_and_windows_are_refused() {
    let mut claims_2_gib = vec![0xff, 0xff, 0xff, 0xff, 0x07];
    claims_2_gib.extend([0; 20]);
    assert!(first_at_or_after(&header(2, 1, &claims_2_gib), 0).is_err());
    let window_of_2_gib = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0, 0, 0, 0];
    let refused = first_at_or_after(&header(4, 1, &window_of_2_gib), 0);
    assert!(
        matches!(refused, Err(RecordsError::Greedy(_))),
        "{refused:?}"
    );
    let segment_of_4_gib = [0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0xff, 0xff, 0xff, 0xff, 0];
    assert!(matches!(
        first_at_or_after(&header(4, 1, &segment_of_4_gib), 0),
        Err(RecordsError::Greedy(_))
    ));
}

#[test]
fn a_bomb_is_given_up() {
    let bomb = gzip(&vec![0x80; 200 << 20]);
    assert!(first_at_or_after(&header(1, i32::MAX, &bomb), i64::MAX).is_err());
    // One record that claims all of it.
    let mut long = Vec::new();
    zigzag(&mut long, 1 << 40);
    long.resize(190 << 20, 0);
    assert!(first_at_or_after(&header(1, 1, &gzip(&long)), i64::MAX).is_err());
}

proptest! {
    #[test]
    fn arbitrary_records_never_panic(codec in 0u8..5, count: i32, bytes: Vec<u8>) {
        let batch = header(codec, count.max(1), &bytes);
        let mut seen = 0;
        if let Ok(mut records) = Records::of(&batch) {
            while let Ok(Some(_)) = records.next_head() {
                seen += 1;
            }
        }
        prop_assert!(seen <= bytes.len() || codec != 0);
    }

    #[test]
    fn damaged_records_never_panic(codec in 1u8..5, at: prop::sample::Index, flip in 1u8.., cut: prop::sample::Index) {
        let fold = [gzip, xerial, lz4, zstd][usize::from(codec) - 1];
        let mut batch = batch(codec, &[0, 1, 2, 3], fold);
        let records = HEADER_LEN..batch.len();
        let position = records.start + at.index(records.len());
        batch[position] ^= flip;
        batch.truncate(records.start + cut.index(records.len()) + 1);
        let len = batch.len() as i32 - 12;
        batch[8..12].copy_from_slice(&len.to_be_bytes());
        let _ = first_at_or_after(&batch, i64::MAX);
    }
}
