//! Hostile clients: whatever they send, hold open or refuse to read, the node serves everybody else in bounded memory.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chronik_local::foreign::{require, run};
use chronik_local::wait;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::Broker;

const TOPIC: &str = "witness";
/// How long the node may take to close a connection that it should not serve.
const CLOSE_BOUND: Duration = Duration::from_secs(30);
/// Neither half-sent requests nor idle connections may cost more than this.
const RESIDENT_LIMIT_BYTES: u64 = 256 << 20;
/// Readers that do not read may besides pin what the caches and the limits of requests allow.
const RESIDENT_LIMIT_WITH_READERS_BYTES: u64 = 512 << 20;
const CROWD: usize = 5_000;

#[test]
fn malformed_requests_cost_their_own_connection_only() {
    let broker = started();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let before = Witness::begin(&broker);
    for key in -1..80i16 {
        for version in [-1, 0, 1, 3, 4, 7, 9, 12, 17, i16::MAX] {
            let random: Vec<u8> = (0..64).map(|_| noise.next() as u8).collect();
            for body in [&[][..], &[0; 40], &[0xff; 40], &[0x7f; 40], &random] {
                answer_or_close(&broker, &framed(&request(key, version, body)));
            }
        }
    }
    for bytes in [
        &[0xff; 64][..],
        &[0; 64],
        &[0x7f, 0xff, 0xff, 0xff, 0, 3],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        answer_or_close(&broker, bytes);
    }
    before.still_served(&broker);
    assert!(resident_peak(&broker) < RESIDENT_LIMIT_BYTES);
    broker.finish();
}

#[test]
fn ten_bytes_that_claim_two_billion_elements_close_their_connection() {
    let broker = started();
    let witness = Witness::begin(&broker);
    let mut frame = request(3, 0, &[]);
    frame.truncate(8);
    frame.extend([0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let mut connection = connect(&broker);
    connection
        .write_all(&framed(&frame))
        .expect("the node accepts the bytes");
    let mut rest = Vec::new();
    connection
        .read_to_end(&mut rest)
        .expect("closed, not reset in the middle of an answer");
    assert!(rest.is_empty(), "nothing is answered to such a request");
    witness.still_served(&broker);
    assert!(resident_peak(&broker) < RESIDENT_LIMIT_BYTES);
    broker.finish();
}

#[test]
fn a_crowd_of_idle_and_half_sent_requests_is_held_in_little_memory() {
    let broker = started();
    allow_files(CROWD as u64 + 1_000);
    let witness = Witness::begin(&broker);
    let announced = (100u32 << 20).to_be_bytes();
    let mut crowd = Vec::with_capacity(CROWD);
    for number in 0..CROWD {
        let mut connection = connect(&broker);
        match number % 3 {
            // A produce request of a hundred megabytes, of which ten bytes come.
            0 => connection.write_all(&[&announced[..], &[0, 0, 0, 9, 0, 0]].concat()),
            1 => connection.write_all(&[0]),
            _ => Ok(()),
        }
        .expect("the node accepts the bytes");
        crowd.push(connection);
    }
    witness.still_served(&broker);
    let resident = resident_peak(&broker);
    assert!(
        resident < RESIDENT_LIMIT_BYTES,
        "{resident} bytes for {CROWD} connections"
    );
    drop(crowd);
    witness.still_served(&broker);
    broker.finish();
}

#[test]
fn readers_that_do_not_read_are_bounded() {
    let broker = started();
    let witness = Witness::begin(&broker);
    let megabyte = format!("{}\n", "x".repeat(900_000)).repeat(40);
    kcat(
        &broker,
        &[
            "-P",
            "-t",
            "large",
            "-p",
            "0",
            "-X",
            "message.max.bytes=1000000",
        ],
        &megabyte,
    );
    let readers: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut reader = connect(&broker);
            reader.set_nonblocking(true).expect("a socket option");
            let fetch = framed(&request(1, 4, &fetch_body("large")));
            // As many requests as the node takes before it stops reading from a client that does not read.
            let mut left = &fetch.repeat(200)[..];
            while let Ok(count) = reader.write(left) {
                left = &left[count..];
                if left.is_empty() {
                    break;
                }
            }
            reader
        })
        .collect();
    witness.still_served(&broker);
    let resident = resident_peak(&broker);
    assert!(
        resident < RESIDENT_LIMIT_WITH_READERS_BYTES,
        "{resident} bytes"
    );
    drop(readers);
    witness.still_served(&broker);
    broker.finish();
}

