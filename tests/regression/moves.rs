//! Replicas, leaders and nodes that move while clients run.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chronik_local::{ChronikOptions, Cluster, wait};
use kafka_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::describe_quorum_request::{
    DescribeQuorumRequest, PartitionData, TopicData,
};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_protocol::messages::{
    BrokerId, ElectLeadersRequest, ListPartitionReassignmentsRequest, TopicName,
    UnregisterBrokerRequest,
};
use kafka_protocol::protocol::StrBytes;

use crate::cluster::{try_create, try_produce};
use crate::support::{python, server, test_dir};
use crate::wire::Wire;

const TOPIC: &str = "moving";
const PARTITIONS: i32 = 3;
const BOUND: Duration = Duration::from_secs(60);
const STILL_HOLDS: i16 = 44;
const LATEST: i64 = -1;

#[test]
fn leaders_are_where_elections_put_them() {
    let dir = test_dir();
    let mut cluster = ChronikOptions::new(server(), dir.path())
        .cluster(3)
        .unwrap();
    cluster.start().unwrap();
    create_topic(&cluster);
    let leader = cluster.await_leader(1, TOPIC, 0, &[1, 2, 3]).unwrap();
    let next = leader % 3 + 1;
    let other = next % 3 + 1;
    // The same replicas in another order: another one is preferred.
    reassign(&cluster, leader, &[0], &[next, other, leader]);
    await_settled(&cluster, leader);
    let mut wire = Wire::connect_to(cluster.node(other).kafka_address());
    let topic = TopicPartitions::default()
        .with_topic(name(TOPIC))
        .with_partitions(vec![0]);
    let request = ElectLeadersRequest::default()
        .with_topic_partitions(Some(vec![topic]))
        .with_timeout_ms(30_000);
    let answer = wire.ask(2, &request);
    let error = answer.replica_election_results[0].partition_result[0].error_code;
    // 84: balancing was faster.
    assert!([0, 84].contains(&error), "{error}");
    cluster.await_leader(other, TOPIC, 0, &[next]).unwrap();
    let again = wire.ask(2, &request);
    assert_eq!(
        again.replica_election_results[0].partition_result[0].error_code,
        84
    );
    let (voters, _) = quorum(&cluster, other);
    assert_eq!(voters, [1, 2, 3]);
    finish(cluster, &[]);
}

#[test]
fn a_fourth_node_takes_the_place_of_one_that_leaves() {
    let dir = test_dir();
    let mut cluster = ChronikOptions::new(server(), dir.path())
        .cluster_with_later(3, 1)
        .unwrap();
    cluster.spawn(&[1, 2, 3]).unwrap();
    cluster.await_ready(&[1, 2, 3]).unwrap();
    create_topic(&cluster);
    let mut load = Load::start(&cluster, TOPIC, PARTITIONS);
    load.await_line("steady");

    cluster.node_mut(4).begin().unwrap();
    let everybody = "four nodes";
    cluster
        .await_metadata(2, everybody, |metadata| metadata.brokers.len() == 4)
        .unwrap();
    assert_eq!(unregister(&cluster, 1), STILL_HOLDS);
    let all: Vec<i32> = (0..PARTITIONS).collect();
    // Another node may hear of the moves so late that it has none to wait for.
    reassign(&cluster, 2, &all, &[4, 2, 3]);
    await_settled(&cluster, 2);
    assert_eq!(unregister(&cluster, 1), 0);
    // Another node votes instead before this one goes.
    wait::until("three other voters", BOUND, || {
        let (voters, observers) = quorum(&cluster, 2);
        (voters == [2, 3, 4] && observers.is_empty()).then_some(())
    })
    .unwrap();
    cluster.node_mut(1).stop().unwrap();
    load.say("fault");
    load.await_line("recovered");
    load.stop();
    let metadata = cluster.metadata(4, Some(&[TOPIC])).unwrap();
    for partition in metadata.partitions(TOPIC) {
        assert_eq!(partition.replicas, [4, 2, 3]);
    }
    finish(cluster, &[]);
}

