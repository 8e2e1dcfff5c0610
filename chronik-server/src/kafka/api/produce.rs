//! Produce: checks every batch once, hands all of them over in arrival order, and answers when they are safe.

mod keys;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use chronik_core::catalog::Topic;
use chronik_core::catalog::topic_config::LogConfig;
use chronik_core::partition::BatchHeader;
use chronik_core::partition::batch::Compression;
use tokio::time::{Instant, timeout_at};

use super::redirect;
use crate::broker::{Acks, AppendError, Appended, Appends, PendingAppend, all_replicas};
use crate::clock::wall_ms;
use crate::kafka::call::Call;
use crate::kafka::dispatch::{CloseReason, Outcome, Reply};
use crate::kafka::error_code::ErrorCode;
use crate::metrics::{Operation, ProducePhase};
pub(in crate::kafka) use request::ProduceRequest;
use request::{PartitionData, TopicData};
use response::{PartitionAnswer, TopicAnswer};

/// Clients before this version cannot read zstd.
const ZSTD_FROM: i16 = 7;
const NO_ACK: i16 = 0;
const ALL: i16 = -1;

/// Everything until the hand-over happens in this call, so that requests of a connection keep their order.
pub(in crate::kafka) fn start(call: Call, request: ProduceRequest) -> Reply {
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.max(0) as u64);
    let acks = request.acks;
    let topics = hand_over(&call, request);
    let latency = &call.door.metrics().produce.latency;
    latency
        .at(ProducePhase::Check)
        .observe(call.arrived_at.elapsed());
    Box::pin(async move {
        let answers = settle(&call, topics, deadline).await;
        let latency = &call.door.metrics().produce.latency;
        latency
            .at(ProducePhase::Total)
            .observe(call.arrived_at.elapsed());
        if acks != NO_ACK {
            let endpoints = redirect::endpoints_of(&call, answers.iter().flat_map(leader_hints));
            return Outcome::Respond(response::encode(&call.header, &answers, &endpoints));
        }
        match answers
            .iter()
            .flat_map(|topic| &topic.partitions)
            .all(|row| row.error == ErrorCode::None)
        {
            true => Outcome::Silent,
            false => Outcome::Close(CloseReason::UnansweredFailure),
        }
    })
}

/// A partition on the way to its answer.
enum Progress {
    Refused(PartitionAnswer),
    Pending(Pending),
}

/// A batch that was handed over.
struct Pending {
    index: i32,
    log_append_time_ms: i64,
    records: u64,
    bytes: u64,
    append: PendingAppend,
}

type TopicProgress = (Box<str>, Vec<Progress>);

/// What holds for the whole request.
struct Terms {
    refusal: Option<(ErrorCode, &'static str)>,
    version: i16,
    acks: i16,
    now_ms: i64,
    min_insync_replicas: u32,
}

fn hand_over(call: &Call, request: ProduceRequest) -> Vec<TopicProgress> {
    let broker = call.broker();
    let terms = Terms {
        refusal: refusal(&request),
        version: call.version(),
        acks: request.acks,
        now_ms: wall_ms(),
        min_insync_replicas: broker.settings().min_insync_replicas,
    };
    let mut appends = Appends::default();
    let progress = |TopicData { name, partitions }| {
        let topic = broker.topic(&name);
        let rows = partitions.into_iter().map(|data| match &topic {
            Some(topic) if topic.internal => {
                let message = "the broker alone writes to this topic".to_owned();
                refuse(data.index, ErrorCode::InvalidTopic, Some(message))
            }
            Some(topic) => terms.judge(topic, data, &mut appends),
            None => refuse(data.index, ErrorCode::UnknownTopicOrPartition, None),
        });
        let rows = rows.collect();
        (name, rows)
    };
    let topics = request.topics.into_iter().map(progress).collect();
    broker.append(appends);
    topics
}

fn refusal(request: &ProduceRequest) -> Option<(ErrorCode, &'static str)> {
    if !matches!(request.acks, -1..=1) {
        return Some((ErrorCode::InvalidRequiredAcks, "acks is one of -1, 0 and 1"));
    }
    let transactional = request.transactional_id.is_some();
    transactional.then_some((ErrorCode::InvalidRequest, "transactions are not supported"))
}

impl Terms {
    fn judge(&self, topic: &Arc<Topic>, data: PartitionData, appends: &mut Appends) -> Progress {
        let PartitionData { index, records } = data;
        if let Some((error, message)) = self.refusal {
            return refuse(index, error, Some(message.to_owned()));
        }
        let Some(partition) = usize::try_from(index)
            .ok()
            .and_then(|index| topic.partitions.get(index))
        else {
            return refuse(index, ErrorCode::UnknownTopicOrPartition, None);
        };
        let (header, batch) = match self.check(records) {
            Ok(checked) => checked,
            Err((error, message)) => return refuse(index, error, Some(message)),
        };
        let config = LogConfig::of(topic, self.min_insync_replicas);
        if config.compaction.is_some() && !keys::all_have_one(&header, &batch) {
            let message = "records of a compacted topic have keys".to_owned();
            return refuse(index, ErrorCode::InvalidRecord, Some(message));
        }
        let log_append_time_ms = if config.log_append_time {
            self.now_ms
        } else {
            -1
        };
        let (records, bytes) = (header.record_count as u64, batch.len() as u64);
        let acks = match self.acks {
            ALL => all_replicas(&config, partition.replicas.len()),
            _ => Acks::Leader,
        };
        match appends.push(partition.group, &config, header, batch, acks, self.now_ms) {
            Ok(append) => {
                let pending = Pending {
                    index,
                    log_append_time_ms,
                    records,
                    bytes,
                    append,
                };
                Progress::Pending(pending)
            }
            Err(error) => refuse(index, (&error).into(), Some(error.to_string())),
        }
    }

