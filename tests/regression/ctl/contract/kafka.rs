//! The clients' door of a cluster that is made up: the few requests that the tool sends.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::play::CLUSTER;
use super::world::{NODES, PARTITIONS, Partition, THEN_MS, World};

const UNKNOWN_TOPIC: i16 = 3;
const TOPIC_EXISTS: i16 = 36;
const INVALID_PARTITIONS: i16 = 37;
const INVALID_ASSIGNMENT: i16 = 39;
const INVALID_CONFIG: i16 = 40;
const NOT_LEADER: i16 = 6;
/// The only group, and how far it is in both partitions of `orders`.
const GROUP: &str = "billing";
const COMMITTED: [i64; 2] = [50, 0];

pub(super) async fn serve(world: Arc<World>, node: u64, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        if world.answers(node) {
            let world = world.clone();
            // Whoever hangs up has heard enough.
            tokio::spawn(async move { _ = converse(&world, node, stream).await });
        }
    }
}

async fn converse(world: &World, node: u64, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let len = stream.read_i32().await?;
        let mut frame = vec![0; len as usize];
        stream.read_exact(&mut frame).await?;
        let answer = answer(world, node, Bytes::from(frame));
        stream.write_i32(answer.len() as i32).await?;
        stream.write_all(&answer).await?;
    }
}

fn answer(world: &World, node: u64, frame: Bytes) -> BytesMut {
    let (key, version) = (
        i16::from_be_bytes([frame[0], frame[1]]),
        (&frame[2..]).get_i16(),
    );
    let heard = Heard {
        world,
        node,
        frame,
        version,
    };
    match ApiKey::try_from(key).expect("a known request") {
        ApiKey::Metadata => heard.reply(metadata),
        ApiKey::Produce => heard.reply(produce),
        ApiKey::Fetch => heard.reply(fetch),
        ApiKey::ListOffsets => heard.reply(list_offsets),
        ApiKey::DescribeConfigs => heard.reply(describe_configs),
        ApiKey::IncrementalAlterConfigs => heard.reply(alter_configs),
        ApiKey::CreateTopics => heard.reply(create_topics),
        ApiKey::DeleteTopics => heard.reply(delete_topics),
        ApiKey::CreatePartitions => heard.reply(create_partitions),
        ApiKey::DeleteRecords => heard.reply(delete_records),
        ApiKey::DescribeLogDirs => heard.reply(log_dirs),
        ApiKey::ElectLeaders => heard.reply(elect),
        ApiKey::ListPartitionReassignments => heard.reply(reassignments),
        ApiKey::AlterPartitionReassignments => heard.reply(reassign),
        ApiKey::FindCoordinator => heard.reply(find_coordinator),
        ApiKey::ListGroups => heard.reply(list_groups),
        ApiKey::DescribeGroups => heard.reply(describe_groups),
        ApiKey::OffsetFetch => heard.reply(offset_fetch),
        ApiKey::OffsetCommit => heard.reply(offset_commit),
        ApiKey::DeleteGroups => heard.reply(delete_groups),
        other => panic!("{other:?} is not made up yet"),
    }
}

/// A request, as the node that was asked has it.
struct Heard<'a> {
    world: &'a World,
    node: u64,
    frame: Bytes,
    version: i16,
}

impl Heard<'_> {
    fn reply<R>(self, answer: impl FnOnce(&World, u64, R) -> R::Response) -> BytesMut
    where
        R: Request + Decodable,
        R::Response: Encodable,
    {
        let mut frame = self.frame.clone();
        let header = RequestHeader::decode(&mut frame, R::header_version(self.version));
        let header = header.expect("a header");
        let request = R::decode(&mut frame, self.version).expect("a request");
        let response = answer(self.world, self.node, request);
        let mut out = BytesMut::new();
        ResponseHeader::default()
            .with_correlation_id(header.correlation_id)
            .encode(&mut out, R::Response::header_version(self.version))
            .expect("a header");
        response.encode(&mut out, self.version).expect("an answer");
        out
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn broker(node: u64) -> BrokerId {
    BrokerId(node as i32)
}

fn partitions(topic: &str) -> impl Iterator<Item = &'static Partition> {
    let topic = topic.to_owned();
    PARTITIONS
        .iter()
        .filter(move |partition| partition.topic == topic)
}

/// A partition that exists still.
fn find(world: &World, topic: &str, number: i32) -> Option<&'static Partition> {
    let mut known = partitions(topic).filter(|partition| !world.is_gone(partition.topic));
    known.find(|partition| partition.number as i32 == number)
}

