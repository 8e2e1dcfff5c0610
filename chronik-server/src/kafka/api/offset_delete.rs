//! OffsetDelete: takes committed offsets away, as long as no member reads the topic.

use chronik_core::consumer_group::message::{DeleteOffsetsRequest, TopicOutcome};
use kafka_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::convert::topic_name;
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let topic = |topic: OffsetDeleteRequestTopic| {
        let partitions = topic
            .partitions
            .into_iter()
            .map(|partition| partition.partition_index);
        (topic.name.to_string(), partitions.collect())
    };
    let delete = DeleteOffsetsRequest {
        group: request.group_id.to_string(),
        topics: request.topics.into_iter().map(topic).collect(),
    };
    let topics = |outcomes: Vec<TopicOutcome>| {
        outcomes
            .into_iter()
            .map(|outcome| deleted(call, outcome))
            .collect()
    };
    match call.coordinator().delete_offsets(delete).await {
        Ok(outcomes) => OffsetDeleteResponse::default().with_topics(topics(outcomes)),
        Err(error) => {
            OffsetDeleteResponse::default().with_error_code(ErrorCode::from(error).number())
        }
    }
}

fn deleted(call: &Call, outcome: TopicOutcome) -> OffsetDeleteResponseTopic {
    let count = call
        .broker()
        .topic(&outcome.topic)
        .map_or(0, |topic| topic.partitions.len());
    let partition = |(index, error): (i32, Option<_>)| {
        let code = match error {
            Some(error) => ErrorCode::from(error),
            None if (0..count as i32).contains(&index) => ErrorCode::None,
            None => ErrorCode::UnknownTopicOrPartition,
        };
        OffsetDeleteResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(code.number())
    };
    OffsetDeleteResponseTopic::default()
        .with_name(topic_name(&outcome.topic))
        .with_partitions(outcome.partitions.into_iter().map(partition).collect())
}
