//! Unmodified foreign clients: each one produces with every codec, consumes, and administers.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use chronik_local::foreign::require;

use crate::support::{Broker, JAVA_CLIENTS, drive, java, python};

const RECORDS: &str = "3000";
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

#[test]
fn java_of_the_old_line_is_served() {
    java_is_served(JAVA_CLIENTS[0]);
}

#[test]
fn java_of_the_current_line_is_served() {
    java_is_served(JAVA_CLIENTS[1]);
}

#[test]
fn kafka_python_is_served() {
    python_is_served("drive_kafka_python.py");
}

#[test]
fn confluent_kafka_is_served() {
    python_is_served("drive_confluent.py");
}

#[test]
fn kcat_round_trips_every_codec() {
    require("kcat", "apt-get install -y kcat").unwrap_or_else(|missing| panic!("{missing}"));
    let broker = Broker::start();
    let bootstrap = broker.bootstrap();
    let mut input = String::new();
    for number in 0..2000 {
        writeln!(input, "key-{number}:value-{number}-{}", "abc".repeat(40)).unwrap();
    }
    for codec in CODECS {
        let topic = format!("kcat-{codec}");
        kcat_produce(&bootstrap, &topic, codec, &input);
        let output = kcat_consume(&bootstrap, &topic);
        assert_eq!(output, input, "what was produced with {codec}");
    }
    let listing = drive(
        "kcat -L",
        Command::new("kcat").args(["-b", &bootstrap, "-L"]),
    );
    for codec in CODECS {
        assert!(listing.contains(&format!("\"kcat-{codec}\"")));
    }
    broker.finish();
}

fn java_is_served(version: &str) {
    let broker = Broker::start();
    let mut driver = java(version, "Driver");
    drive(
        &format!("java {version}"),
        driver.args([&broker.bootstrap(), RECORDS]),
    );
    broker.finish();
}

fn python_is_served(script: &str) {
    let broker = Broker::start();
    let mut driver = python(script);
    drive(script, driver.args([&broker.bootstrap(), RECORDS]));
    broker.finish();
}

fn kcat_produce(bootstrap: &str, topic: &str, codec: &str, input: &str) {
    let mut kcat = Command::new("kcat")
        .args([
            "-b", bootstrap, "-P", "-t", topic, "-p", "0", "-K:", "-z", codec,
        ])
        .stdin(Stdio::piped())
        .spawn()
        .expect("kcat starts");
    let mut stdin = kcat.stdin.take().expect("a pipe to kcat");
    stdin.write_all(input.as_bytes()).expect("kcat reads");
    drop(stdin);
    assert!(kcat.wait().expect("kcat ends").success(), "produce {codec}");
}

fn kcat_consume(bootstrap: &str, topic: &str) -> String {
    let mut kcat = Command::new("kcat");
    kcat.args([
        "-b",
        bootstrap,
        "-C",
        "-t",
        topic,
        "-p",
        "0",
        "-K:",
        "-o",
        "beginning",
    ])
    .args(["-e", "-q", "-X", "check.crcs=true"]);
    chronik_local::foreign::run("kcat -C", &mut kcat).unwrap_or_else(|failed| panic!("{failed}"))
}
