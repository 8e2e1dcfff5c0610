//! Keys and values of `__consumer_offsets`: the first byte of the input says how long the key is.

#![no_main]

use chronik_core::consumer_group::records::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((key_len, rest)) = bytes.split_first() else {
        return;
    };
    let (key, value) = rest.split_at(rest.len().min(usize::from(*key_len)));
    let _ = Record::decode(key, None);
    let _ = Record::decode(key, Some(value));
});
