//! No request makes the node hold more memory than its own bytes can justify, whatever they say.
//!
//! One test in a process of its own: the allocator counts for the whole process.
#![expect(
    unsafe_code,
    reason = "a global allocator cannot be written without it"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use chronik_server::kafka::{dispatch, frame};
use chronik_server::records;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// A frame may cost this often its length, and this much more.
const FACTOR: usize = 8;
const SLACK_BYTES: usize = 16 << 20;

/// Counts what is held now and the most that was ever held.
struct Counting {
    held_bytes: AtomicUsize,
    peak_bytes: AtomicUsize,
}

#[global_allocator]
static ALLOCATOR: Counting = Counting {
    held_bytes: AtomicUsize::new(0),
    peak_bytes: AtomicUsize::new(0),
};

impl Counting {
    fn grow(&self, bytes: usize) {
        let held = self.held_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak_bytes.fetch_max(held, Ordering::Relaxed);
    }

    fn shrink(&self, bytes: usize) {
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The most that `work` held at any time, besides what was there before.
    fn peak_of<T>(&self, work: impl FnOnce() -> T) -> usize {
        let before = self.held_bytes.load(Ordering::Relaxed);
        self.peak_bytes.store(before, Ordering::Relaxed);
        drop(work());
        self.peak_bytes.load(Ordering::Relaxed) - before
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.shrink(layout.size());
        // SAFETY: the pointer came from `alloc` above, hence from the system.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        self.grow(new_size);
        self.shrink(layout.size());
        // SAFETY: the pointer came from `alloc` above, hence from the system.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[test]
fn hostile_bytes_cost_what_they_are_worth() {
    the_largest_counts_in_every_place();
    elements_that_grow();
    random_requests();
    a_liars_length();
    bombs();
}

fn the_largest_counts_in_every_place() {
    let counts: [&[u8]; 4] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x00, 0x10, 0x00, 0x00],
        &[0x80, 0x80, 0x40],
    ];
    for (key, version) in dispatch::served() {
        for count in counts {
            for position in 0..40 {
                let mut body = vec![0; position];
                body.extend(count);
                body.extend([0; 64]);
                check(request(key, version, &body));
            }
        }
    }
}

/// Megabytes of the smallest elements there are.
fn elements_that_grow() {
    for (key, version) in dispatch::served() {
        for fill in [0u8, 1, 2] {
            for position in 0..12 {
                let mut body = vec![0; position];
                let count = 1_000_000u32;
                match version >= dispatch::flexible_from(key) {
                    true => body.extend([
                        count as u8 | 0x80,
                        (count >> 7) as u8 | 0x80,
                        (count >> 14) as u8,
                    ]),
                    false => body.extend(count.to_be_bytes()),
                }
                body.resize(3 << 20, fill);
                check(request(key, version, &body));
            }
        }
    }
}

fn random_requests() {
    let all: Vec<(i16, i16)> = dispatch::served().collect();
    let byte = prop_oneof![3 => Just(0u8), 3 => 1u8..5, 1 => any::<u8>()];
    let requests = (
        prop::sample::select(all),
        prop::collection::vec(byte, 0..300),
    );
    let mut runner = TestRunner::new(Config {
        cases: 5_000,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&requests, |((key, version), body)| {
        check(request(key, version, &body));
        Ok(())
    });
    assert_eq!(outcome, Ok(()));
}

/// Ten bytes that announce the largest frames.
fn a_liars_length() {
    for len in [100i32 << 20, 16 << 20, i32::MAX, -1] {
        for key in [0i16, 1, 3, 18] {
            let mut bytes = len.to_be_bytes().to_vec();
            bytes.extend(key.to_be_bytes());
            bytes.extend([0; 4]);
            let peak = ALLOCATOR.peak_of(|| frame::fuzz_stream(&bytes));
            assert!(peak < 1 << 20, "ten bytes held {peak}");
        }
    }
}

/// Batches that unfold to far more than they are.
fn bombs() {
    let zeros = vec![0; 64 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).expect("memory takes all");
    let gzip = gzip.finish().expect("memory takes all");
    let snappy = snap::raw::Encoder::new()
        .compress_vec(&zeros)
        .expect("zeros fold");
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68, 0, 0, 0, 0];
    for (codec, folded) in [(1u8, &gzip[..]), (2, &snappy), (4, &zstd)] {
        let mut batch = vec![0; 61];
        batch[8..12].copy_from_slice(&(49 + folded.len() as i32).to_be_bytes());
        batch[16] = 2;
        batch[22] = codec;
        batch[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
        batch.extend(folded);
        let peak = ALLOCATOR.peak_of(|| records::first_at_or_after(&batch, i64::MAX));
        let allowed = FACTOR * batch.len() + SLACK_BYTES;
        assert!(peak <= allowed, "codec {codec}: {peak} of {allowed} bytes");
    }
}

fn request(key: i16, version: i16, body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::with_capacity(16 + body.len());
    frame.extend_from_slice(&key.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&7i32.to_be_bytes());
    frame.extend_from_slice(&(-1i16).to_be_bytes());
    if version >= dispatch::flexible_from(key) {
        frame.extend_from_slice(&[0]);
    }
    frame.extend_from_slice(body);
    frame
}

fn check(frame: BytesMut) {
    let len = frame.len();
    let opening: Vec<u8> = frame[..4].to_vec();
    let peak = ALLOCATOR.peak_of(|| dispatch::decode(frame));
    let allowed = FACTOR * len + SLACK_BYTES;
    assert!(
        peak <= allowed,
        "API and version {opening:?}: {peak} of {allowed} bytes"
    );
}
