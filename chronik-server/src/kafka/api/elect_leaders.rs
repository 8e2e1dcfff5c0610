//! ElectLeaders: brings leadership back to the preferred replicas.
//!
//! A leader here is always a preferred one or about to be: each partition has one replica. What is left to say is
//! which partitions have no leader yet.

use chronik_core::catalog::Topic;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::convert::{text, topic_name};
use crate::broker::View;
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let view = call.broker().view();
    let asked = match request.topic_partitions {
        Some(topics) => topics
            .into_iter()
            .map(|asked| (asked.topic, asked.partitions))
            .collect(),
        None => every_partition(&view),
    };
    let results = asked.into_iter().map(|(name, partitions)| {
        let topic = view.catalog.topic(&name);
        let row = |index| row(index, judge(&view, topic.map(|topic| &**topic), index));
        ReplicaElectionResult::default()
            .with_partition_result(partitions.into_iter().map(row).collect())
            .with_topic(name)
    });
    ElectLeadersResponse::default().with_replica_election_results(results.collect())
}

fn every_partition(view: &View) -> Vec<(kafka_protocol::messages::TopicName, Vec<i32>)> {
    let topics = view.catalog.topics.values();
    let partitions = |topic: &Topic| (0..topic.partitions.len() as i32).collect();
    topics
        .map(|topic| (topic_name(&topic.name), partitions(topic)))
        .collect()
}

fn judge(view: &View, topic: Option<&Topic>, index: i32) -> ErrorCode {
    let index = usize::try_from(index).ok();
    let partition = index
        .zip(topic)
        .and_then(|(index, topic)| topic.partitions.get(index));
    let Some(partition) = partition else {
        return ErrorCode::UnknownTopicOrPartition;
    };
    let leader = view.leader(partition.group).node;
    if leader == partition.replicas.first().copied() {
        ErrorCode::ElectionNotNeeded
    } else {
        ErrorCode::PreferredLeaderNotAvailable
    }
}

fn row(index: i32, error: ErrorCode) -> PartitionResult {
    let message = match error {
        ErrorCode::ElectionNotNeeded => "the preferred replica leads already",
        ErrorCode::PreferredLeaderNotAvailable => "the preferred replica does not lead yet",
        _ => "there is no such partition",
    };
    PartitionResult::default()
        .with_partition_id(index)
        .with_error_code(error.number())
        .with_error_message(Some(text(message)))
}
