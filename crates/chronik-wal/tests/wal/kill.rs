//! A process that is killed in the middle of everything must find all it acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use chronik_wal::{Index, Retention, Trim};

use crate::support::{Log, create, entry, tiny_options, trim};

const DIRECTORY: &str = "CHRONIK_WAL_TEST_DIRECTORY";
const GROUPS: u64 = 3;
const ROUNDS: usize = 12;

/// The child: appends for ever and says what is durable. Without a directory it is nobody's
/// child and has nothing to do.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test process has no configuration"
)]
fn child_appends_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIRECTORY) else {
        return;
    };
    let mut log = Log::open(&tiny_options(Path::new(&dir))).expect("what the last child left");
    for group in 1..=GROUPS {
        if !log.groups.contains_key(&group) {
            log.append(vec![create(group)]);
        }
    }
    let mut out = std::io::stdout().lock();
    for round in 0_u64.. {
        let records = (1..=GROUPS).map(|group| {
            let next = next_index(&log.index, group);
            entry(group, next, 1, next - 1, body_of(group, next))
        });
        log.append(records.collect());
        log.expect_alive();
        let next = next_index(&log.index, 1) - 1;
        writeln!(out, "durable {next}").expect("the parent listens");
        // The first group keeps little, so that segments become sparse and are moved.
        if round % 7 == 6 {
            let keep = Retention {
                bytes: Some(20_000),
                limit_index: next,
                ..Retention::default()
            };
            if let Some(point) = log.index.offset_to_keep(1, keep) {
                log.append(vec![trim(1, point)]);
            }
            let slow = Retention {
                bytes: Some(100_000),
                limit_index: next,
                ..Retention::default()
            };
            if let Some(point) = log.index.offset_to_keep(2, slow) {
                log.append(vec![trim(2, point)]);
            }
            // A full queue is no reason to stop: the next round asks again.
            let _ = log
                .writer
                .checkpoint(vec![(1, Bytes::from(format!("state {next}")))]);
        }
    }
}

fn next_index(index: &Index, group: u64) -> u64 {
    index
        .extent(group)
        .map_or(1, |extent| extent.last_index + 1)
}

fn body_of(group: u64, index: u64) -> Vec<u8> {
    let len = [4000, 1500, 40][group as usize - 1];
    let mut body = format!("{group}/{index}").into_bytes();
    body.resize(len, group as u8);
    body
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        acknowledged = acknowledged.max(run_child_and_kill(dir.path(), 5 + round * round * 4));
        verify(dir.path(), acknowledged);
    }
    assert!(acknowledged > ROUNDS as u64 * 5);
}

/// Lets a child acknowledge `lines` appends, kills it, and returns the last index it said.
fn run_child_and_kill(dir: &Path, lines: usize) -> u64 {
    let this = std::env::current_exe().expect("a test has a program");
    let mut child = Command::new(this)
        .args([
            "--exact",
            "kill::child_appends_until_it_is_killed",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test can start itself");
    let mut said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut last = 0;
    let mut seen = 0;
    let mut killed = false;
    // After the kill the pipe still holds what was acknowledged before.
    while let Some(Ok(line)) = said.next() {
        let Some(index) = line.split("durable ").nth(1) else {
            continue;
        };
        last = index.parse().expect("a number");
        seen += 1;
        if seen >= lines && !killed {
            child.kill().expect("it runs");
            killed = true;
        }
    }
    child.wait().expect("it ended");
    assert!(killed, "the child ended by itself after {seen} appends");
    last
}

fn verify(dir: &Path, acknowledged: u64) {
    let log = Log::open(&tiny_options(dir)).expect("a kill damages nothing");
    for group in 1..=GROUPS {
        let extent = log.index.extent(group).expect("it was created");
        assert!(
            extent.last_index >= acknowledged,
            "group {group} lost entries"
        );
        let entries = log.read_all(group);
        let trimmed = log.groups[&group].trim;
        assert_eq!(
            entries.len() as u64,
            extent.last_index - trimmed.index,
            "group {group} has a gap"
        );
        for (index, stored) in (trimmed.index + 1..).zip(&entries) {
            assert_eq!(stored.row.index, index);
            assert_eq!(stored.bytes, body_of(group, index));
        }
        assert!(group != 3 || trimmed == Trim::default());
    }
    log.close();
}
