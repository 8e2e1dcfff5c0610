//! Crashes in the middle of a load: what was acknowledged is there exactly once, and offsets have no gaps.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Broker, JAVA_CLIENTS, drive, java, python};

const RECORDS: u32 = 40_000;
/// The broker is killed when so many records are acknowledged.
const KILL_AFTER: [u32; 2] = [8_000, 24_000];

#[test]
fn java_finds_every_acknowledged_record_after_crashes() {
    survive_crashes(&|| java(JAVA_CLIENTS[1], "Load"));
}

#[test]
fn librdkafka_finds_every_acknowledged_record_after_crashes() {
    survive_crashes(&|| python("load_confluent.py"));
}

#[test]
fn an_orderly_restart_keeps_records_and_committed_offsets() {
    let mut broker = Broker::start();
    let mut driver = java(JAVA_CLIENTS[1], "Driver");
    drive("java", driver.args([&broker.bootstrap(), "500"]));
    broker.stop().expect("an orderly stop");
    broker.begin().expect("a second start");
    let mut driver = java(JAVA_CLIENTS[1], "Driver");
    drive("java", driver.args([&broker.bootstrap(), "500"]));
    broker.finish();
}

fn survive_crashes(load: &dyn Fn() -> Command) {
    let mut broker = Broker::start();
    let acks = broker.dir().join("acks");
    let bootstrap = broker.bootstrap();
    let mut producer = begin(load(), "produce", &bootstrap, &acks);
    let mut lines = BufReader::new(producer.stdout.take().expect("a pipe")).lines();
    for kill_after in KILL_AFTER {
        let mark = format!("acked {kill_after}");
        let was_reached = lines.any(|line| line.expect("text") == mark);
        assert!(was_reached, "the producer never printed: {mark}");
        broker.kill_and_restart();
    }
    let rest: Vec<String> = lines.map(|line| line.expect("text")).collect();
    let status = producer.wait().expect("the producer ends");
    let last = rest.last().map_or("", String::as_str);
    assert!(status.success(), "the producer failed: {last}");
    // The last acknowledgements have to survive a crash, too.
    broker.kill_and_restart();
    let mut verify = load();
    add_arguments(&mut verify, "verify", &bootstrap, &acks);
    drive("verify", &mut verify);
    broker.finish();
}

fn begin(mut command: Command, verb: &str, bootstrap: &str, acks: &Path) -> Child {
    add_arguments(&mut command, verb, bootstrap, acks);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the load starts")
}

fn add_arguments(command: &mut Command, verb: &str, bootstrap: &str, acks: &Path) {
    command
        .args([verb, bootstrap, "crashes", &RECORDS.to_string()])
        .arg(acks);
}
