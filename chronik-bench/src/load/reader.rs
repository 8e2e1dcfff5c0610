//! One consuming thread: assigned partitions, explicit positions, every record counted and, where it can be, timed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::account::{AccountEvent, READ_BATCH, ReadRecord, examine};
use super::delivery::client_error_name;
use super::shared::Shared;
use crate::client::ClientSettings;
use crate::clock::Clock;
use crate::error::BenchError;
use crate::recorder::{Recorder, Tag};

const POLL_SLICE: Duration = Duration::from_millis(20);
const RATE_SLICE: Duration = Duration::from_millis(1);

/// Where a reader starts, by topic and partition.
pub(crate) type Positions = BTreeMap<(String, i32), i64>;

/// Passes statistics on and keeps librdkafka's log quiet.
pub(crate) struct ReaderContext {
    pub(crate) statistics: SyncSender<Vec<u8>>,
}

/// A consumer and the desk of its thread.
pub(crate) struct Reader {
    pub(crate) consumer: BaseConsumer<ReaderContext>,
    pub(crate) desk: ReaderDesk,
}

/// What happens to a record once it is there.
pub(crate) struct ReaderDesk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) recorder: Recorder,
    pub(crate) account: Option<SyncSender<AccountEvent>>,
    /// The account's number of a topic's first partition.
    pub(crate) places: BTreeMap<String, u32>,
    /// Whether records of this run are timed.
    pub(crate) times: bool,
    /// Messages per second, if it is limited.
    pub(crate) rate: Option<f64>,
    pub(crate) status: Arc<ReaderStatus>,
    pub(crate) batch: Vec<ReadRecord>,
}

/// What the main thread wants to know of a reader at any time.
#[derive(Debug, Default)]
pub(crate) struct ReaderStatus {
    pub(crate) group: u32,
    pub(crate) consumed: AtomicU64,
    /// Records of this run.
    pub(crate) own: AtomicU64,
    /// How often the end of a partition was met.
    pub(crate) ends_met: AtomicU64,
}

/// Makes a consumer that reads these partitions from these offsets.
pub(crate) fn assigned(
    client: &ClientSettings,
    group: &str,
    positions: &Positions,
    statistics: SyncSender<Vec<u8>>,
) -> Result<BaseConsumer<ReaderContext>, BenchError> {
    let consumer: BaseConsumer<ReaderContext> = client
        .consumer(group)
        .create_with_context(ReaderContext { statistics })
        .map_err(BenchError::client)?;
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in positions {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
            .map_err(BenchError::client)?;
    }
    consumer.assign(&list).map_err(BenchError::client)?;
    Ok(consumer)
}

impl ClientContext for ReaderContext {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {
        // Errors come out of `poll` and are counted.
    }

    fn stats_raw(&self, statistics: &[u8]) {
        // A report that finds no room is followed by another.
        let _ = self.statistics.try_send(statistics.to_vec());
    }

    fn error(&self, _error: KafkaError, _reason: &str) {
        // The same errors come out of `poll`.
    }
}

impl ConsumerContext for ReaderContext {}

impl Reader {
    /// Reads until the load is finished.
    pub(crate) fn run(mut self) {
        let clock = self.desk.shared.clock();
        let mut taken = 0u64;
        while !self.desk.shared.is_finished() {
            if let Some(rate) = self.desk.rate
                && taken as f64 > rate * clock.now_ns() as f64 / 1e9
            {
                thread::sleep(RATE_SLICE);
                self.desk.recorder.rotate(clock.now_ns());
                continue;
            }
            match self.consumer.poll(POLL_SLICE) {
                Some(Ok(message)) => {
                    taken += 1;
                    self.desk.take(&message, &clock);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.desk.status.ends_met.fetch_add(1, Ordering::Relaxed);
                    self.desk.idle(&clock);
                }
                Some(Err(error)) => {
                    self.desk.recorder.error(client_error_name(&error));
                    self.desk.idle(&clock);
                }
                None => self.desk.idle(&clock),
            }
        }
        self.desk.tell(true);
    }
}

impl ReaderDesk {
    fn take(&mut self, message: &BorrowedMessage<'_>, clock: &Clock) {
        let now_ns = clock.now_ns();
        self.recorder.rotate(now_ns);
        self.recorder.consumed(now_ns, message.payload_len() as u64);
        self.status.consumed.fetch_add(1, Ordering::Relaxed);
        if !self.times && self.account.is_none() {
            return;
        }
        let found = examine(message.payload().unwrap_or_default(), self.shared.run);
        if let Ok(header) = &found {
            self.status.own.fetch_add(1, Ordering::Relaxed);
            if self.times {
                let phase = self.recorder.window().phase_of(header.intended_ns);
                let latency_us = now_ns.saturating_sub(header.intended_ns) / 1_000;
                self.recorder.record(Tag::EndToEnd, phase, latency_us);
            }
        }
        if self.account.is_some() {
            let first = self.places.get(message.topic()).copied().unwrap_or(0);
            self.batch.push(ReadRecord {
                place: first + message.partition() as u32,
                offset: message.offset() as u64,
                found: found.map(|header| header.value),
                run: self.shared.run,
            });
            self.tell(false);
        }
    }

    fn idle(&mut self, clock: &Clock) {
        self.recorder.rotate(clock.now_ns());
        self.tell(true);
    }

    fn tell(&mut self, is_last: bool) {
        let is_due = self.batch.len() >= READ_BATCH || is_last;
        if is_due
            && !self.batch.is_empty()
            && let Some(account) = &self.account
        {
            // The account may be behind: then reading waits for it.
            let _ = account.send(AccountEvent::Read(std::mem::take(&mut self.batch)));
        }
    }
}