fn metadata(world: &World, _: u64, request: MetadataRequest) -> MetadataResponse {
    let brokers = NODES.into_iter().filter(|node| world.answers(*node));
    let brokers = brokers.map(|node| {
        let (host, port) = world.doors(node).kafka.split_once(':').expect("HOST:PORT");
        MetadataResponseBroker::default()
            .with_node_id(broker(node))
            .with_host(text(host))
            .with_port(port.parse().expect("a port"))
    });
    let wanted: Vec<String> = match request.topics {
        None => world.topics().iter().map(ToString::to_string).collect(),
        Some(topics) => {
            let names = topics.into_iter().filter_map(|topic| topic.name);
            names.map(|name| name.to_string()).collect()
        }
    };
    let topics = wanted.iter().map(|name| described(world, name));
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text(CLUSTER)))
        .with_controller_id(broker(2))
        .with_topics(topics.collect())
}

fn described(world: &World, name: &str) -> MetadataResponseTopic {
    let topic = MetadataResponseTopic::default().with_name(Some(topic_name(name)));
    if !world.topics().contains(name) {
        return topic.with_error_code(UNKNOWN_TOPIC);
    }
    let mut described: Vec<MetadataResponsePartition> = partitions(name)
        .map(|partition| {
            let leader = world.leader(partition);
            let moved = name == "orders" && world.has_changed("AlterPartitionReassignments");
            let replicas = match moved {
                true => vec![1, 2],
                false => partition.replicas.to_vec(),
            };
            let in_sync = replicas.iter().filter(|node| world.answers(**node));
            MetadataResponsePartition::default()
                .with_partition_index(partition.number as i32)
                .with_leader_id(leader.map_or(BrokerId(-1), broker))
                .with_leader_epoch(7)
                .with_isr_nodes(in_sync.map(|node| broker(*node)).collect())
                .with_replica_nodes(replicas.iter().map(|node| broker(*node)).collect())
        })
        .collect();
    if name == "orders" && world.has_changed("CreatePartitions") {
        let more = described[0].clone().with_partition_index(2);
        described.push(more);
    }
    topic.with_partitions(described)
}

fn produce(world: &World, node: u64, request: ProduceRequest) -> ProduceResponse {
    let topics = request.topic_data.into_iter().map(|topic| {
        let answers = topic.partition_data.iter().map(|data| {
            let partition = find(world, &topic.name, data.index);
            let leads = partition.is_some_and(|it| world.leader(it) == Some(node));
            PartitionProduceResponse::default()
                .with_index(data.index)
                .with_error_code(if leads { 0 } else { NOT_LEADER })
                .with_base_offset(partition.map_or(-1, |partition| partition.end))
        });
        TopicProduceResponse::default()
            .with_partition_responses(answers.collect())
            .with_name(topic.name.clone())
    });
    let topics = topics.collect();
    world.change("Produce");
    ProduceResponse::default().with_responses(topics)
}

/// Two records of `orders/1`, and none of others.
fn fetch(world: &World, _: u64, request: FetchRequest) -> FetchResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let answers = topic.partitions.iter().map(|asked| {
            let known = find(world, &topic.topic, asked.partition);
            let end = known.map_or(0, |partition| partition.end);
            let is_there = known.is_some_and(|partition| partition.group == 1025);
            let records = is_there.then(|| batch(asked.fetch_offset, end));
            PartitionData::default()
                .with_partition_index(asked.partition)
                .with_high_watermark(end)
                .with_records(records)
        });
        FetchableTopicResponse::default()
            .with_partitions(answers.collect())
            .with_topic(topic.topic.clone())
    });
    FetchResponse::default().with_responses(topics.collect())
}

fn batch(from: i64, end: i64) -> Bytes {
    let record = |offset: i64| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: NO_SEQUENCE.wrapping_add(offset as i32),
        timestamp: THEN_MS as i64,
        key: Some(Bytes::from_static(b"customer-7")),
        value: Some(Bytes::from(format!("order {offset}"))),
        headers: IndexMap::new(),
    };
    let records: Vec<Record> = (from..end).map(record).collect();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut batch = BytesMut::new();
    if !records.is_empty() {
        RecordBatchEncoder::encode(&mut batch, &records, &options).expect("a batch");
    }
    batch.freeze()
}

