//! The plain ways of the data: append, read, reopen, seal, checkpoint, recycle, move.

use bytes::Bytes;
use chronik_wal::{From, IoMode, Kind, Options, Record, RefusedReason, Retention, Task, Trim};

use crate::support::{Log, create, entry, tiny_options, trim};

fn bodies(entries: &[chronik_wal::StoredEntry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.bytes).into_owned())
        .collect()
}

#[test]
fn entries_are_read_back_and_survive_a_restart() {
    for io in [IoMode::Auto, IoMode::Buffered] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options = Options {
            io,
            ..tiny_options(dir.path())
        };
        let mut log = Log::open(&options).expect("an empty directory");
        let first = entry(7, 1, 1, 0, "one");
        log.append(vec![
            create(7),
            first,
            Record {
                head: Bytes::from("tw"),
                ..entry(7, 2, 1, 1, "o")
            },
        ]);
        log.append(vec![entry(7, 3, 1, 2, "three")]);
        assert_eq!(bodies(&log.read_all(7)), ["one", "two", "three"]);
        assert_eq!(bodies(&log.read(7, From::Offset(1), 1)), ["two"]);
        log.close();

        let log = Log::open(&options).expect("what was written");
        assert_eq!(bodies(&log.read_all(7)), ["one", "two", "three"]);
        assert_eq!(log.seen.entries.len(), 3);
        let group = &log.groups[&7];
        assert_eq!(
            (group.last_index, group.last_term, group.next_offset),
            (3, 1, 3)
        );
        assert_eq!(group.create, "group 7");
        log.close();
    }
}

#[test]
fn what_is_written_behind_a_window_is_read_too() {
    for io in [IoMode::Auto, IoMode::Buffered] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options = Options {
            io,
            ..tiny_options(dir.path())
        };
        let mut log = Log::open(&options).expect("an empty directory");
        log.append(vec![create(7), entry(7, 1, 1, 0, "before")]);
        log.close();
        // The segment goes on after a restart, so what lies behind its end is not final.
        let mut log = Log::open(&options).expect("what was written");
        for index in 2..6 {
            let count = log.read_all(7).len() as u64;
            assert_eq!(count, index - 1);
            log.append(vec![entry(7, index, 1, index - 1, "after")]);
        }
        let read = log.read_all(7);
        assert_eq!(
            bodies(&read),
            ["before", "after", "after", "after", "after"]
        );
        log.close();
    }
}

#[test]
fn a_later_record_supersedes_the_same_index_and_all_above() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = tiny_options(dir.path());
    let mut log = Log::open(&options).expect("an empty directory");
    log.append(vec![
        create(1),
        entry(1, 1, 1, 0, "a"),
        entry(1, 2, 1, 1, "b"),
        entry(1, 3, 1, 2, "c"),
    ]);
    log.append(vec![entry(1, 2, 2, 1, "B")]);
    assert_eq!(bodies(&log.read_all(1)), ["a", "B"]);
    log.close();
    let log = Log::open(&options).expect("what was written");
    assert_eq!(bodies(&log.read_all(1)), ["a", "B"]);
    assert_eq!(log.groups[&1].last_term, 2);
    log.close();
}

#[test]
fn blobs_of_a_group_are_the_newest_ones() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = tiny_options(dir.path());
    let mut log = Log::open(&options).expect("an empty directory");
    let hard = |text: &'static str| Record::new(Kind::HardState, 1, Bytes::from(text));
    log.append(vec![create(1), hard("vote 1"), hard("vote 2")]);
    log.append(vec![Record {
        index: 9,
        ..Record::new(Kind::ConfState, 1, Bytes::from("members"))
    }]);
    log.checkpoint(vec![(1, Bytes::from("state"))]);
    log.append(vec![hard("vote 3")]);
    log.close();
    let log = Log::open(&options).expect("what was written");
    let group = &log.groups[&1];
    assert_eq!(group.hard_state.as_deref(), Some(&b"vote 3"[..]));
    assert_eq!(group.conf_state, Some((9, Bytes::from("members"))));
    assert_eq!(group.state.as_deref(), Some(&b"state"[..]));
    assert_eq!(
        log.seen.checkpointed[0].hard_state.as_deref(),
        Some(&b"vote 2"[..])
    );
    log.close();
}

