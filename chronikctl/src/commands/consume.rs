//! `chronikctl consume`: records as they come, up to the present end or on and on.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::sleep;

use super::place::Place;
use super::topic::{EARLIEST, LATEST, Offsets, every_offset, find, leaders, patient_offsets};
use crate::clock;
use crate::exit::{Failure, Verdict};
use crate::kafka::{Kafka, Read, check, decode, is_retriable, topic_name};
use crate::output::{Format, note, print};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topic
    topic: String,
    /// Only these partitions
    #[arg(short, long, value_name = "NUMBER,..", value_delimiter = ',')]
    partitions: Vec<i32>,
    /// Where to begin: start, end, an offset, or a time as 2026-11-21T18:55:40Z or @MS
    #[arg(long, value_name = "PLACE", default_value = "start", value_parser = Place::parse)]
    from: Place,
    /// Stop after so many records
    #[arg(short = 'n', long, value_name = "COUNT")]
    count: Option<u64>,
    /// Wait for more at the end
    #[arg(short, long)]
    follow: bool,
}

/// One record in JSON; what is no text is in hexadecimal digits.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Record<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: String,
    key: Option<String>,
    value: Option<String>,
    headers: BTreeMap<&'a str, Option<String>>,
}

const FETCH: i16 = 11;
const FETCH_BYTES: i32 = 1 << 20;
/// How long a broker may wait for records where it is the only one that is asked.
const WAIT: Duration = Duration::from_millis(500);
/// How long it may where others are asked after it.
const SHORT_WAIT: Duration = Duration::from_millis(50);
/// While a partition looks for a leader.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Kafka's number for an offset that the log does not have.
const OUT_OF_RANGE: i16 = 1;

/// How far the reading is.
struct Reading<'a> {
    session: &'a Session,
    args: &'a Args,
    next: Offsets,
    /// Where to stop; empty if nowhere.
    ends: Offsets,
    left: u64,
    /// Whether all that was wanted can be read.
    verdict: Verdict,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Verdict, Failure> {
    let format = session.settings.printer.format;
    if matches!(format, Format::Json | Format::Yaml) {
        let message = "records are a stream, and -o json and yaml are one object";
        return Err(Failure::usage(message).hint("-o jsonl"));
    }
    let mut kafka = session.own_kafka().await?;
    let mut reading = begin(session, args, &mut kafka).await?;
    while reading.left > 0 && !reading.is_at_end() {
        let topic = find(&mut kafka, &args.topic).await?;
        let led = leaders(&topic);
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for partition in reading.open() {
            if let Some(leader) = led.get(&partition) {
                by_leader.entry(*leader).or_default().push(partition);
            }
        }
        if by_leader.is_empty() {
            sleep(LOOK_EVERY).await;
        }
        let wait = if by_leader.len() == 1 {
            WAIT
        } else {
            SHORT_WAIT
        };
        for (leader, partitions) in by_leader {
            let request = reading.request(&partitions, wait);
            let answer = kafka.ask(leader, FETCH, &request).await?;
            check(answer.error_code, &args.topic, None)?;
            let data = answer
                .responses
                .into_iter()
                .flat_map(|topic| topic.partitions);
            for partition in data {
                if reading.take(partition)?.is_none() {
                    return Ok(reading.verdict);
                }
            }
        }
    }
    Ok(reading.verdict)
}

async fn begin<'a>(
    session: &'a Session,
    args: &'a Args,
    kafka: &mut Kafka,
) -> Result<Reading<'a>, Failure> {
    let topic = find(kafka, &args.topic).await?;
    let partitions = topic.partitions.iter();
    let mut wanted: Vec<i32> = partitions.map(|known| known.partition_index).collect();
    if let Some(missing) = args.partitions.iter().find(|one| !wanted.contains(one)) {
        let message = format!("{} has no partition {missing}", args.topic);
        return Err(
            Failure::usage(message).hint(format!("chronikctl topic describe {}", args.topic))
        );
    }
    wanted.retain(|partition| args.partitions.is_empty() || args.partitions.contains(partition));
    let start = patient_offsets(kafka, &args.topic, &wanted, EARLIEST).await?;
    let silent: Vec<i32> = wanted
        .extract_if(.., |one| !start.contains_key(one))
        .collect();
    for partition in &silent {
        let name = format!("{}/{partition}", args.topic);
        note(&format!(
            "warning: the leader of {name} does not answer: its records are left out"
        ));
    }
    let end = every_offset(kafka, &args.topic, &wanted, LATEST).await?;
    let next = match args.from {
        Place::Start => start,
        Place::End => end.clone(),
        Place::Offset(offset) => wanted
            .iter()
            .map(|partition| (*partition, offset))
            .collect(),
        Place::Time(ms) => {
            let at = every_offset(kafka, &args.topic, &wanted, ms).await?;
            let at = |partition| at.get(partition).copied().filter(|at| *at >= 0);
            // Nothing is that young: the end.
            let places = end.iter();
            let places = places.map(|(partition, end)| (*partition, at(partition).unwrap_or(*end)));
            places.collect()
        }
    };
    Ok(Reading {
        session,
        args,
        next,
        ends: if args.follow { Offsets::new() } else { end },
        left: args.count.unwrap_or(u64::MAX),
        verdict: match silent.is_empty() {
            true => Verdict::Yes,
            false => Verdict::SomeFailed,
        },
    })
}

