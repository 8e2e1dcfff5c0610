//! Three nodes: cold starts in every order, with nodes that are late or absent, and the loss of a leader.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use chronik_local::probe::Metadata;
use chronik_local::{ChronikOptions, Cluster, KafkaOptions, wait};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use tempfile::TempDir;

use crate::pipelining::batch;
use crate::support::{is_kafka_the_target, server, test_dir};
use crate::wire::Wire;

const TOPIC: &str = "three";
const PARTITIONS: usize = 3;
const ALL: [usize; 3] = [1, 2, 3];
/// No change of leaders takes longer, not even on a busy machine.
const CHANGE_BOUND: Duration = Duration::from_secs(60);

/// Kafka's numbers of refusals after which a client asks for the leader again.
const RETRIABLE: [i16; 6] = [3, 5, 6, 7, 14, 19];

#[test]
fn a_cold_start_in_every_order_serves_on_every_node() {
    for order in [
        [1, 2, 3],
        [1, 3, 2],
        [2, 1, 3],
        [2, 3, 1],
        [3, 1, 2],
        [3, 2, 1],
    ] {
        let mut three = Three::new();
        three.spawn(&order).expect("processes");
        three.await_listening(&ALL).unwrap();
        three.await_ready(&ALL).unwrap();
        three.create_topic(order[2]);
        for id in ALL {
            three.produce(id, 0, "a record");
        }
        three.await_records(0, &["a record"; ALL.len()]);
        three.agree();
        three.finish();
    }
}

#[test]
fn a_cluster_comes_back_with_its_records_in_another_order() {
    let mut three = Three::new();
    three.start().unwrap();
    three.create_topic(1);
    three.produce(1, 1, "before");
    for id in ALL {
        three.node_mut(id).kill().unwrap();
    }
    three.spawn(&[3, 1, 2]).unwrap();
    three.await_ready(&ALL).unwrap();
    three.produce(2, 1, "after");
    three.await_records(1, &["before", "after"]);
    three.agree();
    three.finish();
}

#[test]
fn two_nodes_serve_and_the_third_one_may_come_later() {
    let mut three = Three::new();
    three.spawn(&[3, 1]).unwrap();
    three.await_ready(&[1, 3]).unwrap();
    three.produce_with_two_replicas(1);
    three.spawn(&[2]).unwrap();
    three.await_ready(&[2]).unwrap();
    three.create_topic(2);
    three.produce(2, 2, "with all");
    three.await_records(2, &["with all"]);
    three.agree();
    three.finish();
}

#[test]
fn one_node_of_three_refuses_and_says_why() {
    if is_kafka_the_target() {
        return;
    }
    let mut three = Three::new();
    three.spawn(&[2]).unwrap();
    three.await_listening(&[2]).unwrap();
    let waits_for_others = |text: &str| text.contains('1') && text.contains('3');
    wait::until("a reason", CHANGE_BOUND, || {
        let (is_ready, text) = three.node(2).readiness()?;
        assert!(!is_ready, "one of three is no majority: {text}");
        waits_for_others(&text).then_some(())
    })
    .unwrap();
    let mut wire = Wire::connect_to(three.node(2).kafka_address());
    assert_ne!(try_create(&mut wire, "refused", 1), 0);
    // Another node makes a majority.
    three.spawn(&[1]).unwrap();
    three.await_ready(&[1, 2]).unwrap();
    three.produce_with_two_replicas(2);
    three.finish();
}

#[test]
fn the_loss_of_a_leader_loses_no_record() {
    let mut three = Three::new();
    three.start().unwrap();
    three.create_topic(1);
    for number in 0..10 {
        three.produce(1, 0, &number.to_string());
    }
    let leader = three.await_leader(1, TOPIC, 0, &ALL).unwrap();
    three.node_mut(leader).kill().unwrap();
    let rest: Vec<usize> = ALL.into_iter().filter(|id| *id != leader).collect();
    three.await_leader(rest[0], TOPIC, 0, &rest).unwrap();
    three.produce(rest[1], 0, "after the loss");
    three.await_records(
        0,
        &[
            "0",
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "7",
            "8",
            "9",
            "after the loss",
        ],
    );
    three.node_mut(leader).begin().unwrap();
    three.agree();
    three.finish();
}