#[test]
fn sealed_segments_are_read_through_their_index_files() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = tiny_options(dir.path());
    let mut log = Log::open(&options).expect("an empty directory");
    log.append(vec![create(1), create(2)]);
    for index in 1..=100 {
        let ts = i64::try_from(index).expect("small");
        let with_ts = |group| Record {
            max_ts: ts * 10,
            ..entry(group, index, 1, index - 1, vec![group as u8; 700])
        };
        log.append(vec![with_ts(1), with_ts(2)]);
    }
    log.wait(|log| log.writer.stats().segments_sealed >= 5);
    log.checkpoint(vec![]);
    assert_eq!(log.read_all(2).len(), 100);
    assert_eq!(log.read(2, From::Offset(3), 1500)[0].row.base_offset, 3);
    assert_eq!(log.read(2, From::Offset(3), 1500).len(), 2);
    assert_eq!(log.read(1, From::Index(17), 1)[0].row.index, 17);
    assert_eq!(log.index.bytes(1), 70_000);
    let found = log
        .index
        .first_at_or_after_timestamp(1, 95)
        .expect("there are newer ones");
    assert_eq!(log.reader.read(&found).expect("readable")[0].row.index, 10);
    let newest = log.index.max_timestamp(1).expect("there are entries");
    assert_eq!(
        log.reader.read(&newest).expect("readable")[0].row.index,
        100
    );
    log.close();
    let log = Log::open(&options).expect("what was written");
    assert_eq!(log.read_all(1).len(), 100);
    assert_eq!(log.read_all(2).len(), 100);
    // Only what is newer than the checkpoint is shown again.
    assert_eq!(log.seen.entries.len(), 0);
    log.close();
}

#[test]
fn trimmed_segments_are_recycled() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = tiny_options(dir.path());
    let mut log = Log::open(&options).expect("an empty directory");
    log.append(vec![create(1)]);
    for index in 1..=60 {
        log.append(vec![entry(1, index, 1, index - 1, vec![1; 4000])]);
    }
    let retention = Retention {
        bytes: Some(20_000),
        limit_index: 60,
        ..Retention::default()
    };
    let point = log
        .index
        .offset_to_keep(1, retention)
        .expect("too much is kept");
    assert!(point.index >= 40 && point.index <= 55, "{point:?}");
    log.wait(|log| log.writer.stats().segments_unsealed == 1);
    log.append(vec![trim(1, point)]);
    log.checkpoint(vec![]);
    log.wait(|log| log.recycled >= 3);
    assert_eq!(log.read_all(1).len() as u64, 60 - point.index);
    for index in 61..=120 {
        log.append(vec![entry(1, index, 1, index - 1, vec![2; 4000])]);
    }
    assert_eq!(log.read_all(1).len() as u64, 120 - point.index);
    log.close();
    let log = Log::open(&options).expect("what was written");
    assert_eq!(log.groups[&1].trim, point);
    let entries = log.read_all(1);
    assert_eq!(entries.len() as u64, 120 - point.index);
    assert_eq!(entries[0].row.index, point.index + 1);
    log.close();
}

#[test]
fn a_segment_stays_while_a_plan_holds_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = tiny_options(dir.path());
    let mut log = Log::open(&options).expect("an empty directory");
    log.append(vec![create(1)]);
    for index in 1..=20 {
        log.append(vec![entry(1, index, 1, index - 1, vec![index as u8; 8000])]);
    }
    let plan = log.index.plan(1, From::Index(1), 1);
    log.append(vec![trim(
        1,
        Trim {
            index: 19,
            term: 1,
            offset: 19,
        },
    )]);
    log.wait(|log| log.writer.stats().segments_unsealed == 1);
    log.checkpoint(vec![]);
    log.wait(|log| log.recycled >= 2);
    for index in 21..=80 {
        log.append(vec![entry(1, index, 1, index - 1, vec![0; 8000])]);
    }
    assert_eq!(
        log.reader.read(&plan).expect("the plan holds it")[0].bytes,
        vec![1; 8000]
    );
    log.close();
}