impl Reading<'_> {
    fn is_at_end(&self) -> bool {
        self.open().is_empty()
    }

    /// Partitions that have something left to read.
    fn open(&self) -> Vec<i32> {
        let is_open = |(partition, next): &(&i32, &i64)| {
            self.args.follow || self.ends.get(partition).is_some_and(|end| *next < end)
        };
        self.next
            .iter()
            .filter(is_open)
            .map(|(partition, _)| *partition)
            .collect()
    }

    fn request(&self, partitions: &[i32], wait: Duration) -> FetchRequest {
        let asked = partitions.iter().map(|partition| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(self.next[partition])
                .with_log_start_offset(-1)
                .with_partition_max_bytes(FETCH_BYTES)
        });
        let asked = FetchTopic::default()
            .with_topic(topic_name(&self.args.topic))
            .with_partitions(asked.collect());
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(1)
            .with_max_bytes(FETCH_BYTES * 16)
            .with_session_epoch(-1)
            .with_topics(vec![asked])
    }

    /// Shows what a partition gave; none once nobody reads it any more, or all that was wanted is there.
    fn take(&mut self, data: PartitionData) -> Result<Option<()>, Failure> {
        let (partition, number) = (data.partition_index, data.error_code);
        if is_retriable(number) && number != OUT_OF_RANGE {
            // The next round asks whoever leads then.
            return Ok(Some(()));
        }
        let what = format!("{}/{partition}", self.args.topic);
        check(number, &what, None)?;
        let from = self.next[&partition];
        let (records, next) = decode(data.records.unwrap_or_default(), from).map_err(|error| {
            Failure::new(chronik_admin::Code::Internal, format!("{what}: {error}"))
        })?;
        let end = self.ends.get(&partition).copied().unwrap_or(i64::MAX);
        let mut text = String::new();
        for record in records.iter().filter(|record| record.offset < end) {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            text.push_str(&self.line(partition, record));
        }
        self.next.insert(partition, next);
        if print(&text).is_err() || self.left == 0 {
            return Ok(None);
        }
        Ok(Some(()))
    }

    fn line(&self, partition: i32, record: &Read) -> String {
        let shown = |bytes: &Option<bytes::Bytes>| bytes.as_deref().map(readable);
        let (key, value) = (shown(&record.key), shown(&record.value));
        let timestamp = clock::rfc3339(record.timestamp_ms.max(0).unsigned_abs());
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        match self.session.settings.printer.format {
            Format::Jsonl => {
                let headers = record.headers.iter();
                let row = Record {
                    topic: &self.args.topic,
                    partition,
                    offset: record.offset,
                    timestamp,
                    key,
                    value,
                    headers: headers
                        .map(|(name, value)| (name.as_str(), shown(value)))
                        .collect(),
                };
                let row = serde_json::to_string(&row).expect("a record has a JSON form");
                format!("{row}\n")
            }
            Format::Tsv => {
                let flat = |text: String| text.replace(['\t', '\n', '\r'], " ");
                let (key, value) = (flat(text(key)), flat(text(value)));
                format!(
                    "{partition}\t{}\t{timestamp}\t{key}\t{value}\n",
                    record.offset
                )
            }
            Format::Wide => {
                format!(
                    "{partition}  {}  {timestamp}  {}  {}\n",
                    record.offset,
                    text(key),
                    text(value)
                )
            }
            _ => format!("{}\n", text(value)),
        }
    }
}

/// Text as it is, anything else as digits.
fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("0x{digits}")
        }
    }
}
