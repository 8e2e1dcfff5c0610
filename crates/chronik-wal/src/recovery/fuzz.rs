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
