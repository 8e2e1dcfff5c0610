//! Consumer groups over crashes: generations go on, committed offsets stay, and their log does not grow for ever.

use std::time::Duration;

use bytes::Bytes;
use chronik_local::wait;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use crate::support::Broker;
use crate::wire::Wire;

const TOPIC: &str = "work";
const GROUP: &str = "workers";
const PARTITIONS: i32 = 100;
/// Enough commits of all partitions that the coordinator keeps its state instead of their records.
const COMMITS: i64 = 800;
/// Committed records are let go after the next checkpoint, which comes every few seconds.
const TRIM_BOUND: Duration = Duration::from_secs(60);
const NO_ERROR: i16 = 0;
const NOT_COORDINATOR: i16 = 16;
const LOADING: i16 = 14;
const UNKNOWN_MEMBER_ID: i16 = 25;
const EARLIEST: i64 = -2;

#[test]
fn a_crash_of_the_coordinator_is_not_a_rebalance() {
    let mut broker = Broker::start();
    let mut wire = prepared(&broker);
    let member = join(&mut wire);
    assert_eq!(sync(&mut wire, &member), "everything");
    assert_eq!(commit(&mut wire, &member, 1, 42), NO_ERROR);
    broker.kill_and_restart();
    let mut wire = Wire::connect(&broker);
    assert_eq!(find_coordinator(&mut wire), NO_ERROR);
    assert_eq!(heartbeat(&mut wire, &member, 1), NO_ERROR);
    assert_eq!(fetch(&mut wire), vec![42; PARTITIONS as usize]);
    assert_eq!(sync(&mut wire, &member), "everything");
    assert_eq!(commit(&mut wire, &member, 1, 43), NO_ERROR);
    assert_eq!(heartbeat(&mut wire, "stranger", 1), UNKNOWN_MEMBER_ID);
    broker.finish();
}

#[test]
fn the_log_of_commits_is_bounded_and_what_was_committed_stays() {
    let mut broker = Broker::start();
    let mut wire = prepared(&broker);
    for offset in 0..COMMITS {
        assert_eq!(commit(&mut wire, "", -1, offset), NO_ERROR);
    }
    let trimmed = || {
        let starts =
            (0..offsets_partitions(&mut wire)).map(|partition| start_of(&mut wire, partition));
        starts.max().filter(|start| *start > 0)
    };
    wait::until("records of commits to be let go", TRIM_BOUND, trimmed).unwrap();
    for _ in 0..2 {
        broker.kill_and_restart();
        wire = Wire::connect(&broker);
        assert_eq!(fetch(&mut wire), vec![COMMITS - 1; PARTITIONS as usize]);
    }
    broker.finish();
}

fn prepared(broker: &Broker) -> Wire {
    let mut wire = Wire::connect(broker);
    let topic = CreatableTopic::default()
        .with_name(TopicName(text(TOPIC)))
        .with_num_partitions(PARTITIONS)
        .with_replication_factor(-1);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(10_000);
    assert_eq!(wire.ask(5, &request).topics[0].error_code, NO_ERROR);
    assert_eq!(find_coordinator(&mut wire), NO_ERROR);
    wire
}

fn find_coordinator(wire: &mut Wire) -> i16 {
    wire.ask(3, &FindCoordinatorRequest::default().with_key(text(GROUP)))
        .error_code
}

/// Joins alone and becomes the leader of generation 1.
fn join(wire: &mut Wire) -> String {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"me"));
    let request = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let joined = wire.ask(3, &request);
    assert_eq!((joined.error_code, joined.generation_id), (NO_ERROR, 1));
    assert_eq!(joined.leader, joined.member_id);
    joined.member_id.to_string()
}

fn sync(wire: &mut Wire, member: &str) -> String {
    let everything = SyncGroupRequestAssignment::default()
        .with_member_id(text(member))
        .with_assignment("everything".into());
    let request = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(1)
        .with_member_id(text(member))
        .with_assignments(vec![everything]);
    let synced = wire.ask(3, &request);
    assert_eq!(synced.error_code, NO_ERROR);
    String::from_utf8(synced.assignment.to_vec()).expect("our own text")
}

fn heartbeat(wire: &mut Wire, member: &str, generation: i32) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(text(member))
        .with_generation_id(generation);
    wire.ask(3, &request).error_code
}

/// Commits the same offset for every partition; returns the first error.
fn commit(wire: &mut Wire, member: &str, generation: i32, offset: i64) -> i16 {
    let partition = |index| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
    };
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(text(TOPIC)))
        .with_partitions((0..PARTITIONS).map(partition).collect());
    let request = OffsetCommitRequest::default()
        .with_group_id(group())
        .with_member_id(text(member))
        .with_generation_id_or_member_epoch(generation)
        .with_topics(vec![topic]);
    let committed = wire.ask(7, &request);
    let mut errors = committed
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|found| found.error_code);
    errors.find(|error| *error != NO_ERROR).unwrap_or(NO_ERROR)
}

/// What the group committed, by partition. A coordinator that loads may ask to come back.
fn fetch(wire: &mut Wire) -> Vec<i64> {
    let request = OffsetFetchRequest::default()
        .with_group_id(group())
        .with_topics(None);
    let fetched = wait::until(
        "the coordinator to be loaded",
        Duration::from_secs(10),
        || {
            let fetched = wire.ask(7, &request);
            (![LOADING, NOT_COORDINATOR].contains(&fetched.error_code)).then_some(fetched)
        },
    );
    let fetched = fetched.unwrap();
    assert_eq!(fetched.error_code, NO_ERROR);
    fetched
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|found| found.committed_offset)
        .collect()
}

fn offsets_partitions(wire: &mut Wire) -> i32 {
    let name = Some(TopicName(text("__consumer_offsets")));
    let topic = metadata_request::MetadataRequestTopic::default().with_name(name);
    let metadata = wire.ask(
        8,
        &MetadataRequest::default().with_topics(Some(vec![topic])),
    );
    i32::try_from(metadata.topics[0].partitions.len()).expect("a few partitions")
}

fn start_of(wire: &mut Wire, partition: i32) -> i64 {
    let partition = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_timestamp(EARLIEST);
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(text("__consumer_offsets")))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic]);
    wire.ask(4, &request).topics[0].partitions[0].offset
}

fn group() -> GroupId {
    GroupId(text(GROUP))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