#[test]
fn live_rows_of_sparse_segments_are_moved() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = tiny_options(dir.path());
    let mut log = Log::open(&options).expect("an empty directory");
    log.append(vec![create(1), create(2)]);
    for index in 1..=40 {
        let busy = entry(1, index, 1, index - 1, vec![1; 6000]);
        log.append(vec![
            busy,
            entry(2, index, 1, index - 1, format!("idle {index}")),
        ]);
    }
    log.append(vec![trim(
        1,
        Trim {
            index: 40,
            term: 1,
            offset: 40,
        },
    )]);
    log.wait(|log| log.writer.stats().segments_unsealed == 1);
    log.checkpoint(vec![]);
    log.wait(|log| log.moved == 1);
    assert_eq!(log.read_all(2).len(), 40);
    log.checkpoint(vec![]);
    log.wait(|log| log.recycled >= 3);
    let expected: Vec<_> = (1..=40).map(|index| format!("idle {index}")).collect();
    assert_eq!(bodies(&log.read_all(2)), expected);
    log.close();
    let mut log = Log::open(&options).expect("what was written");
    assert_eq!(bodies(&log.read_all(2)), expected);
    log.append(vec![entry(2, 30, 2, 29, "new")]);
    log.close();
    let log = Log::open(&options).expect("what was written");
    let mut expected = expected[..29].to_vec();
    expected.push("new".to_owned());
    assert_eq!(bodies(&log.read_all(2)), expected);
    log.close();
}

#[test]
fn long_tasks_are_split_and_long_records_are_not() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = tiny_options(dir.path());
    let mut log = Log::open(&options).expect("an empty directory");
    let mut records = vec![create(1)];
    records.extend((1..=10).map(|index| entry(1, index, 1, index - 1, vec![1; 5000])));
    records.push(entry(1, 11, 1, 10, vec![2; 40_000]));
    log.append(records);
    assert_eq!(log.read_all(1).len(), 11);
    let refused = log.writer.submit(vec![Task {
        records: vec![entry(1, 12, 1, 11, vec![0; 70_000])],
        token: 0,
    }]);
    assert_eq!(
        refused.expect_err("it fits into no segment").reason,
        RefusedReason::TooLarge
    );
    log.close();
    let log = Log::open(&options).expect("what was written");
    assert_eq!(log.read_all(1).len(), 11);
    log.close();
}

#[test]
fn records_that_do_not_fit_their_group_stop_the_log() {
    let wrong = [
        vec![entry(9, 1, 1, 0, "no such group")],
        vec![create(1), entry(1, 2, 1, 0, "a gap")],
        vec![
            create(1),
            trim(
                1,
                Trim {
                    index: 5,
                    term: 1,
                    offset: 5,
                },
            ),
        ],
    ];
    for records in wrong {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut log = Log::open(&tiny_options(dir.path())).expect("an empty directory");
        log.append(records);
        assert!(log.failed.is_some());
        let refused = log.writer.submit(vec![Task {
            records: vec![create(3)],
            token: 0,
        }]);
        // The thread may still be on its way out, but it takes nothing any more.
        if let Err(refused) = refused {
            assert_eq!(refused.reason, RefusedReason::Stopped);
        }
        log.close();
    }
}

