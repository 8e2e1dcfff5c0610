//! Fetch: whole committed batches from an offset on, waiting for them if the client wants to.

mod nearest;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::Topic;
use chronik_core::partition::batch::{self, Compression};

use super::convert::broker_id;
use super::redirect;
use crate::broker::{FetchLimits, Fetched, ReadError, ReadPartition, Source, View};
use crate::kafka::budget::Share;
use crate::kafka::call::Call;
use crate::kafka::dispatch::Outcome;
use crate::kafka::error_code::ErrorCode;
use crate::kafka::response::Hold;
use crate::metrics::FetchPhase;
pub(in crate::kafka) use request::FetchRequest;
use request::{FetchPartition, FetchTopic, TopicKey};
use response::{PartitionAnswer, TopicAnswer};

/// Whatever a client asks for, one response carries at most this (and at least one batch).
const MOST_BYTES: i32 = 55 << 20;
const LONGEST_WAIT_MS: i32 = 5 * 60 * 1000;
/// Clients before this version cannot read zstd.
const ZSTD_FROM: i16 = 10;
/// Clients from this version on may be sent to another replica, and read there (KIP-392).
const FOLLOWERS_FROM: i16 = 11;
/// Ends a session: such a request is complete in itself.
const FINAL_EPOCH: i32 = -1;

pub(in crate::kafka) async fn handle(call: Call, request: FetchRequest) -> Outcome {
    let read_committed = request.read_committed;
    // This node opens no sessions, so any session that a client names is unknown.
    let continues_session = request.session_epoch != FINAL_EPOCH
        && (request.session_id != 0 || request.session_epoch != 0);
    if continues_session {
        let error = ErrorCode::FetchSessionIdNotFound;
        return Outcome::Respond(response::encode(
            &call.header,
            error,
            read_committed,
            Vec::new(),
            &[],
        ));
    }
    let turn = call.records_turn.clone().acquire_owned().await;
    let turn = turn.expect("nobody closes a connection's turn");
    let mut topics = fetch(&call, request).await;
    let share = take_share(&call, &mut topics);
    note(&call, &topics);
    let hints = topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().filter_map(|row| row.leader));
    let endpoints = redirect::endpoints_of(&call, hints);
    let mut response = response::encode(
        &call.header,
        ErrorCode::None,
        read_committed,
        topics,
        &endpoints,
    );
    response.hold = Some(Hold {
        _turn: turn,
        _share: share,
    });
    Outcome::Respond(response)
}

/// Takes the records' part of what answers may hold together. If too much is waiting for slow readers already, the
/// first records alone go out, and the client asks for the others again.
fn take_share(call: &Call, topics: &mut [TopicAnswer]) -> Option<Share> {
    let rows = || topics.iter().flat_map(|topic| &topic.partitions);
    let share = call
        .door
        .answers
        .try_take(rows().map(PartitionAnswer::record_bytes).sum());
    if share.is_none() {
        let mut records = topics
            .iter_mut()
            .flat_map(|topic| &mut topic.partitions)
            .map(|row| &mut row.records);
        if let Some(first) = records.find(|records| !records.is_empty()) {
            first.truncate(1);
        }
        records.for_each(Vec::clear);
    }
    share
}

fn note(call: &Call, topics: &[TopicAnswer]) {
    let metrics = &call.door.metrics().fetch;
    metrics
        .latency
        .at(FetchPhase::Total)
        .observe(call.arrived_at.elapsed());
    for row in topics.iter().flat_map(|topic| &topic.partitions) {
        metrics.bytes.add(row.record_bytes() as u64);
        call.count(row.error);
    }
}