/// It would keep its connections open and say nothing, and clients would wait for it by their own timeouts.
#[test]
fn a_frozen_leader_is_left_out_and_its_clients_are_hung_up_on() {
    if is_kafka_the_target() {
        return;
    }
    let mut three = Three::new();
    three.start().unwrap();
    three.create_topic(1);
    three.produce(1, 0, "before");
    let leader = three.await_leader(1, TOPIC, 0, &ALL).unwrap();
    let mut client = TcpStream::connect(three.node(leader).kafka_address()).unwrap();
    client.set_read_timeout(Some(CHANGE_BOUND)).unwrap();
    three.node(leader).pause().unwrap();
    assert_eq!(client.read(&mut [0]).expect("the end of the stream"), 0);
    let rest: Vec<usize> = ALL.into_iter().filter(|id| *id != leader).collect();
    three.await_leader(rest[0], TOPIC, 0, &rest).unwrap();
    for id in &rest {
        three
            .await_metadata(*id, "no frozen node", |metadata| {
                metadata.brokers.len() == rest.len()
            })
            .unwrap();
    }
    three.produce(rest[1], 0, "without it");
    three.node(leader).resume().unwrap();
    three.await_records(0, &["before", "without it"]);
    three.agree();
    three.produce(leader, 0, "with it");
    three.finish();
}

#[test]
fn nodes_that_stop_in_order_one_after_the_other_lose_nothing() {
    let mut three = Three::new();
    three.start().unwrap();
    three.create_topic(1);
    for id in ALL {
        let other = id % ALL.len() + 1;
        three.node_mut(id).stop().unwrap();
        three.produce(other, 0, &format!("without {id}"));
        three.node_mut(id).begin().unwrap();
    }
    three.await_records(0, &["without 1", "without 2", "without 3"]);
    three.agree();
    three.finish();
}

#[test]
fn a_wiped_node_comes_back_with_everything() {
    if is_kafka_the_target() {
        // Its folder would have to be formatted again.
        return;
    }
    let mut three = Three::new();
    three.start().unwrap();
    three.create_topic(3);
    three.produce(1, 0, "before");
    three.node_mut(2).kill().unwrap();
    three.node_mut(2).wipe().unwrap();
    three.node_mut(2).begin().unwrap();
    // All of them: what leaders tell others may be older than the wiped node's new life.
    ALL.into_iter().for_each(|id| three.await_in_sync(id));
    // With the wiped node as half of the majority, what it holds must be whole.
    three.node_mut(3).kill().unwrap();
    three.produce(1, 0, "after");
    three.await_records(0, &["before", "after"]);
    three.node_mut(3).begin().unwrap();
    three.agree();
    three.finish();
}

#[test]
fn topics_with_fewer_replicas_are_created_on_any_node_and_served_by_their_holders() {
    let mut three = Three::new();
    three.start().unwrap();
    for (asked, replicas) in [(1, 1), (2, 2), (3, 3)] {
        let topic = format!("replicas-{replicas}");
        let mut wire = Wire::connect_to(three.node(asked).kafka_address());
        assert_eq!(try_create(&mut wire, &topic, replicas), 0);
        three.await_leader(asked, &topic, 0, &ALL).unwrap();
        for id in ALL {
            three.produce_to(id, &topic, 0, "a record");
            let metadata = three.metadata(id, Some(&[&topic])).unwrap();
            let found = &metadata.partitions(&topic)[0];
            assert_eq!(found.replicas.len(), replicas);
        }
    }
    three.finish();
}

/// Three nodes in a folder of their own, killed when the test ends.
struct Three {
    cluster: Cluster,
    _dir: TempDir,
}

