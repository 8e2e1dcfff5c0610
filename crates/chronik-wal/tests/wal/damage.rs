//! Torn ends are cut, damage anywhere else is refused, and a wrong record is never shown.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chronik_wal::{IoMode, Kind, OpenError, Options, Record, flags};
use proptest::prelude::*;

use crate::support::{Log, NODE, create, entry, recover, tiny_options, trim};

const BLOCK: usize = 4096;

fn options(dir: &Path) -> Options {
    // No spare segments, so that a directory is small and cheap to copy.
    Options {
        pool_segments: 0,
        io: IoMode::Buffered,
        ..tiny_options(dir)
    }
}

fn segment(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("wal/{number:010}.seg"))
}

/// An entry whose body carries its own checksum, as [`crate::support::Seen`] expects it.
fn self_checked(group: u64, index: u64, mut body: Vec<u8>) -> Record {
    body.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    Record {
        flags: flags::BODY_SELF_CHECKED,
        ..entry(group, index, 1, index - 1, body)
    }
}

/// One frame with the group, then one frame per body.
fn write_log(dir: &Path, bodies: &[Vec<u8>], checked_by_owner: bool) {
    let mut log = Log::open(&options(dir)).expect("an empty directory");
    log.append(vec![create(1)]);
    for (index, body) in (1..).zip(bodies) {
        let record = if checked_by_owner {
            self_checked(1, index, body.clone())
        } else {
            entry(1, index, 1, index - 1, body.clone())
        };
        log.append(vec![record]);
    }
    log.close();
}

fn entries_of(dir: &Path) -> Result<Vec<Vec<u8>>, OpenError> {
    recover(&options(dir))
        .map(|(_, seen)| seen.entries.into_iter().map(|(_, _, body)| body).collect())
}

#[test]
fn a_flipped_bit_is_cut_or_refused_at_every_position() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write_log(
        dir.path(),
        &[vec![1; 90], vec![2; 5000], vec![3; 90]],
        false,
    );
    let path = segment(dir.path(), 1);
    let whole = fs::read(&path).expect("the segment");
    let expected = entries_of(dir.path()).expect("an intact log");
    // Header page, the group, and frames of one, two and one blocks.
    let last_frame = 5 * BLOCK;
    let dense = |position: &usize| position % BLOCK < 260 || position.is_multiple_of(61);
    for position in (0..6 * BLOCK).filter(dense) {
        let mut damaged = whole.clone();
        damaged[position] ^= 1 << (position % 8);
        fs::write(&path, &damaged).expect("the segment can be written");
        match entries_of(dir.path()) {
            Ok(entries) => {
                assert_eq!(entries, expected[..entries.len()], "byte {position}");
                assert!(
                    entries.len() == expected.len() || position >= last_frame,
                    "byte {position} cut too much"
                );
            }
            Err(OpenError::Corrupt {
                path: named,
                position: at,
                ..
            }) => {
                assert_eq!(named, path);
                assert!(
                    position < last_frame,
                    "byte {position} is in the last frame, refused at {at}"
                );
                assert!(
                    at as usize <= position && position < at as usize + 2 * BLOCK,
                    "byte {position}, named {at}"
                );
            }
            Err(other) => panic!("byte {position}: {other}"),
        }
    }
}

#[test]
fn damage_before_a_roll_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write_log(dir.path(), &vec![vec![7; 9000]; 12], false);
    fs::remove_file(segment(dir.path(), 1).with_extension("idx")).expect("it was sealed");
    let path = segment(dir.path(), 1);
    let mut bytes = fs::read(&path).expect("the segment");
    // The last frame of a segment that another one follows is not the torn end.
    bytes[12 * BLOCK + 500] ^= 1;
    fs::write(&path, bytes).expect("the segment can be written");
    assert!(
        matches!(entries_of(dir.path()), Err(OpenError::Corrupt { path: named, .. }) if named == path)
    );
}

#[test]
fn a_missing_segment_is_refused() {
    for gone in 1..=3 {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write_log(dir.path(), &vec![vec![7; 9000]; 14], false);
        assert!(segment(dir.path(), 4).exists() || segment(dir.path(), 3).exists());
        fs::remove_file(segment(dir.path(), gone)).expect("it is there");
        let cut = entries_of(dir.path());
        // Without a checkpoint nothing proves that a last segment was there, but then it is
        // as if the disk had lost it with its name, which the file system was told to keep.
        if gone < 3 {
            assert!(
                matches!(cut, Err(OpenError::Corrupt { .. })),
                "segment {gone}: {cut:?}"
            );
        }
    }
}

