//! The requests of producers, readers and administrators, each in its last version without tagged fields.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use super::batch::{self, FetchedRecord, Sequence};
use super::codec::{Decoder, Encoder, WireFault};
use super::connection::{CallFailed, Connection};

/// The timestamps that ask ListOffsets for the ends of a log.
pub(crate) const LATEST: i64 = -1;
pub(crate) const EARLIEST: i64 = -2;

/// What a broker believes about the cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) brokers: Vec<Broker>,
    pub(crate) controller: i32,
    pub(crate) partitions: Vec<PartitionView>,
}

/// A node as clients are told of it.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    pub(crate) id: i32,
    host: String,
    port: u16,
}

impl Broker {
    /// Our own nodes go by numbers, those of others may have names.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        if let Ok(address) = self.host.parse() {
            return Some(SocketAddr::new(address, self.port));
        }
        (self.host.as_str(), self.port)
            .to_socket_addrs()
            .ok()?
            .next()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct PartitionView {
    pub(crate) index: i32,
    /// -1 where there is none.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    /// The nodes that should hold it.
    pub(crate) replicas: Vec<i32>,
}

/// The answer for the one partition of a produce request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProduceAnswer {
    pub(crate) error: i16,
    pub(crate) base_offset: i64,
}

/// The answer for the one partition of a fetch.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) error: i16,
    pub(crate) high_watermark: i64,
    records: Vec<u8>,
}

impl Fetched {
    pub(crate) fn records(&self) -> Result<Vec<FetchedRecord<'_>>, WireFault> {
        batch::decode(&self.records)
    }

    /// Whole batches as they are stored, each with the offset after it.
    pub(crate) fn batches(&self) -> impl Iterator<Item = (u64, &[u8])> {
        batch::whole(&self.records)
    }
}

/// Asks for all topics, or for these.
pub(crate) fn metadata(
    connection: &mut Connection,
    topic: &str,
    bound: Duration,
) -> Result<Metadata, CallFailed> {
    let mut body = Encoder::default();
    body.len(1).text(topic).i8(0).i8(0).i8(0);
    let answer = connection.call(3, 8, &body.bytes, bound)?;
    Ok(decode_metadata(&answer)?)
}

fn decode_metadata(answer: &[u8]) -> Result<Metadata, WireFault> {
    let mut answer = Decoder::new(answer);
    answer.i32()?;
    let brokers = answer.array(|broker| {
        let id = broker.i32()?;
        let host = broker.text()?.to_owned();
        let port = broker.i32()?;
        broker.nullable_text()?;
        let port = u16::try_from(port).map_err(|_| WireFault::Length(port.into()))?;
        Ok(Broker { id, host, port })
    })?;
    answer.nullable_text()?;
    let controller = answer.i32()?;
    let topics = answer.array(|topic| {
        topic.i16()?;
        topic.text()?;
        topic.i8()?;
        let partitions = topic.array(|partition| {
            partition.i16()?;
            let index = partition.i32()?;
            let leader = partition.i32()?;
            let leader_epoch = partition.i32()?;
            let replicas = partition.array(Decoder::i32)?;
            // Those in sync, and those that are away.
            for _ in 0..2 {
                partition.array(Decoder::i32)?;
            }
            Ok(PartitionView {
                index,
                leader,
                leader_epoch,
                replicas,
            })
        })?;
        topic.i32()?;
        Ok(partitions)
    })?;
    Ok(Metadata {
        brokers,
        controller,
        partitions: topics.into_iter().flatten().collect(),
    })
}

/// One batch for one partition, once.
pub(crate) fn produce(
    connection: &mut Connection,
    (topic, partition): (&str, i32),
    values: &[Vec<u8>],
    sequence: Sequence,
    acks: i16,
    bounds: (Duration, Duration),
    timestamp_ms: i64,
) -> Result<ProduceAnswer, CallFailed> {
    let (broker_bound, bound) = bounds;
    let mut body = Encoder::default();
    body.no_text().i16(acks);
    body.i32(i32::try_from(broker_bound.as_millis()).unwrap_or(i32::MAX));
    body.len(1).text(topic).len(1).i32(partition);
    body.blob(&batch::encode(values, sequence, timestamp_ms));
    let answer = connection.call(0, 8, &body.bytes, bound)?;
    let mut answer = Decoder::new(&answer);
    let answers = answer.array(|topic| {
        topic.text()?;
        topic.array(|partition| {
            partition.i32()?;
            let error = partition.i16()?;
            let base_offset = partition.i64()?;
            partition.i64()?;
            partition.i64()?;
            partition.array(|record| {
                record.i32()?;
                record.nullable_text().map(drop)
            })?;
            partition.nullable_text()?;
            Ok(ProduceAnswer { error, base_offset })
        })
    })?;
    Ok(only(answers)?)
}