#[test]
fn an_installed_snapshot_kills_what_was_before() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = tiny_options(dir.path());
    let mut log = Log::open(&options).expect("an empty directory");
    let old = (1..=9).map(|index| entry(1, index, 1, index - 1, vec![1; 6000]));
    log.append(std::iter::once(create(1)).chain(old).collect());
    let install = Record {
        index: 5,
        term: 3,
        base_offset: 5,
        ..Record::new(Kind::SnapshotInstall, 1, Bytes::from("s"))
    };
    log.append(vec![install]);
    log.append(vec![entry(1, 6, 3, 5, "after")]);
    assert_eq!(bodies(&log.read_all(1)), ["after"]);
    for with_checkpoint in [false, true] {
        if with_checkpoint {
            log.checkpoint(vec![]);
        }
        log.close();
        log = Log::open(&options).expect("what was written");
        assert_eq!(bodies(&log.read_all(1)), ["after"]);
        assert_eq!(log.groups[&1].snapshot.as_deref(), Some(&b"s"[..]));
        assert_eq!(
            log.groups[&1].trim,
            Trim {
                index: 5,
                term: 3,
                offset: 5
            }
        );
    }
    log.close();
}

#[test]
fn moved_rows_can_be_moved_again_after_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = tiny_options(dir.path());
    let mut log = Log::open(&options).expect("an empty directory");
    log.append((1..=3).map(create).collect());
    for index in 1..=40 {
        let of = |group, body: Vec<u8>| entry(group, index, 1, index - 1, body);
        let idle = format!("idle {index}").into_bytes();
        log.append(vec![of(1, vec![1; 6000]), of(2, idle), of(3, vec![3; 400])]);
    }
    let whole = |group| {
        trim(
            group,
            Trim {
                index: 40,
                term: 1,
                offset: 40,
            },
        )
    };
    log.append(vec![whole(1)]);
    log.wait(|log| log.writer.stats().segments_unsealed == 1);
    log.checkpoint(vec![]);
    log.wait(|log| log.moved == 1);
    log.close();

    // Now places of several sources are next to each other in one sorted segment.
    let mut log = Log::open(&options).expect("what was written");
    log.append(vec![whole(3)]);
    log.checkpoint(vec![]);
    log.wait(|log| log.moved == 1);
    log.checkpoint(vec![]);
    log.wait(|log| log.recycled >= 3);
    log.expect_alive();
    let expected: Vec<_> = (1..=40).map(|index| format!("idle {index}")).collect();
    assert_eq!(bodies(&log.read_all(2)), expected);
    log.close();
    let log = Log::open(&options).expect("what was written");
    assert_eq!(bodies(&log.read_all(2)), expected);
    log.close();
}

#[test]
fn many_submits_share_a_sync() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = tiny_options(dir.path());
    let mut log = Log::open(&options).expect("an empty directory");
    log.append(vec![create(1)]);
    let tokens: Vec<_> = (1..=500)
        .map(|index| log.submit(vec![entry(1, index, 1, index - 1, "x")]))
        .collect();
    let last = *tokens.last().expect("there are 500");
    log.wait(|log| log.is_done(last));
    let stats = log.writer.stats();
    assert_eq!(stats.records, 501);
    assert!(stats.frames < 501, "{} frames", stats.frames);
    assert_eq!(log.read_all(1).len(), 500);
    log.close();
}

#[test]
fn an_installed_snapshot_kills_sealed_entries_above_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = tiny_options(dir.path());
    let mut log = Log::open(&options).expect("an empty directory");
    log.append(vec![create(1), create(2)]);
    for index in 1..=20 {
        log.append(vec![entry(1, index, 1, index - 1, vec![1; 9000])]);
    }
    // A reader keeps the dead segments from going away with the checkpoint.
    let reader = log.index.plan(1, From::Index(1), usize::MAX);
    let install = Record {
        index: 5,
        term: 3,
        base_offset: 5,
        ..Record::new(Kind::SnapshotInstall, 1, Bytes::from("s"))
    };
    log.append(vec![install]);
    for index in 1..=10 {
        log.append(vec![entry(2, index, 1, index - 1, vec![2; 9000])]);
    }
    log.wait(|log| log.writer.stats().segments_unsealed == 1);
    log.checkpoint(vec![]);
    log.close();
    drop(reader);
    let log = Log::open(&options).expect("what was written");
    assert_eq!(log.groups[&1].last_index, 5);
    assert_eq!(bodies(&log.read_all(1)).len(), 0);
    assert_eq!(log.read_all(2).len(), 10);
    log.close();
}