#[test]
fn a_log_shorter_than_its_checkpoint_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut log = Log::open(&options(dir.path())).expect("an empty directory");
    log.append(vec![create(1)]);
    log.append(vec![entry(1, 1, 1, 0, "a")]);
    log.checkpoint(vec![]);
    log.close();
    let path = segment(dir.path(), 1);
    let mut bytes = fs::read(&path).expect("the segment");
    bytes[2 * BLOCK..3 * BLOCK].fill(0);
    fs::write(&path, bytes).expect("the segment can be written");
    assert!(matches!(
        entries_of(dir.path()),
        Err(OpenError::Corrupt { .. })
    ));
}

#[test]
fn a_lost_sealed_segment_is_noticed_by_its_group() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut log = Log::open(&options(dir.path())).expect("an empty directory");
    log.append(vec![create(1)]);
    for index in 1..=30 {
        log.append(vec![entry(1, index, 1, index - 1, vec![1; 6000])]);
    }
    log.wait(|log| log.writer.stats().segments_unsealed == 1);
    log.checkpoint(vec![]);
    log.close();
    fs::remove_file(segment(dir.path(), 2)).expect("it is there");
    let refused = entries_of(dir.path()).expect_err("entries are missing");
    assert!(
        matches!(refused, OpenError::MissingEntries { group: 1, .. }),
        "{refused}"
    );
}

#[test]
fn newer_formats_and_foreign_files_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write_log(dir.path(), &[vec![1; 10]], false);
    let path = segment(dir.path(), 1);
    let whole = fs::read(&path).expect("the segment");
    let mut newer = whole.clone();
    newer[8] = 2;
    let checksum = crc32c::crc32c(&newer[..64]);
    newer[64..68].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, newer).expect("the segment can be written");
    assert!(matches!(
        entries_of(dir.path()),
        Err(OpenError::NewerFormat {
            found: 2,
            known: 1,
            ..
        })
    ));
    fs::write(&path, whole).expect("the segment can be written");
    let other = Options {
        node_uuid: *b"some other node!",
        ..options(dir.path())
    };
    assert!(matches!(
        recover(&other),
        Err(OpenError::ForeignNode { .. })
    ));
    let larger = Options {
        segment_bytes: 128 << 10,
        ..options(dir.path())
    };
    assert!(matches!(
        recover(&larger),
        Err(OpenError::SegmentBytes { found: 65_536, .. })
    ));
    assert_ne!(NODE, *b"some other node!");
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut log = Log::open(&options(dir.path())).expect("an empty directory");
    log.append(vec![create(1)]);
    log.checkpoint(vec![(1, Bytes::from("state"))]);
    log.close();
    let path = dir.path().join("wal/checkpoint");
    let whole = fs::read(&path).expect("the checkpoint");
    for position in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x10;
        fs::write(&path, &damaged).expect("the checkpoint can be written");
        let refused = entries_of(dir.path()).expect_err("a checkpoint has no spare bits");
        assert!(
            matches!(
                refused,
                OpenError::Corrupt { .. } | OpenError::NewerFormat { .. }
            ),
            "byte {position}"
        );
    }
}

#[test]
fn a_cut_log_goes_on_where_it_was_cut() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write_log(dir.path(), &[vec![1; 100], vec![2; 9000]], false);
    let path = segment(dir.path(), 1);
    let mut bytes = fs::read(&path).expect("the segment");
    bytes[4 * BLOCK..5 * BLOCK].fill(0);
    fs::write(&path, bytes).expect("the segment can be written");
    let mut log = Log::open(&options(dir.path())).expect("only the end is torn");
    assert_eq!(log.seen.entries.len(), 1);
    log.append(vec![entry(1, 2, 1, 1, "again")]);
    log.append(vec![trim(
        1,
        chronik_wal::Trim {
            index: 1,
            term: 1,
            offset: 1,
        },
    )]);
    log.append(vec![Record::new(Kind::HardState, 1, Bytes::from("vote"))]);
    log.close();
    let log = Log::open(&options(dir.path())).expect("the cut was clean");
    assert_eq!(log.read_all(1)[0].bytes, "again");
    assert_eq!(log.groups[&1].hard_state.as_deref(), Some(&b"vote"[..]));
    log.close();
}