impl Three {
    /// None of them runs yet.
    fn new() -> Self {
        let dir = test_dir();
        let cluster = if is_kafka_the_target() {
            KafkaOptions::new(dir.path()).cluster(ALL.len())
        } else {
            ChronikOptions::new(server(), dir.path())
                .with("group.initial_rebalance_delay", "0ms")
                .cluster(ALL.len())
        };
        Self {
            cluster: cluster.unwrap_or_else(|refused| panic!("{refused}")),
            _dir: dir,
        }
    }

    /// With three replicas, asked of this node.
    fn create_topic(&self, id: usize) {
        let mut wire = Wire::connect_to(self.node(id).kafka_address());
        assert_eq!(try_create(&mut wire, TOPIC, ALL.len()), 0);
        self.await_all_led(id);
    }

    /// A topic that two nodes can hold, and a record in it.
    fn produce_with_two_replicas(&self, id: usize) {
        const SMALL: &str = "small";
        let mut wire = Wire::connect_to(self.node(id).kafka_address());
        let error = try_create(&mut wire, SMALL, 2);
        assert_eq!(error, 0);
        self.await_leader(id, SMALL, 0, &ALL).unwrap();
        self.produce_to(id, SMALL, 0, "with two");
    }

    fn produce(&self, id: usize, partition: usize, value: &str) {
        self.produce_to(id, TOPIC, partition, value);
    }

    /// Finds the leader by asking this node, and produces until it is acknowledged, as clients do. What a client does
    /// not try again fails the test.
    fn produce_to(&self, id: usize, topic: &str, partition: usize, value: &str) {
        wait::until("an acknowledged record", CHANGE_BOUND, || {
            let leader = self.leader_address(id, topic, partition)?;
            let mut wire = Wire::connect_to(leader);
            match try_produce(&mut wire, topic, partition, value) {
                0 => Some(()),
                error if RETRIABLE.contains(&error) => None,
                error => panic!("the record was refused with {error}"),
            }
        })
        .unwrap();
    }

    /// Waits until the leader shows exactly these records. Whoever asks right after a change of leaders may be sent to
    /// the last one, which shows what it knows; what was acknowledged must come to light on the next one.
    fn await_records(&self, partition: usize, expected: &[&str]) {
        let mut last_seen = Vec::new();
        let outcome = wait::until("exactly the acknowledged records", CHANGE_BOUND, || {
            let leader = ALL
                .into_iter()
                .find_map(|id| self.leader_address(id, TOPIC, partition))?;
            last_seen = try_read(&mut Wire::connect_to(leader), partition).ok()?;
            (last_seen == expected).then_some(())
        });
        assert!(
            outcome.is_ok(),
            "expected {expected:?}, last seen {last_seen:?}"
        );
    }

    /// Every node tells the same brokers, topics and leaders.
    fn agree(&self) {
        wait::until("nodes that agree", CHANGE_BOUND, || {
            let views: Option<Vec<Metadata>> = ALL
                .into_iter()
                .map(|id| self.metadata(id, Some(&[TOPIC])))
                .collect();
            let views = views?;
            let is_whole = views[0].brokers.len() == ALL.len() && views[0].is_led();
            let is_same = views.iter().all(|view| {
                let sorted = |metadata: &Metadata| {
                    let mut brokers = metadata.brokers.clone();
                    brokers.sort_by_key(|broker| broker.id);
                    brokers
                };
                let leaders = |metadata: &Metadata| {
                    let partitions = metadata.partitions(TOPIC).iter();
                    let mut leaders: Vec<_> = partitions
                        .map(|known| (known.index, known.leader))
                        .collect();
                    leaders.sort();
                    leaders
                };
                sorted(view) == sorted(&views[0]) && leaders(view) == leaders(&views[0])
            });
            (is_whole && is_same).then_some(())
        })
        .unwrap();
    }

