//! A door for fuzzers.

use std::io;
use std::path::{Path, PathBuf};

use super::Visitor;
use super::files::Found;
use super::replay::Replay;
use crate::checkpoint::Checkpoint;
use crate::limits::BLOCK_BYTES;
use crate::record::{GroupUid, Row};
use crate::scan::Scan;
use crate::segment::SegmentHeader;

/// Recovers one segment from arbitrary bytes, as a fuzz target: it must neither panic nor
/// take memory that the bytes do not justify. Returns how many entries it accepted.
#[doc(hidden)]
pub fn fuzz_segment(bytes: &[u8]) -> usize {
    struct Everything(usize);
    impl Visitor for Everything {
        fn verify(&self, _: GroupUid, _: &Row, _: &[u8]) -> bool {
            true
        }
        fn entry(&mut self, _: GroupUid, _: &Row, _: &[u8]) -> Result<(), String> {
            self.0 += 1;
            Ok(())
        }
    }
    let Ok(header) = SegmentHeader::read(bytes, Path::new("fuzz.seg")) else {
        return 0;
    };
    let whole = bytes.len() / BLOCK_BYTES * BLOCK_BYTES;
    let mut visitor = Everything(0);
    let mut replay = Replay::begin(false, Checkpoint::default(), &mut visitor);
    let mut read = |position: u64, out: &mut [u8]| {
        let start = usize::try_from(position).map_err(io::Error::other)?;
        let from = bytes
            .get(start..start + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(from);
        Ok(())
    };
    let mut scan = Scan::new(&mut read, header.salt, whole as u64);
    let found = Found {
        path: PathBuf::from("fuzz.seg"),
        header,
        directory: None,
    };
    replay.new_segment(&found, u64::MAX, false, 0);
    let mut events = Vec::new();
    if let Ok(end) = replay.replay_frames(&mut scan, header.number, header.first_lsn, &mut events) {
        // The result is of no interest, only that it comes.
        let _ = scan.valid_header_after(end.position, end.next_lsn);
    }
    visitor.0
}

#[cfg(test)]
mod tests {
    //! Valid frames with arbitrary columns: checksums keep chance out, not a strange writer.

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, RecordHeader, write_record};
    use crate::record::{Kind, Record};

    fn record() -> impl Strategy<Value = Record> {
        let number = || prop_oneof![4 => 0..5_u64, 1 => any::<u64>()];
        let columns = (
            1..8_u8,
            0..3_u64,
            number(),
            number(),
            number(),
            any::<u32>(),
        );
        columns.prop_map(
            |(kind, group, term, index, base_offset, record_count)| Record {
                term,
                index,
                base_offset,
                record_count,
                ..Record::new(
                    Kind::from_byte(kind).expect("kinds are 1 to 7"),
                    group,
                    Bytes::from_static(b"some"),
                )
            },
        )
    }

    proptest! {
        #[test]
        fn strange_columns_do_no_harm(
            frames in proptest::collection::vec(proptest::collection::vec(record(), 1..6), 1..20),
            first_lsn in prop_oneof![Just(1_u64), any::<u64>()],
        ) {
            let header = SegmentHeader {
                node_uuid: [0; 16],
                number: 1,
                salt: 7,
                first_lsn,
                segment_bytes: 0,
            };
            let mut bytes = vec![0; BLOCK_BYTES * (frames.len() + 1)];
            header.write(&mut bytes);
            let pages = bytes[BLOCK_BYTES..].chunks_mut(BLOCK_BYTES);
            for ((lsn, records), page) in (first_lsn..).zip(&frames).zip(pages) {
                let mut filled = FRAME_HEADER_BYTES;
                for record in records {
                    let header = RecordHeader::of(record, lsn);
                    filled += write_record(&header, 7, &[], &record.body, &mut page[filled..]);
                }
                let body = filled - FRAME_HEADER_BYTES;
                let (records, body_bytes) = (records.len() as u32, body as u32);
                FrameHeader { lsn, records, body_bytes }.write(7, page);
            }
            // Only that it returns is of interest.
            fuzz_segment(&bytes);
        }
    }
}