/// Reads one partition from an offset, waiting for records as long as the broker is told to.
pub(crate) fn fetch(
    connection: &mut Connection,
    (topic, partition): (&str, i32),
    offset: u64,
    max_bytes: i32,
    wait: Duration,
    bound: Duration,
) -> Result<Fetched, CallFailed> {
    let mut body = Encoder::default();
    body.i32(-1)
        .i32(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
        .i32(1);
    body.i32(max_bytes).i8(0).i32(0).i32(-1);
    body.len(1).text(topic).len(1);
    body.i32(partition)
        .i32(-1)
        .i64(offset as i64)
        .i64(-1)
        .i32(max_bytes);
    body.len(0).text("");
    let answer = connection.call(1, 11, &body.bytes, bound)?;
    Ok(decode_fetch(&answer)?)
}

fn decode_fetch(answer: &[u8]) -> Result<Fetched, WireFault> {
    let mut answer = Decoder::new(answer);
    answer.i32()?;
    let error = answer.i16()?;
    answer.i32()?;
    let answers = answer.array(|topic| {
        topic.text()?;
        topic.array(|partition| {
            partition.i32()?;
            let error = partition.i16()?;
            let high_watermark = partition.i64()?;
            partition.i64()?;
            partition.i64()?;
            partition.array(|aborted| {
                aborted.i64()?;
                aborted.i64()
            })?;
            partition.i32()?;
            Ok(Fetched {
                error,
                high_watermark,
                records: partition.blob()?.to_vec(),
            })
        })
    })?;
    if error != 0 {
        return Ok(Fetched {
            error,
            high_watermark: -1,
            records: Vec::new(),
        });
    }
    only(answers)
}

/// The end of one partition's log: an error code, or an offset.
pub(crate) fn list_offsets(
    connection: &mut Connection,
    (topic, partition): (&str, i32),
    timestamp: i64,
    bound: Duration,
) -> Result<Result<u64, i16>, CallFailed> {
    let mut body = Encoder::default();
    body.i32(-1).i8(0).len(1).text(topic).len(1);
    body.i32(partition).i32(-1).i64(timestamp);
    let answer = connection.call(2, 5, &body.bytes, bound)?;
    let mut answer = Decoder::new(&answer);
    answer.i32()?;
    let answers = answer.array(|topic| {
        topic.text()?;
        topic.array(|partition| {
            partition.i32()?;
            let error = partition.i16()?;
            partition.i64()?;
            let offset = partition.i64()?;
            partition.i32()?;
            Ok(u64::try_from(offset).map_err(|_| error))
        })
    })?;
    Ok(only(answers)?)
}

/// A new producer id and epoch, or an error code.
pub(crate) fn init_producer_id(
    connection: &mut Connection,
    bound: Duration,
) -> Result<Result<(i64, i16), i16>, CallFailed> {
    let mut body = Encoder::default();
    body.no_text().i32(60_000);
    let answer = connection.call(22, 1, &body.bytes, bound)?;
    let mut answer = Decoder::new(&answer);
    answer.i32()?;
    let error = answer.i16()?;
    let identity = (answer.i64()?, answer.i16()?);
    Ok(if error == 0 { Ok(identity) } else { Err(error) })
}

/// Creates a topic and returns the error code.
pub(crate) fn create_topic(
    connection: &mut Connection,
    name: &str,
    partitions: i32,
    replicas: i16,
    configs: &[(&str, String)],
    bound: Duration,
) -> Result<i16, CallFailed> {
    let mut body = Encoder::default();
    body.len(1).text(name).i32(partitions).i16(replicas).len(0);
    body.len(configs.len());
    for (key, value) in configs {
        body.text(key).text(value);
    }
    body.i32(i32::try_from(bound.as_millis()).unwrap_or(i32::MAX))
        .i8(0);
    let answer = connection.call(19, 4, &body.bytes, bound)?;
    let mut answer = Decoder::new(&answer);
    answer.i32()?;
    let errors = answer.array(|topic| {
        topic.text()?;
        let error = topic.i16()?;
        topic.nullable_text()?;
        Ok(error)
    })?;
    Ok(errors.into_iter().next().ok_or(WireFault::Truncated)?)
}

/// Deletes a topic and returns the error code.
pub(crate) fn delete_topic(
    connection: &mut Connection,
    name: &str,
    bound: Duration,
) -> Result<i16, CallFailed> {
    let mut body = Encoder::default();
    body.len(1).text(name);
    body.i32(i32::try_from(bound.as_millis()).unwrap_or(i32::MAX));
    let answer = connection.call(20, 3, &body.bytes, bound)?;
    let mut answer = Decoder::new(&answer);
    answer.i32()?;
    let errors = answer.array(|topic| {
        topic.text()?;
        topic.i16()
    })?;
    Ok(errors.into_iter().next().ok_or(WireFault::Truncated)?)
}

/// Every request asks about one partition of one topic.
fn only<T>(answers: Vec<Vec<T>>) -> Result<T, WireFault> {
    let answer = answers.into_iter().flatten().next();
    answer.ok_or(WireFault::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_metadata(&bytes);
            let _ = decode_fetch(&bytes);
        }
    }
}
