//! Pieces are what the file holds, memory is bounded and comes back, and what may still change is not kept.

use std::io::Write;
use std::sync::mpsc::sync_channel;

use proptest::prelude::*;
use tempfile::{NamedTempFile, tempdir};

use super::*;

/// Blocks of a segment whose bytes tell where they are.
fn segment_of(blocks: usize) -> (Segment, NamedTempFile, Vec<u8>) {
    let mut bytes = vec![0; blocks * BLOCK_BYTES];
    for (place, word) in bytes.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(
            &(place as u64)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .to_le_bytes(),
        );
    }
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(&bytes).expect("written");
    let (helper, _) = sync_channel(1);
    let segment = Segment::new(7, 7, file.path().to_owned(), helper);
    (segment, file, bytes)
}

fn get(windows: &Windows, segment: &Segment, start: u64, end: u64) -> Option<Bytes> {
    windows.piece(segment, start, end).expect("it can be read")
}

#[test]
fn neighbours_share_one_read() {
    let (segment, file, bytes) = segment_of(600);
    segment.grew_to(u64::MAX);
    let windows = Windows::new(false, 4 * WINDOW_BYTES);
    assert_eq!(
        get(&windows, &segment, 5_000, 9_000).unwrap(),
        bytes[5_000..9_000]
    );
    assert_eq!(
        get(&windows, &segment, 2_090_000, 2_110_000).unwrap(),
        bytes[2_090_000..2_110_000],
        "a piece of two windows"
    );
    // What is in memory does not ask the file again.
    file.as_file().set_len(0).expect("truncated");
    assert_eq!(
        get(&windows, &segment, 900_000, 950_000).unwrap(),
        bytes[900_000..950_000]
    );
    assert_eq!(windows.pool.made.load(Ordering::Relaxed), 2);
}

#[test]
fn what_may_still_change_is_not_kept() {
    let (segment, _file, bytes) = segment_of(16);
    segment.grew_to(8192);
    let windows = Windows::new(false, 4 * WINDOW_BYTES);
    assert_eq!(
        get(&windows, &segment, 4096, 8000).unwrap(),
        bytes[4096..8000]
    );
    assert!(get(&windows, &segment, 4096, 9000).is_none());
    segment.grew_to(16384);
    assert_eq!(
        get(&windows, &segment, 4096, 9000).unwrap(),
        bytes[4096..9000]
    );
}

#[test]
fn memory_is_bounded_and_comes_back() {
    let (segment, _file, bytes) = segment_of(4096);
    segment.grew_to(u64::MAX);
    let windows = Windows::new(false, 2 * WINDOW_BYTES);
    let far = 2 * WINDOW;
    let first = get(&windows, &segment, 0, 100).unwrap();
    let second = get(&windows, &segment, far, far + 100).unwrap();
    assert!(
        get(&windows, &segment, 2 * far, 2 * far + 100).is_none(),
        "both are held by readers"
    );
    drop(second);
    let third = get(&windows, &segment, 2 * far, 2 * far + 100).unwrap();
    assert_eq!(first, bytes[..100], "what is held does not change");
    assert_eq!(third, bytes[2 * far as usize..][..100]);
    assert_eq!(windows.pool.made.load(Ordering::Relaxed), 2);
}

#[test]
fn without_neighbours_pieces_are_read_alone() {
    let (segment, _file, _bytes) = segment_of(4096);
    segment.grew_to(u64::MAX);
    let windows = Windows::new(false, WINDOW_BYTES);
    let places = (0..400).map(|turn| (turn % 7) * WINDOW);
    let served = places.filter(|start| get(&windows, &segment, *start, start + 100).is_some());
    let served = served.count();
    // The one window that is left serves a seventh of them.
    assert!(served < 400 / 4, "{served} windows were loaded for nothing");
    // Neighbours that come back are noticed.
    let piece = 64 << 10;
    let regained = (0..PIECES_PER_PROBE as u64 * 32).filter(|turn| {
        let start = turn * piece % (7 * WINDOW);
        get(&windows, &segment, start, start + piece).is_some()
    });
    assert!(regained.count() > PIECES_PER_PROBE * 16);
}

#[test]
fn a_file_that_ends_early_is_left_to_the_reader() {
    let (segment, _file, _bytes) = segment_of(2);
    segment.grew_to(u64::MAX);
    let windows = Windows::new(false, 4 * WINDOW_BYTES);
    assert!(get(&windows, &segment, 8000, 9000).is_none());
}

#[test]
fn direct_reads_give_the_same_bytes() {
    let directory = tempdir().expect("a temporary directory");
    let (segment, _file, bytes) = segment_of(600);
    segment.grew_to(u64::MAX);
    let direct = crate::io::probe_direct(directory.path());
    let windows = Windows::new(direct, 4 * WINDOW_BYTES);
    assert_eq!(
        get(&windows, &segment, 70_001, 700_001).unwrap(),
        bytes[70_001..700_001]
    );
}

proptest! {
    #[test]
    fn every_piece_is_what_the_file_holds(
        pieces in prop::collection::vec((0_u64..3 << 20, 1_u64..1 << 20), 1..40),
        budget_windows in 0_usize..4,
    ) {
        let (segment, _file, bytes) = segment_of(1024);
        segment.grew_to(bytes.len() as u64);
        let windows = Windows::new(false, budget_windows * WINDOW_BYTES);
        let mut held = Vec::new();
        for (start, len) in pieces {
            if let Some(piece) = get(&windows, &segment, start, start + len) {
                prop_assert_eq!(&piece[..], &bytes[start as usize..(start + len) as usize]);
                held.push((start as usize, piece));
            }
            if held.len() > 2 {
                held.remove(0);
            }
        }
        for (start, piece) in held {
            prop_assert_eq!(&piece[..], &bytes[start..start + piece.len()]);
        }
    }
}
