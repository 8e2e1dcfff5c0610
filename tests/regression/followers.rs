//! Reads at replicas that do not lead: near the client, and never behind what was acknowledged.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chronik_local::foreign::require;
use chronik_local::{ChronikOptions, Cluster, probe, wait};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::pipelining::batch;
use crate::support::{server, test_dir};
use crate::wire::Wire;

const TOPIC: &str = "near";
const ALL: [usize; 3] = [1, 2, 3];
const BOUND: Duration = Duration::from_secs(60);
/// The first version whose clients may be sent to followers.
const FETCH_VERSION: i16 = 11;

#[test]
fn a_client_reads_from_the_replica_in_its_rack() {
    require("kcat", "apt-get install -y kcat").unwrap_or_else(|missing| panic!("{missing}"));
    let (mut cluster, _dir) = three_racks();
    let (leader, follower) = leader_and_follower(&cluster);
    let mut wire = Wire::connect_to(cluster.node(leader).kafka_address());
    let mut expected = String::new();
    for number in 0..50 {
        let value = format!("record {number}");
        produce(&mut wire, &value);
        expected.push_str(&value);
        expected.push('\n');
    }
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", &cluster.bootstrap(), "-C", "-t", TOPIC, "-p", "0"])
        .args(["-o", "beginning", "-e", "-q"])
        .args(["-X", &format!("client.rack=rack-{follower}")]);
    let output = chronik_local::foreign::run("kcat -C", &mut kcat)
        .unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(output, expected);
    assert_eq!(fetched_bytes(&cluster, leader), 0);
    assert!(fetched_bytes(&cluster, follower) > 0);
    finish(&mut cluster);
}

#[test]
fn a_follower_shows_what_was_acknowledged_before_it_was_asked() {
    const RECORDS: i64 = 300;
    let (mut cluster, _dir) = three_racks();
    let (leader, follower) = leader_and_follower(&cluster);
    let mut writer = Wire::connect_to(cluster.node(leader).kafka_address());
    let mut reader = Wire::connect_to(cluster.node(follower).kafka_address());
    let mut taken = Vec::new();
    for offset in 0..RECORDS {
        produce(&mut writer, "acknowledged");
        let asked_at = Instant::now();
        let records = read_at_once(&mut reader, offset);
        taken.push(asked_at.elapsed());
        assert!(!records.is_empty(), "record {offset} is missing");
    }
    taken.sort_unstable();
    println!(
        "a read at a follower right after the acknowledgement: p50 {:?}, p99 {:?}, max {:?}",
        taken[taken.len() / 2],
        taken[taken.len() * 99 / 100],
        taken[taken.len() - 1]
    );
    finish(&mut cluster);
}

#[test]
fn a_follower_without_a_leader_sends_its_readers_away() {
    let (mut cluster, _dir) = three_racks();
    let (leader, follower) = leader_and_follower(&cluster);
    produce(
        &mut Wire::connect_to(cluster.node(leader).kafka_address()),
        "kept",
    );
    for other in ALL.into_iter().filter(|id| *id != follower) {
        cluster.node_mut(other).kill().unwrap();
    }
    let address = cluster.node(follower).kafka_address();
    wait::until("a refusal", BOUND, || {
        (fetch(&mut Wire::connect_to(address), 0).0 != 0).then_some(())
    })
    .unwrap();
}

/// Three nodes that run, each in a rack of its own, and a topic with a replica on each.
fn three_racks() -> (Cluster, tempfile::TempDir) {
    let dir = test_dir();
    let mut cluster = ChronikOptions::new(server(), dir.path())
        .with_numbered("node.rack", "rack-")
        .cluster(ALL.len())
        .unwrap_or_else(|refused| panic!("{refused}"));
    cluster.start().unwrap();
    let topic = CreatableTopic::default()
        .with_name(name())
        .with_num_partitions(1)
        .with_replication_factor(3);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(30_000);
    let mut wire = Wire::connect_to(cluster.node(1).kafka_address());
    assert_eq!(wire.ask(5, &request).topics[0].error_code, 0);
    (cluster, dir)
}

fn leader_and_follower(cluster: &Cluster) -> (usize, usize) {
    cluster.await_first_leaders(&ALL, TOPIC).unwrap();
    let leader = cluster.await_leader(1, TOPIC, 0, &ALL).unwrap();
    let follower = leader % ALL.len() + 1;
    (leader, follower)
}

fn finish(cluster: &mut Cluster) {
    cluster.stop().unwrap_or_else(|refused| panic!("{refused}"));
    let offences = cluster.unannounced_errors(&[]).unwrap();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

fn produce(wire: &mut Wire, value: &str) {
    let data =
        PartitionProduceData::default().with_records(Some(Bytes::from(batch(value.as_bytes()))));
    let topic = TopicProduceData::default()
        .with_name(name())
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic]);
    let answer = wire.ask(9, &request);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

/// The first answer that is no refusal: a follower that cannot reach its leader at once sends its readers away.
fn read_at_once(wire: &mut Wire, offset: i64) -> Bytes {
    wait::until("an answer", BOUND, || {
        let (error, records) = fetch(wire, offset);
        (error == 0).then_some(records)
    })
    .unwrap()
}

/// A fetch that does not wait: Kafka's error number, and the records.
fn fetch(wire: &mut Wire, offset: i64) -> (i16, Bytes) {
    let wanted = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(name())
        .with_partitions(vec![wanted]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let answer = wire.ask(FETCH_VERSION, &request);
    let found = &answer.responses[0].partitions[0];
    (found.error_code, found.records.clone().unwrap_or_default())
}

/// What a node has sent to those who read there.
fn fetched_bytes(cluster: &Cluster, id: usize) -> u64 {
    let admin: SocketAddr = cluster.node(id).admin_address().expect("an admin door");
    let (_, page) = probe::http(admin, "/metrics").expect("metrics");
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix("chronik_fetch_bytes_total "));
    line.expect("a counter").parse().expect("a number")
}
