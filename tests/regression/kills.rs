//! Random nodes die every five seconds under three idempotent producers: nothing acknowledged is lost, doubled or out of
//! order, and the replicas are the same bytes afterwards.
//!
//! A sample of half a minute; `CHRONIK_KILL_MINUTES=10 cargo test -p regression kills -- --nocapture` is the long run.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use chronik_local::{ChronikOptions, Cluster, wait};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::RecordBatchDecoder;

use crate::support::{JAVA_CLIENTS, choice, java, python, server, test_dir};
use crate::wire::Wire;

const TOPIC: &str = "kills";
const NODES: usize = 3;
const PARTITIONS: i32 = 6;
/// Records per second, partition and client.
const RATE: &str = "50";
const SAMPLE: Duration = Duration::from_secs(30);
const KILL_EVERY: Duration = Duration::from_secs(5);
/// Clients give up after two minutes, and closing waits for that.
const BOUND: Duration = Duration::from_secs(200);
/// Acknowledgements that wait to be read while a test thread starts a node.
const LINES: usize = 1 << 20;
/// The first version whose clients may be sent to followers.
const FETCH_VERSION: i16 = 11;
const FETCH_BYTES: i32 = 8 << 20;

#[test]
fn what_three_clients_had_acknowledged_outlives_kills_of_random_nodes() {
    let dir = test_dir();
    let mut cluster = ChronikOptions::new(server(), dir.path())
        .cluster(NODES)
        .unwrap_or_else(|refused| panic!("{refused}"));
    cluster.start().unwrap();
    create_topic(&cluster);
    let mut loads: Vec<Load> = ["librdkafka", "java", "kafka-python"]
        .map(|name| Load::start(name, &cluster))
        .into();
    for load in &mut loads {
        load.await_first_ack();
    }
    let kills = kill_at_random(&mut cluster);
    let told: Vec<Told> = loads.into_iter().map(Load::stop).collect();
    await_in_sync(&cluster);
    let acknowledged: usize = told.iter().map(|told| told.acks.len()).sum();
    let mut found = 0;
    for partition in 0..PARTITIONS {
        let bytes = read_all(&cluster, 1, partition);
        for node in 2..=NODES {
            let other = read_all(&cluster, node, partition);
            assert!(
                bytes == other,
                "partition {partition}: node 1 holds {} bytes, node {node} {} other ones",
                bytes.len(),
                other.len()
            );
        }
        found += judge(&told, partition, &records(bytes));
    }
    println!(
        "{kills} kills, {acknowledged} records acknowledged, {found} found, once and in order, on {NODES} equal replicas"
    );
    assert!(kills > 0 && acknowledged > 0);
    cluster.stop().unwrap();
}

/// A producer in another process.
struct Load {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    told: Told,
}

/// What a producer said at its end.
#[derive(Default)]
struct Told {
    name: &'static str,
    /// The offset of each acknowledged record, by partition and number.
    acks: HashMap<(i32, u64), i64>,
    sent: u64,
}

impl Load {
    fn start(name: &'static str, cluster: &Cluster) -> Load {
        let mut command = match name {
            "java" => java(JAVA_CLIENTS[1], "IdempotentLoad"),
            library => {
                let mut script = python("idempotent_load.py");
                script.arg(library.replace("librdkafka", "confluent"));
                script
            }
        };
        let mut child = load_arguments(&mut command, name, cluster)
            .spawn()
            .expect("the client starts");
        let input = child.stdin.take().expect("a pipe");
        let output = child.stdout.take().expect("a pipe");
        let (sender, lines) = sync_channel(LINES);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Load {
            name,
            child,
            input,
            lines,
            told: Told {
                name,
                ..Told::default()
            },
        }
    }

    fn await_first_ack(&mut self) {
        while self.told.acks.is_empty() {
            self.take_line();
        }
    }

    /// Ends the load; nothing may have failed, and everything that was sent is acknowledged.
    fn stop(mut self) -> Told {
        writeln!(self.input, "stop").expect("the client listens");
        while self.told.sent == 0 {
            self.take_line();
        }
        let _ = self.child.wait();
        println!(
            "{}: {} sent, {} acknowledged",
            self.name,
            self.told.sent,
            self.told.acks.len()
        );
        assert_eq!(self.told.acks.len() as u64, self.told.sent, "{}", self.name);
        std::mem::take(&mut self.told)
    }

