//! Frames and records go through bytes unchanged, and nothing else comes out of bytes.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::limits::BLOCK_BYTES;

const SALT: u32 = 0x5a17;

fn record(flag_bits: u8, index: u64, stored: &[u8]) -> Record {
    Record {
        flags: flag_bits,
        version: 3,
        term: 7,
        index,
        base_offset: index * 10,
        max_ts: -5,
        record_count: 4,
        ..Record::new(Kind::Entry, 99, Bytes::copy_from_slice(stored))
    }
}

fn frame_of(records: &[Record], lsn: u64) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 16];
    let mut filled = FRAME_HEADER_BYTES;
    for record in records {
        let header = RecordHeader::of(record, lsn);
        filled += write_record(
            &header,
            SALT,
            &record.head,
            &record.body,
            &mut bytes[filled..],
        );
    }
    let header = FrameHeader {
        lsn,
        records: u32::try_from(records.len()).expect("few"),
        body_bytes: u32::try_from(filled - FRAME_HEADER_BYTES).expect("short"),
    };
    header.write(SALT, &mut bytes);
    bytes.truncate(header.frame_bytes());
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<RecordView<'_>>, &'static str> {
    let header = FrameHeader::parse(bytes, SALT).ok_or("no header")?;
    read_frame(bytes, &header, SALT, &mut |_| true)
}

#[test]
fn a_frame_is_whole_blocks() {
    let frame = frame_of(&[record(0, 1, &[1; 5000])], 1);
    assert_eq!(frame.len(), 2 * BLOCK_BYTES);
}

#[test]
fn head_and_body_are_stored_as_one() {
    let split = Record {
        head: Bytes::from("he"),
        ..record(0, 1, b"ad")
    };
    let frame = frame_of(&[split], 1);
    assert_eq!(read(&frame).expect("valid")[0].stored, b"head");
}

#[test]
fn another_use_of_the_segment_is_not_read() {
    let frame = frame_of(&[record(0, 1, b"old")], 1);
    assert_eq!(FrameHeader::parse(&frame, SALT + 1), None);
    assert!(read_record(&frame[FRAME_HEADER_BYTES..], SALT + 1).is_err());
}

#[test]
fn the_owner_is_asked_about_self_checked_bodies_only() {
    let frame = frame_of(
        &[
            record(0, 1, &[1; 200]),
            record(flags::BODY_SELF_CHECKED, 2, &[2; 200]),
        ],
        1,
    );
    let header = FrameHeader::parse(&frame, SALT).expect("a header");
    let mut asked = Vec::new();
    let mut verify = |view: &RecordView<'_>| {
        asked.push(view.header.index);
        false
    };
    assert!(read_frame(&frame, &header, SALT, &mut verify).is_err());
    assert_eq!(asked, [2]);
}

proptest! {
    #[test]
    fn records_come_back_as_they_were(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..20),
        lsn in 1..u64::MAX,
    ) {
        let records: Vec<_> = (1..).zip(&bodies).map(|(index, body)| record(0, index, body)).collect();
        let frame = frame_of(&records, lsn);
        let views = read(&frame).expect("valid");
        prop_assert_eq!(views.len(), records.len());
        for (view, record) in views.iter().zip(&records) {
            prop_assert_eq!(view.header, RecordHeader::of(record, lsn));
            prop_assert_eq!(view.stored, &record.body[..]);
        }
    }

    #[test]
    fn a_changed_byte_is_noticed_or_is_padding(position in 0..3 * BLOCK_BYTES, change in 1..=255_u8) {
        let records = [record(0, 1, &[1; 4000]), record(0, 2, &[2; 5001])];
        let intact = frame_of(&records, 5);
        let mut frame = intact.clone();
        frame[position] ^= change;
        if let Ok(views) = read(&frame) {
            let same = read(&intact).expect("valid");
            prop_assert_eq!(views.len(), same.len());
            for (view, before) in views.iter().zip(&same) {
                prop_assert_eq!(view.header, before.header);
                prop_assert_eq!(view.stored, before.stored);
            }
        }
    }

    #[test]
    fn arbitrary_bodies_are_read_without_harm(body in proptest::collection::vec(any::<u8>(), 0..2000), records in any::<u32>()) {
        let mut bytes = vec![0; FRAME_HEADER_BYTES];
        bytes.extend_from_slice(&body);
        let header = FrameHeader { lsn: 1, records, body_bytes: u32::try_from(body.len()).expect("short") };
        header.write(SALT, &mut bytes);
        // Only that it returns is of interest.
        let _ = read(&bytes);
    }
}
