//! OffsetCommit: where a group stands, kept in the log before it is acknowledged.

use chronik_core::consumer_group::GroupError;
use chronik_core::consumer_group::message::{
    CommitRequest, CommittedPartition, CommittedTopic, TopicOutcome,
};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::convert::{member, topic_name};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

pub(in crate::kafka) async fn handle(
    call: &Call,
    mut request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let asked = std::mem::take(&mut request.topics);
    let known = known_partitions(call, &asked);
    let commit = CommitRequest {
        group: request.group_id.to_string(),
        member: member(request.member_id, request.group_instance_id),
        generation: request.generation_id_or_member_epoch,
        retention_ms: u64::try_from(request.retention_time_ms).ok(),
        topics: known,
    };
    let result = call.coordinator().commit_offsets(commit).await;
    OffsetCommitResponse::default().with_topics(answer(asked, result))
}

/// What exists of what the client commits for.
fn known_partitions(call: &Call, asked: &[OffsetCommitRequestTopic]) -> Vec<CommittedTopic> {
    let view = call.broker().view();
    let known = |topic: &OffsetCommitRequestTopic| {
        let count = view
            .catalog
            .topic(&topic.name)
            .map_or(0, |known| known.partitions.len());
        let exists = |partition: &&OffsetCommitRequestPartition| {
            (0..count as i32).contains(&partition.partition_index)
        };
        CommittedTopic {
            topic: topic.name.to_string(),
            partitions: topic
                .partitions
                .iter()
                .filter(exists)
                .map(committed)
                .collect(),
        }
    };
    asked.iter().map(known).collect()
}

fn committed(partition: &OffsetCommitRequestPartition) -> CommittedPartition {
    CommittedPartition {
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition
            .committed_metadata
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

/// Every partition that was asked for, in the client's order; those that were not passed on do not exist.
fn answer(
    asked: Vec<OffsetCommitRequestTopic>,
    result: Result<Vec<TopicOutcome>, GroupError>,
) -> Vec<OffsetCommitResponseTopic> {
    let mut outcomes = result.map(Vec::into_iter);
    let topics = asked.into_iter().map(|topic| {
        let mut decided = match &mut outcomes {
            Ok(outcomes) => Ok(outcomes
                .next()
                .map(|outcome| outcome.partitions)
                .unwrap_or_default()
                .into_iter()
                .peekable()),
            Err(error) => Err(*error),
        };
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let error = match &mut decided {
                Err(error) => ErrorCode::from(*error),
                Ok(decided) => match decided.next_if(|(decided, _)| *decided == index) {
                    Some((_, error)) => error.map_or(ErrorCode::None, ErrorCode::from),
                    None => ErrorCode::UnknownTopicOrPartition,
                },
            };
            OffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error.number())
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default()
            .with_name(topic_name(&topic.name))
            .with_partitions(partitions)
    });
    topics.collect()
}
