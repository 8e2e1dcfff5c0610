//! The wire itself, spoken by hand: order of answers, answers that must not be, and refusals with their numbers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use chronik_local::foreign::{require, run};
use chronik_local::wait;

use crate::support::Broker;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const API_VERSIONS: i16 = 18;
/// No answer takes longer than this, not even on a busy machine.
const ANSWER_BOUND: Duration = Duration::from_secs(60);
const TOPIC: &str = "wire";
/// Where the answer to a fetch of one partition, version 4, has its error.
const ERROR_OF_FETCH: usize = 4 + 4 + 2 + TOPIC.len() + 4 + 4;

#[test]
fn answers_leave_in_the_order_of_requests() {
    let broker = started();
    let mut client = Client::connect(&broker);
    // The fetch waits for a record at the end of the log; everything behind it is done long before.
    client.send(FETCH, 4, 0, &fetch(0, 30_000));
    for number in 1..=60 {
        match number % 3 {
            0 => client.send(API_VERSIONS, 0, number, &[]),
            _ => client.send(PRODUCE, 3, number, &produce(1, &batch(b"value"))),
        }
    }
    let (correlation_id, fetched) = client.receive();
    assert_eq!(correlation_id, 0);
    assert!(
        fetched.ends_with(b"value\0"),
        "the first record woke the fetch: {fetched:?}"
    );
    let mut offsets = Vec::new();
    for number in 1..=60 {
        let (correlation_id, answer) = client.receive();
        assert_eq!(correlation_id, number);
        if number % 3 != 0 {
            offsets.push(produced(&answer).expect("appended"));
        }
    }
    assert!(
        offsets.is_sorted_by(|a, b| a + 1 == *b),
        "arrival order is log order: {offsets:?}"
    );
    broker.finish();
}

#[test]
fn a_produce_without_acknowledgement_is_not_answered_and_closes_when_it_fails() {
    let broker = started();
    let mut client = Client::connect(&broker);
    client.send(PRODUCE, 3, 1, &produce(0, &batch(b"unanswered")));
    client.send(API_VERSIONS, 0, 2, &[]);
    assert_eq!(client.receive().0, 2);
    client.send(FETCH, 4, 3, &fetch(0, 30_000));
    assert!(client.receive().1.ends_with(b"unanswered\0"));
    client.send(PRODUCE, 3, 4, &produce(0, b"no batch at all"));
    assert!(client.is_closed());
    broker.finish();
}

#[test]
fn a_client_from_the_future_learns_what_is_spoken() {
    let broker = started();
    let mut client = Client::connect(&broker);
    client.send(API_VERSIONS, 99, 1, b"a body that nobody knows");
    let (correlation_id, answer) = client.receive();
    assert_eq!(correlation_id, 1);
    assert_eq!(answer, [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4]);
    client.send(API_VERSIONS, 0, 2, &[]);
    assert_eq!(client.receive().1[..2], [0, 0]);
    // Produce version 2 is shown, so that old clients compress, but its layout is gone.
    client.send(PRODUCE, 2, 3, &[]);
    assert!(client.is_closed());
    broker.finish();
}

#[test]
fn refusals_carry_kafkas_numbers() {
    let broker = started();
    let mut client = Client::connect(&broker);
    let good = batch(b"value");
    let mut corrupt = good.clone();
    *corrupt.last_mut().expect("a byte") ^= 1;
    let mut old_magic = good.clone();
    old_magic[16] = 1;
    let twice = [&good[..], &good[..]].concat();
    let mut miscounted = good.clone();
    miscounted[26] = 7;
    seal(&mut miscounted);
    let mut control = good.clone();
    control[22] = 0x20;
    seal(&mut control);
    let large = batch(&vec![b'x'; 1_100_000]);
    let cases = [
        ("corrupt", 1, &corrupt, 2),
        ("old magic", 1, &old_magic, 87),
        ("two batches", 1, &twice, 87),
        ("miscounted", 1, &miscounted, 87),
        ("control", 1, &control, 87),
        ("too large", 1, &large, 10),
        ("acks 5", 5, &good, 21),
    ];
    for (number, (what, acks, records, error)) in cases.into_iter().enumerate() {
        client.send(PRODUCE, 3, number as i32, &produce(acks, records));
        assert_eq!(produced(&client.receive().1), Err(error), "{what}");
    }
    client.send(PRODUCE, 3, 100, &produce(-1, &good));
    assert_eq!(
        produced(&client.receive().1),
        Ok(0),
        "refused batches take no offsets"
    );
    broker.finish();
}