/// A checkpoint is older than what follows it in the log. Whoever starts from one that still names this node as the
/// only holder of a partition must not begin the partition again: it would lead at once, and acknowledge.
#[test]
fn what_moved_away_is_not_begun_again_after_all_nodes_crashed() {
    let dir = test_dir();
    let mut cluster = ChronikOptions::new(server(), dir.path())
        .cluster(3)
        .unwrap();
    cluster.start().unwrap();
    create_topic_with(&cluster, 1);
    let old = cluster.await_leader(1, TOPIC, 0, &[1, 2, 3]).unwrap();
    let new = old % 3 + 1;
    produce(&cluster, old, "kept");
    let checkpoint = cluster.node(old).data_dir().join("wal/checkpoint");
    let names_it = || {
        std::fs::read(&checkpoint)
            .ok()
            .filter(|now| holds(now, TOPIC))
    };
    let older = wait::until("a checkpoint with the topic", BOUND, names_it).unwrap();
    reassign(&cluster, old, &[0], &[new]);
    await_settled(&cluster, old);
    let log = cluster.node(old).log().to_owned();
    let destroyed = || {
        let log = std::fs::read_to_string(&log).expect("a log");
        log.matches("a replica that moved away is destroyed")
            .count()
    };
    wait::until("the end of the old replica", BOUND, || {
        (destroyed() == 1).then_some(())
    })
    .unwrap();
    write_something_on(&cluster, old);

    for id in [1, 2, 3] {
        cluster.node_mut(id).kill().unwrap();
    }
    std::fs::write(&checkpoint, older).unwrap();
    cluster.spawn(&[old]).unwrap();
    cluster.await_listening(&[old]).unwrap();
    // Long enough for a replica without peers to lead.
    for _ in 0..20 {
        let mut wire = Wire::connect_to(cluster.node(old).kafka_address());
        assert_ne!(try_produce(&mut wire, TOPIC, 0, "lost"), 0);
    }
    let others: Vec<usize> = [1, 2, 3].into_iter().filter(|id| *id != old).collect();
    cluster.spawn(&others).unwrap();
    cluster.await_ready(&[1, 2, 3]).unwrap();
    assert_eq!(
        cluster.await_leader(old, TOPIC, 0, &[1, 2, 3]).unwrap(),
        new
    );
    assert_eq!(end_offset(&cluster, 0), 1);
    assert_eq!(destroyed(), 1, "it was begun again");
    finish(cluster, &[]);
}

/// A default librdkafka producer that writes to every partition all the time.
pub(crate) struct Load {
    child: Child,
    input: ChildStdin,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Load {
    pub(crate) fn start(cluster: &Cluster, topic: &str, partitions: i32) -> Load {
        const RATE: &str = "200";
        let mut child = python("failover_confluent.py")
            .args([&cluster.bootstrap(), topic, &partitions.to_string(), RATE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let input = child.stdin.take().expect("a pipe");
        let output = child.stdout.take().expect("a pipe");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                seen.lock().unwrap().push(line);
            }
        });
        Load {
            child,
            input,
            lines,
        }
    }

    pub(crate) fn say(&mut self, word: &str) {
        writeln!(self.input, "{word}").expect("the load listens");
    }

    /// The first line with this beginning.
    pub(crate) fn await_line(&self, beginning: &'static str) -> String {
        wait::until(beginning, BOUND, || {
            let lines = self.lines.lock().unwrap();
            lines
                .iter()
                .find(|line| line.starts_with(beginning))
                .cloned()
        })
        .unwrap_or_else(|late| panic!("{late}; it said {:?}", self.lines.lock().unwrap()))
    }

    /// Ends the load and reads everything back: nothing may have failed, and nothing be missing. Returns how many records
    /// were sent.
    pub(crate) fn stop(mut self) -> i64 {
        self.say("read");
        let kept = self.await_line("kept");
        assert!(kept.ends_with(" missing 0"), "{kept}");
        let summary = self.await_line("sent");
        for gap in self.lines.lock().unwrap().iter() {
            println!("{gap}");
        }
        let _ = self.child.wait();
        let words: Vec<&str> = summary.split_whitespace().collect();
        assert_eq!(words[3], "0", "{summary}");
        words[1].parse().expect("a number")
    }
}

fn create_topic(cluster: &Cluster) {
    create_topic_with(cluster, 3);
}

fn create_topic_with(cluster: &Cluster, replicas: i16) {
    let topic = CreatableTopic::default()
        .with_name(name(TOPIC))
        .with_num_partitions(PARTITIONS)
        .with_replication_factor(replicas);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(30_000);
    let mut wire = Wire::connect_to(cluster.node(1).kafka_address());
    assert_eq!(wire.ask(5, &request).topics[0].error_code, 0);
}

