//! ListOffsets: the edges of a partition, and the first record at or after a time.

use bytes::Bytes;
use chronik_core::catalog::Topic;
use chronik_core::ids::GroupUid;
use chronik_core::partition::batch;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use tracing::debug;

use crate::broker::{BatchFound, ReadError};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;
use crate::records::{self, RecordHead};

/// Timestamps that stand for a place instead of a time.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
/// Earlier answers carry no leader epoch.
const EPOCH_FROM: i16 = 4;
/// Before this version a leader without a committed entry of its own is "not available".
const NOT_AVAILABLE_FROM: i16 = 5;

/// What a question about a partition is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    offset: i64,
    timestamp_ms: i64,
    epoch: i32,
}

/// No record matches: not an error.
const NOWHERE: Place = Place {
    offset: -1,
    timestamp_ms: -1,
    epoch: -1,
};

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let topic = call.broker().topic(&asked.name);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for partition in asked.partitions {
            let place = match topic
                .as_deref()
                .and_then(|topic| group(topic, partition.partition_index))
            {
                Some(group) => locate(call, group, &partition).await,
                None => Err(ErrorCode::UnknownTopicOrPartition),
            };
            partitions.push(row(call.version(), partition.partition_index, place));
        }
        topics.push(
            ListOffsetsTopicResponse::default()
                .with_name(asked.name)
                .with_partitions(partitions),
        );
    }
    ListOffsetsResponse::default().with_topics(topics)
}

fn group(topic: &Topic, index: i32) -> Option<GroupUid> {
    let partition = topic.partitions.get(usize::try_from(index).ok()?)?;
    Some(partition.group)
}

async fn locate(
    call: &Call,
    group: GroupUid,
    asked: &ListOffsetsPartition,
) -> Result<Place, ErrorCode> {
    let broker = call.broker();
    let expected_epoch = (asked.current_leader_epoch >= 0).then_some(asked.current_leader_epoch);
    let error = |error: ReadError| match ErrorCode::from(&error) {
        ErrorCode::OffsetNotAvailable if call.version() < NOT_AVAILABLE_FROM => {
            ErrorCode::LeaderNotAvailable
        }
        code => code,
    };
    if call.version() < first_version(asked.timestamp) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    match asked.timestamp {
        LATEST => {
            // Without transactions the last stable offset is the high watermark.
            let bounds = broker.bounds(group, expected_epoch).await.map_err(error)?;
            Ok(Place {
                offset: bounds.high_watermark,
                timestamp_ms: -1,
                epoch: bounds.epoch,
            })
        }
        EARLIEST | EARLIEST_LOCAL => {
            let bounds = broker.bounds(group, expected_epoch).await.map_err(error)?;
            let epoch = broker
                .epoch_at(group, bounds.start_offset)
                .await
                .map_err(error)?;
            Ok(Place {
                offset: bounds.start_offset,
                timestamp_ms: -1,
                epoch: epoch.unwrap_or(bounds.epoch),
            })
        }
        MAX_TIMESTAMP => {
            let found = broker
                .batch_of_max_timestamp(group, expected_epoch)
                .await
                .map_err(error)?;
            Ok(look_inside(found, None).await)
        }
        LATEST_TIERED => broker
            .bounds(group, expected_epoch)
            .await
            .map(|_| NOWHERE)
            .map_err(error),
        timestamp @ 0.. => {
            let found = broker
                .batch_at(group, expected_epoch, timestamp)
                .await
                .map_err(error)?;
            Ok(look_inside(found, Some(timestamp)).await)
        }
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

/// The version that introduced a special timestamp.
fn first_version(timestamp: i64) -> i16 {
    match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        _ => 0,
    }
}

/// Finds the record itself: the first at or after a time, or the first of the latest time. Decompression is bounded,
/// but it is work for a thread that may block.
async fn look_inside(found: BatchFound, timestamp_ms: Option<i64>) -> Place {
    let BatchFound { bounds, batch } = found;
    let Some(bytes) = batch else { return NOWHERE };
    let search = move || {
        let committed = batch::each(&bytes)
            .flatten()
            .filter(|(header, _)| header.next_offset() <= bounds.high_watermark);
        let latest = committed.map(|(header, _)| header.max_timestamp).max();
        first_record(&bytes, timestamp_ms.or(latest)?, bounds.high_watermark)
    };
    let searched = tokio::task::spawn_blocking(search).await;
    searched
        .expect("searching a batch does not panic")
        .unwrap_or(NOWHERE)
}

fn first_record(bytes: &Bytes, timestamp_ms: i64, high_watermark: i64) -> Option<Place> {
    for (header, batch) in batch::each(bytes).flatten() {
        if header.max_timestamp < timestamp_ms || header.next_offset() > high_watermark {
            continue;
        }
        let head = match records::first_at_or_after(batch, timestamp_ms) {
            Ok(head) => head,
            Err(error) => {
                // Its checksum is right, so the producer wrote it this way. Its start is early enough in any case.
                debug!(%error, base_offset = header.base_offset, "cannot look inside a batch");
                Some(RecordHead {
                    offset: header.base_offset,
                    timestamp_ms: header.base_timestamp,
                })
            }
        };
        if let Some(RecordHead {
            offset,
            timestamp_ms,
        }) = head
        {
            return Some(Place {
                offset,
                timestamp_ms,
                epoch: header.leader_epoch,
            });
        }
    }
    None
}

fn row(version: i16, index: i32, place: Result<Place, ErrorCode>) -> ListOffsetsPartitionResponse {
    let (place, error) = match place {
        Ok(place) => (place, ErrorCode::None),
        Err(error) => (NOWHERE, error),
    };
    ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(error.number())
        .with_offset(place.offset)
        .with_timestamp(place.timestamp_ms)
        .with_leader_epoch(if version >= EPOCH_FROM {
            place.epoch
        } else {
            -1
        })
}
