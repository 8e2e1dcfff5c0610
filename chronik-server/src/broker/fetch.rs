//! Fetch: committed batches from memory or disk, and the wait for enough of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chronik_core::partition::batch;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Bounds, Broker, ReadError, ReadPartition, Source};
use crate::metrics::{FetchPhase, Operation};
use crate::raft::event::{Data, Event, Found, Read, Waiter};

#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    pub source: Source,
    pub min_bytes: usize,
    /// Over all partitions together.
    pub max_bytes: usize,
    pub max_wait: Duration,
}

/// A partition's answer: whole batches, the first one containing the offset that was asked for.
#[derive(Debug)]
pub struct Fetched {
    pub bounds: Bounds,
    pub batches: Vec<Bytes>,
}

impl Fetched {
    pub fn len_bytes(&self) -> usize {
        self.batches.iter().map(Bytes::len).sum()
    }
}

impl Broker {
    /// Reads partitions in their order; waits until `min_bytes` are there, an error must be told or time is up.
    pub async fn fetch(
        &self,
        partitions: Vec<ReadPartition>,
        limits: FetchLimits,
    ) -> Vec<Result<Fetched, ReadError>> {
        let deadline = Instant::now() + limits.max_wait;
        loop {
            let may_wait =
                !limits.max_wait.is_zero() && limits.min_bytes > 0 && Instant::now() < deadline;
            let waiter = may_wait.then(|| Waiter::new(limits.min_bytes as u64));
            let found = self
                .look(&partitions, limits.source, limits.max_bytes, waiter.clone())
                .await;

            let Some(waiter) = waiter.filter(|waiter| !waiter.is_done()) else {
                return self.load(found, &partitions).await;
            };
            // Whether woken or out of time: look again, and for the last time without a waiter. This node may lead no
            // longer what it led when it looked first, so that it has to ask now.
            let waiting_since = Instant::now();
            let waiting = self.metrics.fetch.waiting.raise();
            let _ = tokio::time::timeout_at(deadline, waiter.woken()).await;
            drop(waiting);
            self.note_phase(FetchPhase::Wait, waiting_since);
        }
    }

    async fn look(
        &self,
        partitions: &[ReadPartition],
        source: Source,
        max_bytes: usize,
        waiter: Option<Arc<Waiter>>,
    ) -> Vec<Result<Found, ReadError>> {
        let (reply, answer) = oneshot::channel();
        let read = Read {
            partitions: partitions.to_vec(),
            source,
            max_bytes,
            waiter,
            reply,
        };
        let asked_at = Instant::now();
        self.shard.offer(Event::Read(Box::new(read)));
        let answer = answer.await;
        self.note_phase(FetchPhase::Plan, asked_at);
        answer.unwrap_or_else(|_| {
            partitions
                .iter()
                .map(|_| Err(ReadError::Stopping))
                .collect()
        })
    }

    fn note_phase(&self, phase: FetchPhase, since: Instant) {
        self.metrics
            .fetch
            .latency
            .at(phase)
            .observe(since.elapsed());
    }

    async fn load(
        &self,
        mut found: Vec<Result<Found, ReadError>>,
        partitions: &[ReadPartition],
    ) -> Vec<Result<Fetched, ReadError>> {
        let plans = found.iter_mut().filter_map(|found| match found {
            Ok(Found {
                data: Data::Stored(plan),
                ..
            }) => Some(std::mem::take(plan)),
            _ => None,
        });
        let mut stored = self.read_stored(plans.collect()).await.into_iter();
        let answers = found.into_iter().zip(partitions);
        let answer = |(found, partition): (Result<Found, ReadError>, &ReadPartition)| {
            let Found { bounds, data } = found?;
            match data {
                Data::Cached(batches) => Ok(Fetched { bounds, batches }),
                Data::Stored(_) => {
                    let entries = stored.next().expect("one result for one plan")?;
                    Ok(visible(bounds, entries, partition.offset))
                }
            }
        };
        answers.map(answer).collect()
    }

    pub(super) async fn read_one(&self, plan: chronik_wal::Plan) -> Result<Vec<Bytes>, ReadError> {
        let mut results = self.read_stored(vec![plan]).await;
        results.pop().expect("one result for one plan")
    }

    /// Reads from disk where blocking is allowed: all plans of a request in one turn, since changing threads costs
    /// more than a read from the page cache.
    async fn read_stored(
        &self,
        plans: Vec<chronik_wal::Plan>,
    ) -> Vec<Result<Vec<Bytes>, ReadError>> {
        if plans.is_empty() {
            return Vec::new();
        }
        let reader = self.reader.clone();
        let begun = Instant::now();
        let read = move || {
            plans
                .iter()
                .map(|plan| reader.read(plan))
                .collect::<Vec<_>>()
        };
        let read = tokio::task::spawn_blocking(read).await;
        self.note_phase(FetchPhase::Read, begun);
        let duration = &self.metrics.io.duration;
        duration.at(Operation::LogRead).observe(begun.elapsed());
        let bytes = |entries: Vec<chronik_wal::StoredEntry>| {
            entries.into_iter().map(|entry| entry.bytes).collect()
        };
        let results = read.expect("reading does not panic").into_iter();
        results
            .map(|result| {
                result
                    .map(bytes)
                    .map_err(|error| ReadError::Storage(error.to_string()))
            })
            .collect()
    }
}

/// Cuts what lies before the wanted offset, by whole batches, and what is not committed.
fn visible(bounds: Bounds, entries: Vec<Bytes>, offset: i64) -> Fetched {
    let mut batches = Vec::with_capacity(entries.len());
    for entry in entries {
        let (mut from, mut to) = (0, 0);
        for (header, batch) in batch::each(&entry).map_while(Result::ok) {
            if header.next_offset() > bounds.high_watermark {
                break;
            }
            to += batch.len();
            if header.next_offset() <= offset {
                from = to;
            }
        }
        if from < to {
            batches.push(entry.slice(from..to));
        }
    }
    Fetched { bounds, batches }
}