fn list_offsets(world: &World, _: u64, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let answers = topic.partitions.iter().map(|asked| {
            let known = find(world, &topic.name, asked.partition_index);
            let is_moved = world.has_changed("DeleteRecords");
            let offset = known.map_or(-1, |known| match asked.timestamp {
                -2 if is_moved && known.group == 1024 => 60,
                -2 => known.start,
                -1 => known.end,
                // The first record after any moment.
                _ => known.start + 20,
            });
            ListOffsetsPartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(if known.is_some() { 0 } else { UNKNOWN_TOPIC })
                .with_offset(offset)
        });
        ListOffsetsTopicResponse::default()
            .with_partitions(answers.collect())
            .with_name(topic.name.clone())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn describe_configs(
    world: &World,
    _: u64,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| {
        let name = resource.resource_name.to_string();
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        let is_topic = resource.resource_type == 2;
        if is_topic && !world.topics().contains(name.as_str()) {
            return result.with_error_code(UNKNOWN_TOPIC);
        }
        let is_set = world.has_changed("IncrementalAlterConfigs");
        let (retention, source) = if is_set {
            ("2000000", 1)
        } else {
            ("604800000", 5)
        };
        result.with_configs(match is_topic {
            true => vec![
                config("cleanup.policy", "compact", "delete", 1),
                config("retention.ms", retention, "604800000", source),
            ],
            false => vec![config("num.partitions", "4", "4", 4).with_read_only(true)],
        })
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn config(name: &str, value: &str, default: &str, source: i8) -> DescribeConfigsResourceResult {
    let synonym = DescribeConfigsSynonym::default()
        .with_name(text(name))
        .with_value(Some(text(default)))
        .with_source(5);
    DescribeConfigsResourceResult::default()
        .with_name(text(name))
        .with_value(Some(text(value)))
        .with_config_source(source)
        .with_synonyms(vec![synonym])
}

fn alter_configs(
    world: &World,
    _: u64,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let trial = request.validate_only;
    let responses = request.resources.into_iter().map(|resource| {
        let known = world.topics().contains(resource.resource_name.as_str());
        let mut configs = resource.configs.iter();
        let wrong = configs.find(|config| {
            config
                .value
                .as_ref()
                .is_some_and(|it| it.as_str() == "soon")
        });
        let (error, message) = match (known, wrong) {
            (false, _) => (UNKNOWN_TOPIC, None),
            (true, Some(config)) => {
                let message = format!("{}=\"soon\" is not a whole number", config.name);
                (INVALID_CONFIG, Some(text(&message)))
            }
            (true, None) => (0, None),
        };
        AlterConfigsResourceResponse::default()
            .with_error_code(error)
            .with_error_message(message)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
    });
    let responses: Vec<_> = responses.collect();
    if !trial && responses.iter().all(|response| response.error_code == 0) {
        world.change("IncrementalAlterConfigs");
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

fn create_topics(world: &World, _: u64, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let results = request.topics.into_iter().map(|topic| {
        let exists = world.topics().contains(topic.name.as_str());
        let message = format!("topic {} exists already", topic.name.as_str());
        CreatableTopicResult::default()
            .with_error_code(if exists { TOPIC_EXISTS } else { 0 })
            .with_error_message(exists.then(|| text(&message)))
            .with_name(topic.name)
    });
    let results: Vec<_> = results.collect();
    if !request.validate_only && results.iter().any(|result| result.error_code == 0) {
        world.change("CreateTopics");
    }
    CreateTopicsResponse::default().with_topics(results)
}

fn delete_topics(world: &World, _: u64, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let results = request.topic_names.into_iter().map(|name| {
        let exists = world.topics().contains(name.as_str());
        DeletableTopicResult::default()
            .with_error_code(if exists { 0 } else { UNKNOWN_TOPIC })
            .with_name(Some(name))
    });
    let results = results.collect();
    world.change("DeleteTopics");
    DeleteTopicsResponse::default().with_responses(results)
}

fn create_partitions(
    world: &World,
    _: u64,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let results = request.topics.into_iter().map(|topic| {
        let present = partitions(&topic.name).count() as i32;
        let message = format!(
            "the topic has {present} partitions, {} are not more",
            topic.count
        );
        let is_more = topic.count > present;
        CreatePartitionsTopicResult::default()
            .with_error_code(if is_more { 0 } else { INVALID_PARTITIONS })
            .with_error_message((!is_more).then(|| text(&message)))
            .with_name(topic.name)
    });
    let results: Vec<_> = results.collect();
    if !request.validate_only && results.iter().all(|result| result.error_code == 0) {
        world.change("CreatePartitions");
    }
    CreatePartitionsResponse::default().with_results(results)
}

fn delete_records(world: &World, _: u64, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let rows = topic.partitions.iter().map(|asked| {
            DeleteRecordsPartitionResult::default()
                .with_partition_index(asked.partition_index)
                .with_low_watermark(asked.offset)
        });
        DeleteRecordsTopicResult::default()
            .with_partitions(rows.collect())
            .with_name(topic.name.clone())
    });
    let topics = topics.collect();
    world.change("DeleteRecords");
    DeleteRecordsResponse::default().with_topics(topics)
}

fn log_dirs(world: &World, _: u64, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| {
        let rows = topic.partitions.iter().filter_map(|number| {
            let known = find(world, &topic.topic, *number)?;
            let size = (known.end - known.start) * 1000;
            let row = DescribeLogDirsPartition::default().with_partition_index(*number);
            Some(row.with_partition_size(size))
        });
        DescribeLogDirsTopic::default()
            .with_partitions(rows.collect())
            .with_name(topic.topic.clone())
    });
    let dir = DescribeLogDirsResult::default().with_topics(topics.collect());
    DescribeLogDirsResponse::default().with_results(vec![dir])
}

fn elect(world: &World, _: u64, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let asked = request.topic_partitions.unwrap_or_default().into_iter();
    let results = asked.map(|asked| {
        let rows = asked.partitions.iter();
        let rows = rows.map(|number| PartitionResult::default().with_partition_id(*number));
        ReplicaElectionResult::default()
            .with_partition_result(rows.collect())
            .with_topic(asked.topic.clone())
    });
    let results = results.collect();
    world.change("ElectLeaders");
    ElectLeadersResponse::default().with_replica_election_results(results)
}

fn reassignments(
    world: &World,
    _: u64,
    _: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    if !world.is_hurt() {
        return ListPartitionReassignmentsResponse::default();
    }
    let moving = OngoingPartitionReassignment::default()
        .with_partition_index(0)
        .with_replicas(vec![broker(1), broker(3), broker(2)])
        .with_adding_replicas(vec![broker(3)])
        .with_removing_replicas(vec![broker(2)]);
    let topic = OngoingTopicReassignment::default()
        .with_name(topic_name("orders"))
        .with_partitions(vec![moving]);
    ListPartitionReassignmentsResponse::default().with_topics(vec![topic])
}

fn reassign(
    world: &World,
    _: u64,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let responses = request.topics.into_iter().map(|topic| {
        let rows = topic.partitions.iter().map(|asked| {
            let is_known = |node: &BrokerId| NODES.contains(&(node.0 as u64));
            let nodes = asked.replicas.iter().flatten();
            let error = if nodes.clone().all(is_known) {
                0
            } else {
                INVALID_ASSIGNMENT
            };
            ReassignablePartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(error)
        });
        ReassignableTopicResponse::default()
            .with_partitions(rows.collect())
            .with_name(topic.name.clone())
    });
    let responses = responses.collect();
    world.change("AlterPartitionReassignments");
    AlterPartitionReassignmentsResponse::default().with_responses(responses)
}

fn find_coordinator(world: &World, _: u64, _: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let (host, port) = world.doors(1).kafka.split_once(':').expect("HOST:PORT");
    FindCoordinatorResponse::default()
        .with_node_id(broker(1))
        .with_host(text(host))
        .with_port(port.parse().expect("a port"))
}

fn list_groups(world: &World, node: u64, _: ListGroupsRequest) -> ListGroupsResponse {
    let listed = ListedGroup::default()
        .with_group_id(GroupId(text(GROUP)))
        .with_protocol_type(text("consumer"))
        .with_group_state(text("Empty"));
    let is_here = node == 1 && !world.has_changed("DeleteGroups");
    ListGroupsResponse::default().with_groups(if is_here { vec![listed] } else { Vec::new() })
}

fn describe_groups(
    world: &World,
    _: u64,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let groups = request.groups.into_iter().map(|group| {
        let is_known = group.as_str() == GROUP && !world.has_changed("DeleteGroups");
        DescribedGroup::default()
            .with_group_state(text(if is_known { "Empty" } else { "Dead" }))
            .with_protocol_type(text(if is_known { "consumer" } else { "" }))
            .with_group_id(group)
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn offset_fetch(world: &World, _: u64, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if request.group_id.as_str() != GROUP {
        return OffsetFetchResponse::default();
    }
    let rows = COMMITTED.iter().zip(0..).map(|(committed, number)| {
        let is_moved = world.has_changed("OffsetCommit");
        let start = find(world, "orders", number).map_or(0, |partition| partition.start);
        OffsetFetchResponsePartition::default()
            .with_partition_index(number)
            .with_committed_offset(if is_moved { start } else { *committed })
    });
    let topic = OffsetFetchResponseTopic::default()
        .with_name(topic_name("orders"))
        .with_partitions(rows.collect());
    OffsetFetchResponse::default().with_topics(vec![topic])
}

fn offset_commit(world: &World, _: u64, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let rows = topic.partitions.iter().map(|asked| {
            OffsetCommitResponsePartition::default().with_partition_index(asked.partition_index)
        });
        OffsetCommitResponseTopic::default()
            .with_partitions(rows.collect())
            .with_name(topic.name.clone())
    });
    let topics = topics.collect();
    world.change("OffsetCommit");
    OffsetCommitResponse::default().with_topics(topics)
}

fn delete_groups(world: &World, _: u64, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let results = request.groups_names.into_iter();
    let results = results.map(|group| DeletableGroupResult::default().with_group_id(group));
    let results = results.collect();
    world.change("DeleteGroups");
    DeleteGroupsResponse::default().with_results(results)
}
