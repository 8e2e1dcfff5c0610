//! Kafka Connect in its distributed mode, whose three topics are compacted: a file goes through a topic into another.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chronik_local::foreign::maven;
use chronik_local::{free_port, kafka, wait};

use crate::support::{Broker, is_kafka_the_target};

const BOUND: Duration = Duration::from_secs(120);
const LINES: usize = 500;

#[test]
fn connect_copies_a_file_through_a_topic_and_goes_on_after_a_restart() {
    if is_kafka_the_target() {
        return;
    }
    let mut broker = Broker::start();
    let dir = broker.dir().to_owned();
    let port = free_port().expect("a free port");
    let rest = SocketAddr::from(([127, 0, 0, 1], port));
    let properties = dir.join("worker.properties");
    fs::write(&properties, worker(&broker.bootstrap(), rest)).unwrap();
    let (source, sink) = (dir.join("source.txt"), dir.join("sink.txt"));
    let lines = |range: std::ops::Range<usize>| -> String {
        range.map(|number| format!("line {number}\n")).collect()
    };
    fs::write(&source, lines(0..LINES)).unwrap();

    let worker = Worker::start(&properties, &dir);
    wait::until("a worker that answers", BOUND, || {
        let (status, _) = ask(rest, "GET", "/connectors", "")?;
        (status == 200).then_some(())
    })
    .unwrap_or_else(|late| panic!("{late}\n{}", worker.log()));
    create(rest, &connector("source", "FileStreamSource", &source));
    create(rest, &connector("sink", "FileStreamSink", &sink));
    await_lines(&sink, &lines(0..LINES), &worker);
    drop(worker);

    // Connectors, offsets and tasks are known again from the topics alone.
    broker.kill_and_restart();
    let more = fs::OpenOptions::new().append(true).open(&source);
    more.unwrap()
        .write_all(lines(LINES..2 * LINES).as_bytes())
        .unwrap();
    let worker = Worker::start(&properties, &dir);
    await_lines(&sink, &lines(0..2 * LINES), &worker);
    drop(worker);
    broker.finish();
}

/// A worker in a process of its own, killed when the test ends.
struct Worker {
    child: Child,
    log: std::path::PathBuf,
}

impl Worker {
    fn start(properties: &Path, dir: &Path) -> Worker {
        let version = kafka::VERSION;
        let artifacts = [
            ("org.apache.kafka", "connect-runtime", version),
            ("org.apache.kafka", "connect-file", version),
            ("org.slf4j", "slf4j-simple", "1.7.36"),
        ];
        let jars = maven::class_path(&format!("connect-{version}"), &artifacts);
        let jars = jars.unwrap_or_else(|failed| panic!("{failed}"));
        let log = dir.join("connect.log");
        let output = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = Command::new("java")
            .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", &jars])
            .arg("org.apache.kafka.connect.cli.ConnectDistributed")
            .arg(properties)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .expect("java starts");
        Worker { child, log }
    }

    /// The end of what it said.
    fn log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn worker(bootstrap: &str, rest: SocketAddr) -> String {
    let converter = "org.apache.kafka.connect.storage.StringConverter";
    format!(
        "bootstrap.servers={bootstrap}\ngroup.id=connect\nlisteners=http://{rest}\n\
         key.converter={converter}\nvalue.converter={converter}\n\
         config.storage.topic=connect-configs\nconfig.storage.replication.factor=1\n\
         offset.storage.topic=connect-offsets\noffset.storage.replication.factor=1\n\
         offset.storage.partitions=2\n\
         status.storage.topic=connect-status\nstatus.storage.replication.factor=1\n\
         status.storage.partitions=2\noffset.flush.interval.ms=500\n\
         scheduled.rebalance.max.delay.ms=0\n"
    )
}

fn connector(name: &str, class: &str, file: &Path) -> serde_json::Value {
    serde_json::json!({
        "name": name,
        "config": {
            "connector.class": format!("org.apache.kafka.connect.file.{class}Connector"),
            "tasks.max": "1",
            "file": file.display().to_string(),
            // A source names one topic, a sink a list of them.
            "topic": "lines",
            "topics": "lines",
        },
    })
}

fn create(rest: SocketAddr, connector: &serde_json::Value) {
    let mut connector = connector.clone();
    let is_source = connector["name"] == "source";
    let unused = if is_source { "topics" } else { "topic" };
    connector["config"].as_object_mut().unwrap().remove(unused);
    wait::until("a worker that takes a connector", BOUND, || {
        let (status, body) = ask(rest, "POST", "/connectors", &connector.to_string())?;
        match status {
            201 | 409 => (status == 201).then_some(()),
            500.. => None,
            _ => panic!("{status}: {body}"),
        }
    })
    .unwrap();
}

/// A worker that was killed repeats what it had not noted as done; nothing else may be missing or new.
fn await_lines(sink: &Path, expected: &str, worker: &Worker) {
    let distinct = |text: &str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    let expected = distinct(expected);
    wait::until("all lines in the other file", BOUND, || {
        (distinct(&fs::read_to_string(sink).ok()?) == expected).then_some(())
    })
    .unwrap_or_else(|late| panic!("{late}\n{}", worker.log()));
}

/// Status and body of an answer; none if nobody answers yet.
fn ask(rest: SocketAddr, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(rest).ok()?;
    stream.set_read_timeout(Some(BOUND)).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {rest}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, answer))
}
