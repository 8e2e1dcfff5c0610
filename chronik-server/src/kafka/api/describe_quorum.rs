//! DescribeQuorum: the metadata group and how far its members are, in the words of Kafka's own.

use kafka_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::convert::{broker_id, text};
use crate::broker::{Quorum, QuorumMember};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// The only group that is described, and its only partition.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// Versions that carry messages and where the members are reached.
const NODES_FROM: i16 = 2;
/// Nobody measures when a member fetched: it is sent to.
const NO_TIMESTAMP: i64 = -1;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let quorum = call.broker().quorum().await;
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            let index = partition.partition_index;
            let is_known = &**topic.topic_name == METADATA_TOPIC && index == 0;
            match &quorum {
                _ if !is_known => failed(index, ErrorCode::UnknownTopicOrPartition),
                Some(quorum) => describe(index, quorum),
                None => failed(index, ErrorCode::LeaderNotAvailable),
            }
        });
        TopicData::default()
            .with_partitions(partitions.collect())
            .with_topic_name(topic.topic_name)
    });
    let response = DescribeQuorumResponse::default()
        .with_error_message(None)
        .with_topics(topics.collect());
    match call.version() {
        NODES_FROM.. => response.with_nodes(nodes(call, quorum.as_ref())),
        _ => response,
    }
}

fn describe(index: i32, quorum: &Quorum) -> PartitionData {
    let (voters, observers): (Vec<&QuorumMember>, Vec<&QuorumMember>) =
        quorum.members.iter().partition(|member| member.votes);
    let states = |members: Vec<&QuorumMember>| members.into_iter().map(state).collect();
    PartitionData::default()
        .with_error_message(None)
        .with_partition_index(index)
        .with_leader_id(broker_id(quorum.leader))
        .with_leader_epoch(quorum.epoch)
        .with_high_watermark(quorum.committed as i64 + 1)
        .with_current_voters(states(voters))
        .with_observers(states(observers))
}

fn state(member: &QuorumMember) -> ReplicaState {
    ReplicaState::default()
        .with_replica_id(broker_id(member.node))
        .with_log_end_offset(member.matched as i64 + 1)
        .with_last_fetch_timestamp(NO_TIMESTAMP)
        .with_last_caught_up_timestamp(NO_TIMESTAMP)
}

fn failed(index: i32, error: ErrorCode) -> PartitionData {
    PartitionData::default()
        .with_partition_index(index)
        .with_error_code(error.number())
        .with_error_message(Some(text("only the metadata group is described here")))
        .with_leader_id(kafka_protocol::messages::BrokerId(-1))
}

/// Where the voters talk to each other.
fn nodes(call: &Call, quorum: Option<&Quorum>) -> Vec<Node> {
    let view = call.broker().view();
    let members = quorum.into_iter().flat_map(|quorum| &quorum.members);
    let node = |member: &QuorumMember| {
        let known = view.catalog.nodes.get(&member.node)?;
        let (host, port) = known.peer_address.rsplit_once(':')?;
        let listener = Listener::default()
            .with_name(text("PEER"))
            .with_host(text(host))
            .with_port(port.parse().ok()?);
        let node = Node::default()
            .with_node_id(broker_id(member.node))
            .with_listeners(vec![listener]);
        Some(node)
    };
    members.filter_map(node).collect()
}
