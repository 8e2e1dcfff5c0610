//! OffsetForLeaderEpoch: where an epoch ended, so that a client notices a log that was cut behind its back.

use chronik_core::catalog::Topic;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::broker::EpochEnd;
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let topic = call.broker().topic(&asked.topic);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for partition in asked.partitions {
            let end = end_of(call, topic.as_deref(), &partition).await;
            partitions.push(row(partition.partition, end));
        }
        topics.push(
            OffsetForLeaderTopicResult::default()
                .with_topic(asked.topic)
                .with_partitions(partitions),
        );
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}

async fn end_of(
    call: &Call,
    topic: Option<&Topic>,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<EpochEnd>, ErrorCode> {
    let index = usize::try_from(asked.partition).ok();
    let partition = index
        .zip(topic)
        .and_then(|(index, topic)| topic.partitions.get(index));
    let group = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?.group;
    let expected_epoch = (asked.current_leader_epoch >= 0).then_some(asked.current_leader_epoch);
    let end = call
        .broker()
        .epoch_end(group, expected_epoch, asked.leader_epoch)
        .await;
    end.map_err(|error| (&error).into())
}

fn row(index: i32, end: Result<Option<EpochEnd>, ErrorCode>) -> EpochEndOffset {
    let row = EpochEndOffset::default().with_partition(index);
    match end {
        Ok(Some(EpochEnd { epoch, end_offset })) => {
            row.with_leader_epoch(epoch).with_end_offset(end_offset)
        }
        Ok(None) => row.with_leader_epoch(-1).with_end_offset(-1),
        Err(error) => row
            .with_error_code(error.number())
            .with_leader_epoch(-1)
            .with_end_offset(-1),
    }
}