async fn fetch(call: &Call, request: FetchRequest) -> Vec<TopicAnswer> {
    let view = call.broker().view();
    let rack = request.rack.as_deref();
    let mut reads = Vec::new();
    let mut settled = false;
    let resolve = |FetchTopic { topic, partitions }: FetchTopic| {
        let found = find_topic(&view, &topic);
        let row = |partition: FetchPartition| match resolve(call, &view, &found, rack, &partition) {
            Ok(read) => {
                reads.push(read);
                Row::Read(partition.index)
            }
            Err(answer) => {
                settled = true;
                Row::Settled(answer)
            }
        };
        (topic, partitions.into_iter().map(row).collect::<Vec<_>>())
    };
    let topics: Vec<_> = request.topics.into_iter().map(resolve).collect();
    drop(view);
    let max_bytes = request.max_bytes.clamp(0, MOST_BYTES) as usize;
    // What is known already is told at once; only a request without such answers waits for records.
    let max_wait_ms = if settled {
        0
    } else {
        request.max_wait_ms.clamp(0, LONGEST_WAIT_MS)
    };
    let limits = FetchLimits {
        source: match call.version() {
            FOLLOWERS_FROM.. => Source::AnyReplica,
            _ => Source::Leader,
        },
        min_bytes: (request.min_bytes.max(0) as usize).min(max_bytes),
        max_bytes,
        max_wait: Duration::from_millis(max_wait_ms as u64),
    };
    let mut fetched = call.broker().fetch(reads, limits).await.into_iter();
    let mut answer = |row: Row| match row {
        Row::Settled(answer) => answer,
        Row::Read(index) => answer(
            call.version(),
            index,
            fetched.next().expect("one result per partition read"),
        ),
    };
    let answers = topics.into_iter().map(|(topic, rows)| TopicAnswer {
        topic,
        partitions: rows.into_iter().map(&mut answer).collect(),
    });
    answers.collect()
}

/// What becomes of a partition of the request.
enum Row {
    Read(i32),
    Settled(PartitionAnswer),
}

fn find_topic(view: &View, topic: &TopicKey) -> Result<Arc<Topic>, ErrorCode> {
    match topic {
        TopicKey::Name(name) => view
            .catalog
            .topic(name)
            .cloned()
            .ok_or(ErrorCode::UnknownTopicOrPartition),
        TopicKey::Id(id) => view
            .catalog
            .topic_by_id(*id)
            .cloned()
            .ok_or(ErrorCode::UnknownTopicId),
    }
}

fn resolve(
    call: &Call,
    view: &View,
    topic: &Result<Arc<Topic>, ErrorCode>,
    rack: Option<&str>,
    asked: &FetchPartition,
) -> Result<ReadPartition, PartitionAnswer> {
    let failed = |error| PartitionAnswer::failed(asked.index, error);
    let topic = topic.as_ref().map_err(|error| failed(*error))?;
    let partition = usize::try_from(asked.index)
        .ok()
        .and_then(|index| topic.partitions.get(index));
    let partition = partition.ok_or_else(|| failed(ErrorCode::UnknownTopicOrPartition))?;
    let own = call.broker().settings().node;
    if let Some(node) = rack.and_then(|rack| nearest::replica(view, partition, own, rack)) {
        return Err(PartitionAnswer::elsewhere(asked.index, broker_id(node).0));
    }
    Ok(ReadPartition {
        group: partition.group,
        offset: asked.fetch_offset,
        max_bytes: asked.max_bytes.max(0) as usize,
        expected_epoch: (asked.current_leader_epoch >= 0).then_some(asked.current_leader_epoch),
    })
}

fn answer(version: i16, index: i32, fetched: Result<Fetched, ReadError>) -> PartitionAnswer {
    match fetched {
        Ok(fetched) if version < ZSTD_FROM && holds_zstd(&fetched) => {
            PartitionAnswer::failed(index, ErrorCode::UnsupportedCompressionType)
        }
        Ok(Fetched { bounds, batches }) => PartitionAnswer {
            high_watermark: bounds.high_watermark,
            log_start_offset: bounds.start_offset,
            records: batches,
            ..PartitionAnswer::failed(index, ErrorCode::None)
        },
        Err(error) => {
            let leader = match error {
                ReadError::NotLeader(hint) => redirect::hint(hint),
                _ => None,
            };
            PartitionAnswer {
                leader,
                ..PartitionAnswer::failed(index, (&error).into())
            }
        }
    }
}

fn holds_zstd(fetched: &Fetched) -> bool {
    let headers = fetched.batches.iter().flat_map(|bytes| batch::each(bytes));
    headers
        .flatten()
        .any(|(header, _)| header.compression() == Ok(Compression::Zstd))
}
