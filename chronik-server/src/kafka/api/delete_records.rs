//! DeleteRecords: moves the start of partitions' logs forward.

use chronik_core::catalog::Topic;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use tokio::time::{Instant, timeout_at};

use super::convert::timeout;
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// "All that is committed."
const HIGH_WATERMARK: i64 = -1;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let deadline = Instant::now() + timeout(request.timeout_ms);
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let topic = call.broker().topic(&asked.name);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for partition in asked.partitions {
            let trimmed = timeout_at(deadline, trim(call, topic.as_deref(), &partition)).await;
            partitions.push(row(
                partition.partition_index,
                trimmed.unwrap_or(Err(ErrorCode::RequestTimedOut)),
            ));
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(asked.name)
                .with_partitions(partitions),
        );
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

async fn trim(
    call: &Call,
    topic: Option<&Topic>,
    asked: &DeleteRecordsPartition,
) -> Result<i64, ErrorCode> {
    if topic.is_some_and(|topic| topic.internal) {
        return Err(ErrorCode::InvalidTopic);
    }
    let index = usize::try_from(asked.partition_index).ok();
    let partition = index
        .zip(topic)
        .and_then(|(index, topic)| topic.partitions.get(index));
    let group = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?.group;
    if asked.offset < HIGH_WATERMARK {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    call.broker()
        .trim(group, asked.offset)
        .await
        .map_err(|error| (&error).into())
}

fn row(index: i32, low_watermark: Result<i64, ErrorCode>) -> DeleteRecordsPartitionResult {
    let row = DeleteRecordsPartitionResult::default().with_partition_index(index);
    match low_watermark {
        Ok(low_watermark) => row.with_low_watermark(low_watermark),
        Err(error) => row.with_low_watermark(-1).with_error_code(error.number()),
    }
}
