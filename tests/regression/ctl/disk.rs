//! A disk that fills: who is told, and in which words.

use std::fs::{self, OpenOptions};

use chronik_local::{ChronikOptions, wait};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use serde_json::Value;

use super::{CHANGE_BOUND, command, run};
use crate::storage::small_disk;
use crate::support::{Broker, test_dir};

#[test]
fn a_disk_that_is_nearly_full_is_a_reason_until_there_is_room_again() {
    let dir = test_dir();
    let data = dir.path().join("data");
    let options = ChronikOptions::new(small_disk(&data), dir.path())
        .with("wal.segment_size", "8MiB")
        .with("wal.pool_segments", "1");
    let home = test_dir();
    let broker = Broker::of(options.start().expect("a node on a small disk"), dir);
    let admin = broker.admin_address().expect("an admin door").to_string();
    let ctl = |line: &[&str]| run(command(&home).args(["--admin", &admin]).args(line), &home);
    let reasons = || {
        let health = ctl(&["health", "-o", "json"]);
        let reasons = health.json()["data"]["reasons"].clone();
        let reasons = reasons.as_array().expect("reasons").clone();
        let code = |reason: &Value| reason["code"].as_str().expect("a code").to_owned();
        (health.code, reasons.iter().map(code).collect::<Vec<_>>())
    };
    assert_eq!(reasons(), (0, Vec::new()));
    // The node's own disk, seen through its process.
    let pid = broker.pid().expect("a running node");
    let disk = format!("/proc/{pid}/root{}", data.display());
    let filler = format!("{disk}/filler");
    let room = statvfs(disk.as_str()).expect("a file system");
    let leave = room.f_blocks * room.f_frsize / 20;
    let fill = (room.f_bavail * room.f_frsize).saturating_sub(leave);
    let file = OpenOptions::new().create(true).append(true).open(&filler);
    let file = file.expect("a file on the small disk");
    fallocate(&file, FallocateFlags::empty(), 0, fill).expect("room for the filler");
    assert_eq!(reasons(), (10, vec!["DISK_FULL".to_owned()]));
    let check = ctl(&["check", "disk"]);
    assert_eq!(check.code, 2, "{check:?}");
    assert!(
        check.stdout.starts_with("CHRONIK CRITICAL - 9"),
        "{check:?}"
    );
    let doctor = ctl(&["doctor", "-o", "json"]);
    assert_eq!(doctor.code, 10, "{doctor:?}");
    let finding = doctor.json()["data"]["findings"][0].clone();
    assert_eq!(
        (&finding["number"], &finding["code"]),
        (&1.into(), &"DISK_FULL".into())
    );
    let explained = ctl(&["explain", "node", "1", "-o", "json"]);
    assert_eq!(explained.data()["causes"][0]["code"], "DISK_FULL");
    drop(file);
    fs::remove_file(&filler).expect("the filler goes");
    let healthy = wait::until("room again", CHANGE_BOUND, || {
        (reasons().0 == 0).then_some(())
    });
    healthy.unwrap_or_else(|late| panic!("a disk with room is no reason: {late}: {:?}", reasons()));
    broker.finish();
}
