//! A segment file of the write-ahead log, as recovery finds it after a crash or a disk error.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = chronik_wal::fuzz_segment(bytes);
});