/// A well-behaved client with records of its own.
struct Witness {
    records: String,
}

impl Witness {
    fn begin(broker: &Broker) -> Witness {
        let records: String = (0..100)
            .map(|number| format!("record {number}\n"))
            .collect();
        kcat(broker, &["-P", "-t", TOPIC, "-p", "0"], &records);
        let witness = Witness { records };
        witness.still_served(broker);
        witness
    }

    fn still_served(&self, broker: &Broker) {
        let seen = kcat(
            broker,
            &["-C", "-t", TOPIC, "-p", "0", "-e", "-q", "-o", "beginning"],
            "",
        );
        assert_eq!(seen, self.records);
    }
}

/// Small and repeatable: which bytes are sent must not differ between runs.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn started() -> Broker {
    require("kcat", "apt-get install kcat").unwrap_or_else(|missing| panic!("{missing}"));
    Broker::start()
}

fn kcat(broker: &Broker, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("kcat");
    command.args(["-b", &broker.bootstrap()]).args(arguments);
    if input.is_empty() {
        return run("kcat", &mut command).unwrap_or_else(|failed| panic!("{failed}"));
    }
    let mut child = command.stdin(Stdio::piped()).spawn().expect("kcat starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(input.as_bytes())
        .expect("kcat reads its input");
    drop(stdin);
    assert!(child.wait().expect("kcat ends").success(), "kcat failed");
    String::new()
}

fn connect(broker: &Broker) -> TcpStream {
    let connection = TcpStream::connect(broker.kafka_address()).expect("the node accepts");
    connection
        .set_read_timeout(Some(CLOSE_BOUND))
        .expect("a socket option");
    connection
}

/// Sends bytes and the end of the stream, and waits until the node has closed its side, with or without an answer.
fn answer_or_close(broker: &Broker, bytes: &[u8]) {
    let mut connection = connect(broker);
    // The node may have closed already: then there is nothing left to send.
    let _ = connection
        .write_all(bytes)
        .and_then(|()| connection.shutdown(Shutdown::Write));
    let start = Instant::now();
    let mut sink = [0; 4096];
    while matches!(connection.read(&mut sink), Ok(1..)) {}
    assert!(
        start.elapsed() < CLOSE_BOUND,
        "still open: {:02x?}",
        &bytes[..bytes.len().min(16)]
    );
}

fn request(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(7i32.to_be_bytes());
    frame.extend((-1i16).to_be_bytes());
    frame.extend(body);
    frame
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
    bytes.extend(frame);
    bytes
}

/// Fetch version 4 of everything in partition 0, at most 50 MB at a time.
fn fetch_body(topic: &str) -> Vec<u8> {
    let most = (50i32 << 20).to_be_bytes();
    let mut body = Vec::new();
    body.extend((-1i32).to_be_bytes());
    body.extend(100i32.to_be_bytes());
    body.extend(1i32.to_be_bytes());
    body.extend(most);
    body.push(0);
    body.extend(1i32.to_be_bytes());
    body.extend((topic.len() as i16).to_be_bytes());
    body.extend(topic.as_bytes());
    body.extend(1i32.to_be_bytes());
    body.extend(0i32.to_be_bytes());
    body.extend(0i64.to_be_bytes());
    body.extend(most);
    body
}

fn resident_peak(broker: &Broker) -> u64 {
    let sample = wait::until("a sample of the node", CLOSE_BOUND, || broker.sample().ok());
    let peak = sample.expect("the node runs").resident_peak_bytes;
    println!("the node held at most {} MiB", peak >> 20);
    peak
}

/// The crowd's sockets live in this process.
fn allow_files(files: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= files) {
        return;
    }
    let raised = Rlimit {
        current: Some(files),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)
        .expect("a hard limit that allows a crowd of sockets (ulimit -Hn)");
}