    fn take_line(&mut self) {
        let line = self
            .lines
            .recv_timeout(BOUND)
            .unwrap_or_else(|late| panic!("{}: {late}", self.name));
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["ack", partition, number, offset] => {
                let place = (partition.parse().unwrap(), number.parse().unwrap());
                let before = self.told.acks.insert(place, offset.parse().unwrap());
                assert_eq!(before, None, "{}: {line} again", self.name);
            }
            ["sent", sent, "failed", failed] => {
                assert_eq!(failed, "0", "{}: {line}", self.name);
                self.told.sent = sent.parse().unwrap();
            }
            _ => panic!("{}: {line}", self.name),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn load_arguments<'a>(command: &'a mut Command, name: &str, cluster: &Cluster) -> &'a mut Command {
    command
        .args([&cluster.bootstrap(), TOPIC, &PARTITIONS.to_string(), RATE])
        .arg(name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
}

/// Kills a random node every five seconds and starts it again at once; returns how many died.
fn kill_at_random(cluster: &mut Cluster) -> u32 {
    let seed = RandomState::new();
    let end = Instant::now() + length();
    let mut kills = 0;
    while Instant::now() + KILL_EVERY < end {
        let next = Instant::now() + KILL_EVERY;
        let mut dice = seed.build_hasher();
        dice.write_u32(kills);
        let victim = usize::try_from(dice.finish() % NODES as u64).unwrap() + 1;
        println!("kill {victim}");
        cluster.node_mut(victim).kill().unwrap();
        cluster
            .node_mut(victim)
            .begin()
            .unwrap_or_else(|refused| panic!("{refused}"));
        kills += 1;
        wait::until("the next kill", KILL_EVERY * 2, || {
            (Instant::now() >= next).then_some(())
        })
        .unwrap();
    }
    kills
}

fn length() -> Duration {
    let minutes = choice("CHRONIK_KILL_MINUTES").and_then(|text| text.parse::<f64>().ok());
    minutes.map_or(SAMPLE, |minutes| Duration::from_secs_f64(minutes * 60.0))
}

/// Everything acknowledged is where it was said to be, nothing is there twice, and numbers grow. Returns the count.
fn judge(told: &[Told], partition: i32, records: &[(i64, String)]) -> usize {
    let mut places: BTreeMap<(&str, u64), i64> = BTreeMap::new();
    let mut latest: HashMap<&str, u64> = HashMap::new();
    for (offset, value) in records {
        let words: Vec<&str> = value.split(' ').collect();
        let [name, said, number] = words[..] else {
            panic!("{value:?} at {offset} of partition {partition}");
        };
        assert_eq!(said, partition.to_string(), "{value:?} at {offset}");
        let number: u64 = number.parse().unwrap();
        let before = places.insert((name, number), *offset);
        assert_eq!(before, None, "{value:?} again at {offset}");
        let earlier = latest.insert(name, number);
        assert!(
            earlier < Some(number),
            "{value:?} at {offset} after number {earlier:?}"
        );
    }
    for told in told {
        let acks = told.acks.iter().filter(|((to, _), _)| *to == partition);
        for ((_, number), offset) in acks {
            let found = places.get(&(told.name, *number)).copied();
            // A duplicate that a retry was answered for may not know its offset.
            let is_there = found.is_some_and(|found| *offset < 0 || found == *offset);
            assert!(
                is_there,
                "{} {partition} {number}: acknowledged at {offset}, found at {found:?}",
                told.name
            );
        }
    }
    records.len()
}

fn create_topic(cluster: &Cluster) {
    let topic = CreatableTopic::default()
        .with_name(name())
        .with_num_partitions(PARTITIONS)
        .with_replication_factor(3);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(30_000);
    let mut wire = Wire::connect_to(cluster.node(1).kafka_address());
    assert_eq!(wire.ask(5, &request).topics[0].error_code, 0);
}

fn await_in_sync(cluster: &Cluster) {
    wait::until("all replicas in sync", BOUND, || {
        let is_whole = cluster.ids().into_iter().all(|id| {
            let found = cluster.metadata(id, Some(&[TOPIC]));
            found.is_some_and(|found| {
                let mut partitions = found.partitions(TOPIC).iter();
                partitions.all(|known| {
                    // Else leadership moves once more, in the middle of the reading.
                    let leads_for_good =
                        known.leader.is_some() && known.leader == known.replicas.first().copied();
                    leads_for_good && known.in_sync.len() == NODES
                })
            })
        });
        is_whole.then_some(())
    })
    .unwrap();
}

/// All batches of a partition as one node holds them.
fn read_all(cluster: &Cluster, node: usize, partition: i32) -> Bytes {
    let mut wire = Wire::connect_to(cluster.node(node).kafka_address());
    let mut bytes = BytesMut::new();
    let mut offset = 0;
    loop {
        let (fetched, end) = fetch(&mut wire, partition, offset);
        let whole = whole_batches(&fetched);
        if whole.is_empty() {
            assert_eq!(
                offset, end,
                "partition {partition} of node {node} ends early"
            );
            return bytes.freeze();
        }
        for (batch, next) in whole {
            bytes.extend_from_slice(batch);
            offset = next;
        }
    }
}

/// The records, and where the partition ends.
fn fetch(wire: &mut Wire, partition: i32, offset: i64) -> (Bytes, i64) {
    let wanted = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(FETCH_BYTES);
    let topic = FetchTopic::default()
        .with_topic(name())
        .with_partitions(vec![wanted]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_bytes(FETCH_BYTES)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let answer = wire.ask(FETCH_VERSION, &request);
    let found = &answer.responses[0].partitions[0];
    assert_eq!(found.error_code, 0, "a fetch at {offset} of {partition}");
    (
        found.records.clone().unwrap_or_default(),
        found.high_watermark,
    )
}

/// Each whole batch, and the offset after it; what is cut off at the end is left out.
fn whole_batches(mut bytes: &[u8]) -> Vec<(&[u8], i64)> {
    const LENGTH_AT: usize = 8;
    const BEFORE_LENGTH_COUNTS: usize = 12;
    const LAST_DELTA_AT: usize = 23;
    let number =
        |bytes: &[u8], at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut batches = Vec::new();
    while bytes.len() > LAST_DELTA_AT + 4 {
        let length = usize::try_from(number(bytes, LENGTH_AT)).unwrap() + BEFORE_LENGTH_COUNTS;
        if bytes.len() < length {
            break;
        }
        let (batch, rest) = bytes.split_at(length);
        let base = i64::from_be_bytes(batch[..8].try_into().unwrap());
        batches.push((batch, base + i64::from(number(batch, LAST_DELTA_AT)) + 1));
        bytes = rest;
    }
    batches
}

/// Offset and value of each record.
fn records(mut bytes: Bytes) -> Vec<(i64, String)> {
    let sets = RecordBatchDecoder::decode_all(&mut bytes).unwrap();
    let records = sets.into_iter().flat_map(|set| set.records);
    records
        .map(|record| {
            let value = record.value.unwrap_or_default();
            (record.offset, String::from_utf8(value.to_vec()).unwrap())
        })
        .collect()
}

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

/// One producer that was told of numbers 0 and 1 at the offsets 0 and 1.
fn two_told() -> Vec<Told> {
    vec![Told {
        name: "a",
        acks: HashMap::from([((0, 0), 0), ((0, 1), 1)]),
        sent: 2,
    }]
}

fn log_of(values: &[&str]) -> Vec<(i64, String)> {
    (0..)
        .zip(values.iter().map(|value| (*value).to_owned()))
        .collect()
}

#[test]
fn a_whole_log_is_accepted() {
    assert_eq!(judge(&two_told(), 0, &log_of(&["a 0 0", "a 0 1"])), 2);
}

#[test]
#[should_panic(expected = "acknowledged at 1, found at None")]
fn a_lost_record_is_found() {
    judge(&two_told(), 0, &log_of(&["a 0 0"]));
}

#[test]
#[should_panic(expected = "again at 2")]
fn a_doubled_record_is_found() {
    judge(&two_told(), 0, &log_of(&["a 0 0", "a 0 1", "a 0 1"]));
}

#[test]
#[should_panic(expected = "after number")]
fn a_swapped_record_is_found() {
    judge(&two_told(), 0, &log_of(&["a 0 1", "a 0 0"]));
}
