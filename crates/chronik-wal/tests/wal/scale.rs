//! Many groups with little in each: a node must come back with all of them, in little memory.

use bytes::Bytes;
use chronik_wal::{Kind, Options, Record};

use crate::support::{Log, create, entry, recover, tiny_options};

const GROUPS: u64 = 10_000;

#[test]
fn ten_thousand_groups_come_back() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options {
        segment_bytes: 8 << 20,
        frame_max: 4 << 20,
        pool_segments: 0,
        ..tiny_options(dir.path())
    };
    let mut log = Log::open(&options).expect("an empty directory");
    log.append((1..=GROUPS).map(create).collect());
    for index in 1..=3 {
        let votes = |group| Record::new(Kind::HardState, group, Bytes::from_static(b"a vote"));
        let both = |group| {
            [
                votes(group),
                entry(group, index, 1, index - 1, vec![7; 200]),
            ]
        };
        log.append((1..=GROUPS).flat_map(both).collect());
    }
    let states = (1..=GROUPS).map(|group| (group, Bytes::from(vec![1; 40])));
    log.checkpoint(states.collect());
    log.append(
        (1..=GROUPS)
            .map(|group| entry(group, 4, 1, 3, "newer"))
            .collect(),
    );
    log.close();

    let before = resident_bytes();
    let (recovered, seen) = recover(&options).expect("nothing is damaged");
    let taken = resident_bytes().saturating_sub(before);
    assert_eq!(recovered.groups.len() as u64, GROUPS);
    assert_eq!(seen.entries.len() as u64, GROUPS);
    assert_eq!(seen.checkpointed.len() as u64, GROUPS);
    // The visitor of this test keeps everything it sees, which is most of it.
    assert!(taken < 64 << 20, "{taken} bytes for {GROUPS} groups");
    drop(recovered);
    let log = Log::open(&options).expect("nothing is damaged");
    for group in [1, GROUPS / 2, GROUPS] {
        assert_eq!(log.read_all(group).len(), 4);
    }
    log.close();
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux says it");
    let pages = statm.split(' ').nth(1).expect("it has seven numbers");
    pages.parse::<u64>().expect("a number") * 4096
}
