//! The records inside a batch, in all codecs: the first byte of the input picks one.

#![no_main]

use chronik_server::records;
use libfuzzer_sys::fuzz_target;

const HEADER_LEN: usize = 61;

fuzz_target!(|bytes: &[u8]| {
    let Some((codec, folded)) = bytes.split_first() else {
        return;
    };
    let mut batch = vec![0; HEADER_LEN];
    let len = (HEADER_LEN - 12 + folded.len()) as i32;
    batch[8..12].copy_from_slice(&len.to_be_bytes());
    batch[16] = 2;
    batch[22] = codec % 5;
    batch[57..61].copy_from_slice(&1_000_000i32.to_be_bytes());
    batch.extend_from_slice(folded);
    let _ = records::first_at_or_after(&batch, i64::MAX);
});