    fn check(
        &self,
        records: Option<BytesMut>,
    ) -> Result<(BatchHeader, BytesMut), (ErrorCode, String)> {
        let invalid = |message: &str| (ErrorCode::InvalidRecord, message.to_owned());
        let batch = records.ok_or_else(|| invalid("a partition without records"))?;
        let header =
            BatchHeader::check(&batch).map_err(|error| ((&error).into(), error.to_string()))?;
        if header.is_control() {
            return Err(invalid("control batches are written by the broker alone"));
        }
        if header.is_transactional() {
            return Err((
                ErrorCode::InvalidRequest,
                "transactions are not supported".to_owned(),
            ));
        }
        if self.version < ZSTD_FROM && header.compression() == Ok(Compression::Zstd) {
            let message = "zstd needs produce version 7".to_owned();
            return Err((ErrorCode::UnsupportedCompressionType, message));
        }
        Ok((header, batch))
    }
}

fn refuse(index: i32, error: ErrorCode, message: Option<String>) -> Progress {
    Progress::Refused(PartitionAnswer::failed(index, error, message))
}

async fn settle(call: &Call, topics: Vec<TopicProgress>, deadline: Instant) -> Vec<TopicAnswer> {
    let mut answers = Vec::with_capacity(topics.len());
    for (name, rows) in topics {
        let mut partitions = Vec::with_capacity(rows.len());
        for row in rows {
            let answer = match row {
                Progress::Refused(answer) => answer,
                Progress::Pending(pending) => pending.settle(call, deadline).await,
            };
            call.count(answer.error);
            partitions.push(answer);
        }
        answers.push(TopicAnswer { name, partitions });
    }
    answers
}

impl Pending {
    async fn settle(self, call: &Call, deadline: Instant) -> PartitionAnswer {
        let appended = timeout_at(deadline, self.append.wait()).await;
        let metrics = call.door.metrics();
        match appended {
            Ok(Ok(appended)) => {
                metrics.produce.batches.increment();
                metrics.produce.records.add(self.records);
                metrics.produce.bytes.add(self.bytes);
                accepted(self.index, self.log_append_time_ms, appended)
            }
            Ok(Err(error)) => failed(self.index, &error),
            Err(_) => {
                metrics.io.timeouts.at(Operation::Commit).increment();
                // After the append its fate is open.
                failed(self.index, &AppendError::Unknown)
            }
        }
    }
}

fn accepted(index: i32, log_append_time_ms: i64, appended: Appended) -> PartitionAnswer {
    PartitionAnswer {
        base_offset: appended.base_offset,
        log_append_time_ms,
        log_start_offset: appended.log_start_offset,
        ..PartitionAnswer::failed(index, ErrorCode::None, None)
    }
}

fn failed(index: i32, error: &AppendError) -> PartitionAnswer {
    let leader = match error {
        AppendError::NotLeader(hint) => redirect::hint(*hint),
        _ => None,
    };
    PartitionAnswer {
        leader,
        ..PartitionAnswer::failed(index, error.into(), Some(error.to_string()))
    }
}

fn leader_hints(topic: &TopicAnswer) -> impl Iterator<Item = redirect::LeaderHint> {
    topic.partitions.iter().filter_map(|row| row.leader)
}