struct Client {
    stream: TcpStream,
}

impl Client {
    fn connect(broker: &Broker) -> Client {
        let stream = TcpStream::connect(broker.kafka_address()).expect("the node accepts");
        stream
            .set_read_timeout(Some(ANSWER_BOUND))
            .expect("a socket option");
        stream.set_nodelay(true).expect("a socket option");
        Client { stream }
    }

    fn send(&mut self, key: i16, version: i16, correlation_id: i32, body: &[u8]) {
        let mut frame = ((10 + body.len()) as u32).to_be_bytes().to_vec();
        frame.extend(key.to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend(correlation_id.to_be_bytes());
        frame.extend((-1i16).to_be_bytes());
        frame.extend(body);
        self.stream
            .write_all(&frame)
            .expect("the node takes requests");
    }

    fn receive(&mut self) -> (i32, Vec<u8>) {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).expect("an answer");
        let mut answer = vec![0; u32::from_be_bytes(len) as usize];
        self.stream.read_exact(&mut answer).expect("a whole answer");
        let body = answer.split_off(4);
        (
            i32::from_be_bytes(answer.try_into().expect("four bytes")),
            body,
        )
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
    }
}

fn started() -> Broker {
    require("kcat", "apt-get install kcat").unwrap_or_else(|missing| panic!("{missing}"));
    let broker = Broker::start();
    // Asking for its metadata creates the topic.
    let mut kcat = std::process::Command::new("kcat");
    kcat.args([
        "-b",
        &broker.bootstrap(),
        "-L",
        "-t",
        TOPIC,
        "-X",
        "allow.auto.create.topics=true",
    ]);
    run("kcat -L", &mut kcat).unwrap_or_else(|failed| panic!("{failed}"));
    // It ends when the topic is named, which may be before somebody leads it.
    let mut client = Client::connect(&broker);
    wait::until("a partition that is served", ANSWER_BOUND, || {
        client.send(FETCH, 4, 0, &fetch(0, 0));
        let error = &client.receive().1[ERROR_OF_FETCH..][..2];
        (error == [0, 0]).then_some(())
    })
    .expect("a leader");
    broker
}

/// Produce version 3 of one batch for partition 0.
fn produce(acks: i16, records: &[u8]) -> Vec<u8> {
    let mut body = (-1i16).to_be_bytes().to_vec();
    body.extend(acks.to_be_bytes());
    body.extend(30_000i32.to_be_bytes());
    one_partition(&mut body);
    body.extend((records.len() as u32).to_be_bytes());
    body.extend(records);
    body
}

/// Fetch version 4 of partition 0 from an offset on.
fn fetch(offset: i64, wait_ms: i32) -> Vec<u8> {
    let mut body = (-1i32).to_be_bytes().to_vec();
    body.extend(wait_ms.to_be_bytes());
    body.extend(1i32.to_be_bytes());
    body.extend((1i32 << 20).to_be_bytes());
    body.push(0);
    one_partition(&mut body);
    body.extend(offset.to_be_bytes());
    body.extend((1i32 << 20).to_be_bytes());
    body
}

fn one_partition(body: &mut Vec<u8>) {
    body.extend(1i32.to_be_bytes());
    body.extend((TOPIC.len() as i16).to_be_bytes());
    body.extend(TOPIC.as_bytes());
    body.extend(1i32.to_be_bytes());
    body.extend(0i32.to_be_bytes());
}

/// The base offset or the error of a produce answer, version 3, with one partition.
fn produced(answer: &[u8]) -> Result<i64, i16> {
    let row = &answer[4 + 2 + TOPIC.len() + 4 + 4..];
    match i16::from_be_bytes([row[0], row[1]]) {
        0 => Ok(i64::from_be_bytes(
            row[2..10].try_into().expect("eight bytes"),
        )),
        error => Err(error),
    }
}

/// A batch of one record without key and headers.
pub(crate) fn batch(value: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0, 0, 1];
    varint(&mut record, value.len() as i64);
    record.extend(value);
    record.push(0);
    let mut batch = vec![0; 61];
    batch[16] = 2;
    batch[43..57].fill(0xff);
    batch[60] = 1;
    varint(&mut batch, record.len() as i64);
    batch.extend(record);
    let len = batch.len() as u32 - 12;
    batch[8..12].copy_from_slice(&len.to_be_bytes());
    seal(&mut batch);
    batch
}

fn seal(batch: &mut [u8]) {
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
