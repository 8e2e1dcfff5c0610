//! Produce and fetch at the edges: positions, tombstones, keys, and a consumer that waits at the end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use chronik_local::foreign::{require, run};

use crate::support::Broker;

#[test]
fn a_consumer_at_the_end_gets_records_as_they_come() {
    let broker = started();
    let bootstrap = broker.bootstrap();
    produce(&bootstrap, "tail", &["-p", "0"], "before\n");
    let mut tail = Command::new("kcat")
        .args(["-b", &bootstrap, "-C", "-t", "tail", "-p", "0", "-o", "end"])
        .args(["-u", "-q", "-c", "3", "-X", "auto.offset.reset=earliest"])
        .args(["-X", "topic.auto.offset.reset=earliest"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("kcat starts");
    let mut lines = BufReader::new(tail.stdout.take().expect("a pipe")).lines();
    // Records are written one at a time until the consumer, which may still be starting, has seen three of them.
    let mut number = 0;
    while tail.try_wait().expect("a status").is_none() {
        produce(&bootstrap, "tail", &["-p", "0"], &format!("{number}\n"));
        number += 1;
    }
    let seen: Vec<u32> = lines
        .by_ref()
        .map(|line| line.expect("text").parse().expect("a number"))
        .collect();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen, [seen[0], seen[0] + 1, seen[0] + 2]);
    broker.finish();
}

#[test]
fn positions_from_the_beginning_and_from_the_end_agree() {
    let broker = started();
    let bootstrap = broker.bootstrap();
    let input: String = (0..100).map(|number| format!("{number}\n")).collect();
    produce(&bootstrap, "positions", &["-p", "1"], &input);
    assert_eq!(
        consume(&bootstrap, "positions", &["-o", "97"]),
        "97\n98\n99\n"
    );
    assert_eq!(consume(&bootstrap, "positions", &["-o", "-2"]), "98\n99\n");
    assert_eq!(
        consume(&bootstrap, "positions", &["-o", "0", "-c", "1"]),
        "0\n"
    );
    assert_eq!(consume(&bootstrap, "positions", &["-o", "100"]), "");
    broker.finish();
}

#[test]
fn keys_headers_and_tombstones_come_back_as_they_went() {
    let broker = started();
    let bootstrap = broker.bootstrap();
    let arguments = [
        "-p",
        "1",
        "-K:",
        "-Z",
        "-H",
        "colour=blue",
        "-H",
        "colour=red",
    ];
    produce(&bootstrap, "shapes", &arguments, "a:1\nb:\n:3\n");
    let shown = consume(&bootstrap, "shapes", &["-o", "0", "-f", "%o %k %S %h\n"]);
    assert_eq!(
        shown,
        "0 a 1 colour=blue,colour=red\n1 b -1 colour=blue,colour=red\n2  1 colour=blue,colour=red\n"
    );
    broker.finish();
}

fn started() -> Broker {
    require("kcat", "apt-get install -y kcat").unwrap_or_else(|missing| panic!("{missing}"));
    Broker::start()
}

fn produce(bootstrap: &str, topic: &str, arguments: &[&str], input: &str) {
    let mut kcat = Command::new("kcat")
        .args(["-b", bootstrap, "-P", "-t", topic])
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("kcat starts");
    let mut stdin = kcat.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("kcat reads");
    drop(stdin);
    assert!(kcat.wait().expect("kcat ends").success());
}

fn consume(bootstrap: &str, topic: &str, arguments: &[&str]) -> String {
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", bootstrap, "-C", "-t", topic, "-p", "1", "-e", "-q"])
        .args(arguments);
    run("kcat -C", &mut kcat).unwrap_or_else(|failed| panic!("{failed}"))
}