fn reassign(cluster: &Cluster, asked: usize, partitions: &[i32], replicas: &[usize]) {
    reassign_of(cluster, TOPIC, asked, partitions, replicas);
}

pub(crate) fn reassign_of(
    cluster: &Cluster,
    topic: &str,
    asked: usize,
    partitions: &[i32],
    replicas: &[usize],
) {
    let replicas: Vec<BrokerId> = replicas
        .iter()
        .map(|id| BrokerId(i32::try_from(*id).unwrap()))
        .collect();
    let partitions = partitions.iter().map(|index| {
        ReassignablePartition::default()
            .with_partition_index(*index)
            .with_replicas(Some(replicas.clone()))
    });
    let topic = ReassignableTopic::default()
        .with_name(name(topic))
        .with_partitions(partitions.collect());
    let request = AlterPartitionReassignmentsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(30_000);
    let answer = Wire::connect_to(cluster.node(asked).kafka_address()).ask(0, &request);
    assert_eq!(answer.error_code, 0);
    for row in &answer.responses[0].partitions {
        assert_eq!(row.error_code, 0, "{:?}", row.error_message);
    }
}

pub(crate) fn await_settled(cluster: &Cluster, asked: usize) {
    let mut wire = Wire::connect_to(cluster.node(asked).kafka_address());
    wait::until("the end of all moves", BOUND, || {
        let request = ListPartitionReassignmentsRequest::default().with_topics(None);
        let answer = wire.ask(0, &request);
        answer.topics.is_empty().then_some(())
    })
    .unwrap();
}

fn unregister(cluster: &Cluster, node: i32) -> i16 {
    let request = UnregisterBrokerRequest::default().with_broker_id(BrokerId(node));
    Wire::connect_to(cluster.node(2).kafka_address())
        .ask(0, &request)
        .error_code
}

/// Who votes in the metadata group, and who only learns.
fn quorum(cluster: &Cluster, asked: usize) -> (Vec<i32>, Vec<i32>) {
    let topic = TopicData::default()
        .with_topic_name(name("__cluster_metadata"))
        .with_partitions(vec![PartitionData::default()]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let answer = Wire::connect_to(cluster.node(asked).kafka_address()).ask(2, &request);
    let partition = &answer.topics[0].partitions[0];
    let ids = |states: &[kafka_protocol::messages::describe_quorum_response::ReplicaState]| {
        let mut ids: Vec<i32> = states.iter().map(|state| state.replica_id.0).collect();
        ids.sort_unstable();
        ids
    };
    (ids(&partition.current_voters), ids(&partition.observers))
}

fn end_offset(cluster: &Cluster, partition: i32) -> i64 {
    let at = usize::try_from(partition).unwrap();
    let leader = cluster.await_leader(2, TOPIC, at, &cluster.ids()).unwrap();
    let partition = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_timestamp(LATEST);
    let topic = ListOffsetsTopic::default()
        .with_name(name(TOPIC))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic]);
    let answer = Wire::connect_to(cluster.node(leader).kafka_address()).ask(1, &request);
    answer.topics[0].partitions[0].offset
}

fn produce(cluster: &Cluster, leader: usize, value: &str) {
    let mut wire = Wire::connect_to(cluster.node(leader).kafka_address());
    assert_eq!(try_produce(&mut wire, TOPIC, 0, value), 0);
}

/// What a node ordered to be written before is on its disk afterwards.
fn write_something_on(cluster: &Cluster, node: usize) {
    const LATER: &str = "later";
    let mut wire = Wire::connect_to(cluster.node(node).kafka_address());
    assert_eq!(try_create(&mut wire, LATER, 1), 0);
    let led_here = (0..cluster.ids().len()).find(|partition| {
        let led = cluster.await_leader(node, LATER, *partition, &cluster.ids());
        led.unwrap() == node
    });
    let partition = led_here.expect("a topic is spread over all nodes");
    assert_eq!(try_produce(&mut wire, LATER, partition, "later"), 0);
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

pub(crate) fn finish(mut cluster: Cluster, announced: &[&str]) {
    cluster.stop().unwrap_or_else(|refused| panic!("{refused}"));
    let offences = cluster.unannounced_errors(announced).unwrap();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}
