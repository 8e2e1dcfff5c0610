//! A snapshot that somebody restores: the file as it is, and the same bytes as a section whose checksums are right.

#![no_main]

use chronik_core::ids::NodeId;
use chronik_server::snapshots::format::{Cause, Header, fuzz_file};
use chronik_server::snapshots::is_sound;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = is_sound(bytes);
    let Some((head, section)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let header = Header {
        cluster_id: "fuzz".to_owned(),
        node: NodeId(1),
        incarnation: 1,
        version: String::new(),
        created_ms: 0,
        cause: Cause::Operator,
        group: None,
    };
    let [codec, len @ ..] = *head;
    // Its length may be right, or as the input says.
    let said = u32::from_le_bytes([len[0], len[1], len[2], 0]);
    let plain_len = if said == 0 {
        section.len() as u32
    } else {
        said
    };
    let _ = is_sound(&fuzz_file(&header, codec, plain_len, section));
});
