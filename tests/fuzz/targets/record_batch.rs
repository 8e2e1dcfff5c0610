//! The view of stored and produced record batches.

#![no_main]

use chronik_core::partition::batch::{self, BatchHeader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = BatchHeader::check(bytes);
    for (header, batch) in batch::each(bytes).flatten() {
        assert_eq!(header.len(), batch.len());
        let _ = (header.compression(), header.offset_span());
    }
});
