//! Storage that fails: a node that cannot write stops and says why, a full disk refuses writes and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use chronik_local::{ChronikOptions, wait};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::{Broker, drive, python, server, test_dir};

const TOPIC: &str = "kept";
const STOP_BOUND: Duration = Duration::from_secs(20);
/// A client that is refused shall not try for long; others have the time that kcat gives by default.
const REFUSAL_MS: u32 = 5_000;
const DEFAULT_MS: u32 = 300_000;

#[test]
fn a_failed_write_stops_the_node_with_a_clear_last_line() {
    let mut broker = Broker::start();
    let before = load(&broker, 3_000).expect("a healthy node takes records");
    // Beyond this size every write to the log fails; the node's own log file stays below.
    let limit = Rlimit {
        current: Some(1 << 20),
        maximum: None,
    };
    let pid = broker
        .pid()
        .and_then(|pid| Pid::from_raw(pid as i32))
        .expect("a running node");
    prlimit(Some(pid), Resource::Fsize, limit).expect("a limit for a child");
    load_within(&broker, TOPIC, 100, REFUSAL_MS)
        .expect_err("nothing is acknowledged that could not be written");
    let stopped = wait::until("the node to stop", STOP_BOUND, || {
        (!broker.is_running()).then_some(())
    });
    stopped.expect("a node that cannot write stops");
    let log = fs::read_to_string(broker.log()).expect("the node's log");
    let last = log.lines().last().expect("a last line");
    assert!(last.contains("the log could not be written"), "{last}");
    assert!(
        last.contains("/wal/") && last.contains("errno 27"),
        "{last}"
    );
    broker.kill_and_restart();
    assert!(count(&broker) >= before, "acknowledged records are there");
    broker.stop().expect("an orderly stop");
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers() {
    let dir = test_dir();
    let small = small_disk(&dir.path().join("data"));
    let options = ChronikOptions::new(small, dir.path())
        .with("wal.segment_size", "8MiB")
        .with("wal.pool_segments", "1");
    let mut broker = Broker::of(options.start().expect("a node on a small disk"), dir);
    let before = load(&broker, 3_000).expect("the disk has space");
    load_within(&broker, "filler", 100_000, REFUSAL_MS).expect_err("the disk is full");
    assert!(broker.is_running(), "a full disk is no reason to stop");
    assert_eq!(count(&broker), before, "reads go on");
    let mut delete = python("delete_topic.py");
    drive(
        "delete the filler",
        delete.args([&broker.bootstrap(), "filler"]),
    );
    wait::until(
        "the node to take records again",
        Duration::from_secs(60),
        || load_within(&broker, TOPIC, 10, REFUSAL_MS).ok(),
    )
    .expect("space that is freed is used");
    broker.stop().expect("an orderly stop");
}

/// A program that runs the server with `data` on a file system of its own, in a namespace that ends with it.
pub(crate) fn small_disk(data: &std::path::Path) -> PathBuf {
    fs::create_dir_all(data).expect("a mount point");
    let program = data.with_file_name("server-on-a-small-disk");
    let script = format!(
        "#!/bin/sh\nexec unshare --user --map-root-user --mount sh -c \
         'mount -t tmpfs -o size=64m none \"$0\" && exec \"$@\"' '{}' '{}' \"$@\"\n",
        data.display(),
        server().display(),
    );
    fs::write(&program, script).expect("a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an executable script");
    program
}

fn load(broker: &Broker, records: usize) -> Result<usize, String> {
    load_within(broker, TOPIC, records, DEFAULT_MS)
}

/// Produces records of 1 KiB with kcat; all are acknowledged, or it is an error.
fn load_within(
    broker: &Broker,
    topic: &str,
    records: usize,
    timeout_ms: u32,
) -> Result<usize, String> {
    let input = broker.dir().join(format!("{topic}.txt"));
    fs::write(&input, format!("{}\n", "x".repeat(1023)).repeat(records)).expect("an input file");
    let output = Command::new("kcat")
        .args(["-b", &broker.bootstrap(), "-P", "-t", topic, "-l"])
        .arg(&input)
        .args([
            "-X",
            &format!("message.timeout.ms={timeout_ms}"),
            "-X",
            "acks=all",
            "-X",
            "enable.idempotence=true",
        ])
        .output()
        .expect("kcat runs");
    match output.status.success() {
        true => Ok(records),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn count(broker: &Broker) -> usize {
    let mut kcat = Command::new("kcat");
    let output = drive(
        "kcat",
        kcat.args([
            "-b",
            &broker.bootstrap(),
            "-C",
            "-t",
            TOPIC,
            "-e",
            "-q",
            "-f",
            "%o\n",
        ]),
    );
    output.lines().count()
}
