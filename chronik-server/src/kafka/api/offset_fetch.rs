//! OffsetFetch: what groups committed. Up to version 7 a request asks for one group, later for many.

use chronik_core::consumer_group::GroupError;
use chronik_core::consumer_group::message::{
    FetchRequest, FetchedPartition, FetchedTopic, Stability,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, OffsetFetchResponse};

use super::convert::{text, topic_name};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

const MANY_FROM: i16 = 8;
/// Before, a refusal is told partition by partition.
const GROUP_ERROR_FROM: i16 = 2;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let stability = if request.require_stable {
        Stability::Required
    } else {
        Stability::Any
    };
    if call.version() < MANY_FROM {
        return single(call, request, stability).await;
    }
    let mut groups = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        groups.push(one_of_many(call, group, stability).await);
    }
    OffsetFetchResponse::default().with_groups(groups)
}

async fn single(
    call: &Call,
    request: OffsetFetchRequest,
    stability: Stability,
) -> OffsetFetchResponse {
    let topics: Option<Vec<(String, Vec<i32>)>> = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| (topic.name.to_string(), topic.partition_indexes))
            .collect()
    });
    let asked = topics.clone().unwrap_or_default();
    let fetch = FetchRequest {
        group: request.group_id.to_string(),
        topics,
        stability,
    };
    let response = OffsetFetchResponse::default();
    match call.coordinator().fetch_offsets(fetch).await {
        Ok(topics) => response.with_topics(topics.into_iter().map(single_topic).collect()),
        Err(error) if call.version() < GROUP_ERROR_FROM => response.with_topics(
            asked
                .into_iter()
                .map(|topic| single_topic(refused(topic, error)))
                .collect(),
        ),
        Err(error) => response.with_error_code(ErrorCode::from(error).number()),
    }
}

async fn one_of_many(
    call: &Call,
    group: OffsetFetchRequestGroup,
    stability: Stability,
) -> OffsetFetchResponseGroup {
    let topic = |topic: OffsetFetchRequestTopics| (topic.name.to_string(), topic.partition_indexes);
    let GroupId(group_id) = group.group_id;
    let fetch = FetchRequest {
        group: group_id.to_string(),
        topics: group
            .topics
            .map(|topics| topics.into_iter().map(topic).collect()),
        stability,
    };
    let response = OffsetFetchResponseGroup::default().with_group_id(GroupId(group_id));
    match call.coordinator().fetch_offsets(fetch).await {
        Ok(topics) => response.with_topics(topics.into_iter().map(topic_of_many).collect()),
        Err(error) => response.with_error_code(ErrorCode::from(error).number()),
    }
}

fn refused((topic, partitions): (String, Vec<i32>), error: GroupError) -> FetchedTopic {
    let partition = |partition| FetchedPartition {
        partition,
        offset: -1,
        leader_epoch: -1,
        metadata: String::new(),
        error: Some(error),
    };
    FetchedTopic {
        topic,
        partitions: partitions.into_iter().map(partition).collect(),
    }
}

fn single_topic(fetched: FetchedTopic) -> OffsetFetchResponseTopic {
    let partition = |found: FetchedPartition| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(found.partition)
            .with_committed_offset(found.offset)
            .with_committed_leader_epoch(found.leader_epoch)
            .with_metadata(Some(text(&found.metadata)))
            .with_error_code(number(found.error))
    };
    OffsetFetchResponseTopic::default()
        .with_name(topic_name(&fetched.topic))
        .with_partitions(fetched.partitions.into_iter().map(partition).collect())
}

fn topic_of_many(fetched: FetchedTopic) -> OffsetFetchResponseTopics {
    let partition = |found: FetchedPartition| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(found.partition)
            .with_committed_offset(found.offset)
            .with_committed_leader_epoch(found.leader_epoch)
            .with_metadata(Some(text(&found.metadata)))
            .with_error_code(number(found.error))
    };
    OffsetFetchResponseTopics::default()
        .with_name(topic_name(&fetched.topic))
        .with_partitions(fetched.partitions.into_iter().map(partition).collect())
}

fn number(error: Option<GroupError>) -> i16 {
    error.map_or(ErrorCode::None, ErrorCode::from).number()
}