/// A segment in which the last frame was never synced: each of its sectors is either there
/// or still what it was before.
fn lose_sectors(
    before: &[u8],
    after: &[u8],
    frame: std::ops::Range<usize>,
    kept: &[bool],
) -> Vec<u8> {
    let mut disk = before.to_vec();
    for (sector, start) in frame.step_by(512).enumerate() {
        // Records of the last frame have two sectors each: they stay or go together, or the
        // checksum of their bytes would give them away without the salt.
        if kept[sector / 2 % kept.len()] {
            disk[start..start + 512].copy_from_slice(&after[start..start + 512]);
        }
    }
    disk
}

/// The last frame of [`recycled_log`]: seven records that start and end where sectors do.
const LAST_FRAME: std::ops::Range<usize> = 6 * BLOCK..8 * BLOCK;

/// Two uses of the same file with records of the same lengths, so that lost sectors show
/// perfectly shaped records of the earlier use, with the same indexes and lsn.
fn recycled_log(dir: &Path, checked_by_owner: bool) -> (Vec<u8>, Vec<u8>) {
    let write = |dir: &Path, filler: u8| {
        write_log(
            dir,
            &[vec![filler; 60], vec![filler; 3 * BLOCK - 200]],
            checked_by_owner,
        );
        let of = |index: u64, bytes: usize| match checked_by_owner {
            true => self_checked(1, index, vec![filler; bytes - 4]),
            false => entry(1, index, 1, index - 1, vec![filler; bytes]),
        };
        let first = of(3, 1024 - 96);
        let others = (4..=9).map(|index| of(index, 1024 - 64));
        let mut log = Log::open(&options(dir)).expect("what was written");
        log.append(std::iter::once(first).chain(others).collect());
        log.close();
        fs::read(segment(dir, 1)).expect("the segment")
    };
    let stale = write(&dir.join("earlier"), 9);
    let after = write(dir, 1);
    let mut before = after.clone();
    before[LAST_FRAME.start..].copy_from_slice(&stale[LAST_FRAME.start..]);
    (before, after)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lost_sectors_of_the_last_frame_lose_that_frame_only(
        kept in proptest::collection::vec(prop::bool::weighted(0.8), 8),
        checked_by_owner in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (before, after) = recycled_log(dir.path(), checked_by_owner);
        let path = segment(dir.path(), 1);
        let expected = entries_of(dir.path()).expect("an intact log");
        let disk = lose_sectors(&before, &after, LAST_FRAME, &kept);
        fs::write(&path, &disk).expect("the segment can be written");
        let entries = entries_of(dir.path()).expect("a torn end is not corruption");
        let same = disk[..LAST_FRAME.end] == after[..LAST_FRAME.end];
        prop_assert_eq!(&entries[..2], &expected[..2]);
        if same {
            prop_assert_eq!(entries.len(), 9);
        } else if entries.len() > 2 {
            // Only padding was lost.
            prop_assert_eq!(&entries, &expected);
        }
    }

    #[test]
    fn torn_sectors_inside_records_lose_the_frame(
        kept in proptest::collection::vec(any::<bool>(), 16),
        checked_by_owner in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (before, after) = recycled_log(dir.path(), checked_by_owner);
        let mut disk = after.clone();
        for (sector, start) in LAST_FRAME.step_by(512).enumerate() {
            if !kept[sector] {
                disk[start..start + 512].copy_from_slice(&before[start..start + 512]);
            }
        }
        fs::write(segment(dir.path(), 1), &disk).expect("the segment can be written");
        let entries = entries_of(dir.path()).expect("a torn end is not corruption");
        let intact = disk[..LAST_FRAME.end - 1024] == after[..LAST_FRAME.end - 1024];
        prop_assert_eq!(entries.len(), if intact { 9 } else { 2 });
    }

    #[test]
    fn arbitrary_segments_do_no_harm(tail in proptest::collection::vec(any::<u8>(), 0..20_000), flips in any::<u16>()) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write_log(dir.path(), &[vec![1; 100]], false);
        let mut bytes = fs::read(segment(dir.path(), 1)).expect("the segment");
        prop_assert_eq!(chronik_wal::fuzz_segment(&bytes), 1);
        let start = BLOCK + usize::from(flips) % (2 * BLOCK);
        let end = (start + tail.len()).min(bytes.len());
        bytes[start..end].copy_from_slice(&tail[..end - start]);
        prop_assert!(chronik_wal::fuzz_segment(&bytes) <= 1);
        prop_assert_eq!(chronik_wal::fuzz_segment(&tail), 0);
    }
}
