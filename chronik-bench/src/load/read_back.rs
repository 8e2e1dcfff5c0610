//! Reads a stretch of a topic after the load and tells the account what is there.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use chronik_check::header::Header;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;

use super::account::{AccountEvent, READ_BATCH, ReadRecord, examine};
use super::reader::{Positions, assigned};
use crate::client::ClientSettings;
use crate::error::BenchError;
use crate::topic::Offsets;

const POLL_SLICE: Duration = Duration::from_millis(100);

/// What to read, for whom.
pub(crate) struct ReadBack<'a> {
    pub(crate) client: &'a ClientSettings,
    pub(crate) from: &'a Offsets,
    /// Exclusive.
    pub(crate) to: &'a Offsets,
    /// Whose records count; `None` takes those of all runs.
    pub(crate) run: Option<u64>,
    pub(crate) places: &'a BTreeMap<String, u32>,
    /// Longest time without a record.
    pub(crate) patience: Duration,
}

impl ReadBack<'_> {
    /// Returns how many records were read; an error if the end was not reached.
    pub(crate) fn run(&self, account: &SyncSender<AccountEvent>) -> Result<u64, BenchError> {
        let mut left: Positions = self
            .to
            .iter()
            .filter(|(place, end)| self.from.get(*place).is_some_and(|start| start < *end))
            .map(|(place, end)| (place.clone(), *end))
            .collect();
        let from: Positions = left
            .keys()
            .map(|place| (place.clone(), self.from[place]))
            .collect();
        if from.is_empty() {
            return Ok(0);
        }
        let (statistics, _unused) = sync_channel(1);
        let group = format!("chronik-bench-read-back-{:x}", self.run.unwrap_or(0));
        let consumer = assigned(self.client, &group, &from, statistics)?;
        let mut batch = Vec::new();
        let mut count = 0;
        let mut ends_met = 0;
        let mut last_news = Instant::now();
        while !left.is_empty() {
            match consumer.poll(POLL_SLICE) {
                Some(Ok(message)) => {
                    last_news = Instant::now();
                    let place = (message.topic().to_owned(), message.partition());
                    let end = self.to.get(&place).copied().unwrap_or(0);
                    if message.offset() < end {
                        count += 1;
                        batch.push(self.record(&message));
                    }
                    if message.offset() + 1 >= end {
                        left.remove(&place);
                    }
                    if batch.len() >= READ_BATCH {
                        let _ = account.send(AccountEvent::Read(std::mem::take(&mut batch)));
                    }
                }
                // Transaction markers at the end have offsets but no records.
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    ends_met += 1;
                    if ends_met >= from.len() {
                        left.clear();
                    }
                }
                Some(Err(error)) if last_news.elapsed() > self.patience => {
                    return Err(BenchError::cluster("reading back", "the cluster")(error));
                }
                None if last_news.elapsed() > self.patience => {
                    return Err(BenchError::CouldNotRun(format!(
                        "reading back met no record for {:?}; {} partitions are unread",
                        self.patience,
                        left.len()
                    )));
                }
                Some(Err(_)) | None => {}
            }
        }
        let _ = account.send(AccountEvent::Read(batch));
        Ok(count)
    }

    fn record(&self, message: &impl Message) -> ReadRecord {
        let first = self.places.get(message.topic()).copied().unwrap_or(0);
        let payload = message.payload().unwrap_or_default();
        let found = match self.run {
            Some(run) => examine(payload, run),
            None => Header::decode(payload),
        };
        ReadRecord {
            place: first + message.partition() as u32,
            offset: message.offset() as u64,
            run: found.as_ref().map_or(0, |header| header.run),
            found: found.map(|header| header.value),
        }
    }
}
