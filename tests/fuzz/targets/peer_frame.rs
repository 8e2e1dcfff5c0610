//! A frame of another node: what is read can be written, and is read again as the same.

#![no_main]

use bytes::{Bytes, BytesMut};
use chronik_server::peer::frame::Frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(frame) = Frame::decode(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    let mut written = BytesMut::new();
    frame.encode(&mut written);
    assert_eq!(written.len(), frame.encoded_len());
    assert_eq!(Frame::decode(written.freeze()), Ok(frame));
});