    /// Stops in order and fails on error lines that nobody announced.
    fn finish(mut self) {
        if is_kafka_the_target() {
            // A combined broker and controller waits for minutes for a quorum that stops, too.
            return;
        }
        self.cluster
            .stop()
            .unwrap_or_else(|refused| panic!("{refused}"));
        let offences = self.cluster.unannounced_errors(&[]).unwrap();
        assert!(
            offences.is_empty(),
            "the nodes logged:\n{}",
            offences.join("\n")
        );
    }

    fn await_all_led(&self, id: usize) {
        self.await_metadata(id, "leaders of all partitions", |metadata| {
            let partitions = metadata.partitions(TOPIC);
            partitions.len() == PARTITIONS && partitions.iter().all(|known| known.leader.is_some())
        })
        .unwrap();
    }

    /// Waits until this node tells all replicas of the topic to be in sync.
    fn await_in_sync(&self, id: usize) {
        self.await_metadata(id, "all replicas in sync", |metadata| {
            let partitions = metadata.partitions(TOPIC);
            let mut partitions = partitions.iter();
            partitions.all(|known| known.in_sync.len() == ALL.len())
        })
        .unwrap();
    }

    /// None while nobody leads, or while the leader does not run.
    fn leader_address(&self, id: usize, topic: &str, partition: usize) -> Option<SocketAddr> {
        let metadata = self.metadata(id, Some(&[topic]))?;
        let partitions = metadata.partitions(topic);
        let known = partitions
            .iter()
            .find(|known| known.index == i32::try_from(partition).unwrap())?;
        let leader = usize::try_from(known.leader?).unwrap();
        self.node(leader).pid()?;
        Some(self.node(leader).kafka_address())
    }
}

impl std::ops::Deref for Three {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl std::ops::DerefMut for Three {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

/// Kafka's error number; 0 is none.
pub(crate) fn try_create(wire: &mut Wire, topic: &str, replicas: usize) -> i16 {
    let topic = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(i32::try_from(PARTITIONS).unwrap())
        .with_replication_factor(i16::try_from(replicas).unwrap());
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(30_000);
    wire.ask(5, &request).topics[0].error_code
}

/// Kafka's error number; 0 is none.
pub(crate) fn try_produce(wire: &mut Wire, topic: &str, partition: usize, value: &str) -> i16 {
    let data = PartitionProduceData::default()
        .with_index(i32::try_from(partition).unwrap())
        .with_records(Some(Bytes::from(batch(value.as_bytes()))));
    let topic = TopicProduceData::default()
        .with_name(name(topic))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic]);
    wire.ask(9, &request).responses[0].partition_responses[0].error_code
}

/// The values of one partition, or Kafka's error number.
fn try_read(wire: &mut Wire, partition: usize) -> Result<Vec<String>, i16> {
    let wanted = FetchPartition::default()
        .with_partition(i32::try_from(partition).unwrap())
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(name(TOPIC))
        .with_partitions(vec![wanted]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_bytes(1 << 20)
        .with_min_bytes(0)
        .with_topics(vec![topic]);
    let answer = wire.ask(4, &request);
    let found = &answer.responses[0].partitions[0];
    match found.error_code {
        0 => Ok(values(found.records.as_deref().unwrap_or_default())),
        error => Err(error),
    }
}

/// The values of batches with one small record each.
fn values(mut records: &[u8]) -> Vec<String> {
    /// Length, attributes, two deltas, the length of a key that is none.
    const RECORD_HEAD_LEN: usize = 5;
    const BATCH_HEAD_LEN: usize = 61;
    let mut values = Vec::new();
    while records.len() > BATCH_HEAD_LEN {
        let len = u32::from_be_bytes(records[8..12].try_into().unwrap());
        let (batch, rest) = records.split_at(12 + usize::try_from(len).unwrap());
        let record = &batch[BATCH_HEAD_LEN..];
        let value_len = usize::from(record[RECORD_HEAD_LEN]) / 2;
        let value = &record[RECORD_HEAD_LEN + 1..][..value_len];
        values.push(String::from_utf8(value.to_vec()).unwrap());
        records = rest;
    }
    values
}
