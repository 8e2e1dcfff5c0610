//! Bytes as a client may send them: as one request, and as a stream of requests with length prefixes.

#![no_main]

use bytes::BytesMut;
use chronik_server::kafka::{dispatch, frame};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = dispatch::decode(BytesMut::from(bytes));
    let _ = frame::fuzz_stream(bytes);
});
