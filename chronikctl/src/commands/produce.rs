//! `chronikctl produce`: each line of the input is a record; every acknowledgement is waited for.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chronik_admin::Code;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::sleep;

use super::Said;
use super::topic::{find, leaders};
use crate::clock;
use crate::exit::{Failure, Verdict};
use crate::kafka::{self, Kafka, check, is_retriable, topic_name};
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topic
    topic: String,
    /// Key of every record
    #[arg(short, long)]
    key: Option<String>,
    /// The partition; without it the key decides, or else the turn
    #[arg(short, long, value_name = "NUMBER")]
    partition: Option<i32>,
    /// Read this file instead of standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A row for each batch
    #[arg(short, long)]
    verbose: bool,
}

/// What was acknowledged.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct Produced {
    topic: String,
    records: u64,
    batches: Vec<Batch>,
    /// Records that nobody acknowledged, and why.
    failed: u64,
    error: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Batch {
    partition: i32,
    base_offset: i64,
    records: u64,
}

type Record = (Option<Bytes>, Option<Bytes>);

const PRODUCE: i16 = 8;
/// Everything that is in sync has it.
const ALL_REPLICAS: i16 = -1;
const BATCH_RECORDS: usize = 1000;
const BATCH_BYTES: usize = 512 << 10;
const READ_BUFFER_BYTES: usize = 512 << 10;
/// While a partition looks for a leader.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const COLUMNS: [Column; 3] = [
    Column::number("partition"),
    Column::number("offset"),
    Column::number("records"),
];

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Said, Failure> {
    let context = &session.settings.context;
    if context.read_only {
        let message = format!("READ_ONLY: context {} is read-only", context.name);
        return Err(Failure::new(Code::Blocked, message));
    }
    let input: Box<dyn Read> =
        match &args.file {
            None => Box::new(io::stdin()),
            Some(file) => Box::new(File::open(file).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", file.display()))
            })?),
        };
    let mut input = BufReader::with_capacity(READ_BUFFER_BYTES, input);
    let mut kafka = session.own_kafka().await?;
    let mut produced = Produced {
        topic: args.topic.clone(),
        ..Produced::default()
    };
    while let Some(batch) = next_batch(&mut input, args.key.as_deref())? {
        match send(session, &mut kafka, args, produced.batches.len(), &batch).await {
            Ok((partition, base_offset)) => {
                let records = batch.len() as u64;
                produced.records += records;
                produced.batches.push(Batch {
                    partition,
                    base_offset,
                    records,
                });
            }
            Err(failure) if produced.records == 0 => return Err(failure),
            Err(failure) => {
                produced.failed = batch.len() as u64;
                produced.error = Some(failure.error.message);
                break;
            }
        }
    }
    Ok(answer(&kafka.cluster_id, &produced, args.verbose).into())
}

/// Lines that are there, up to a bound; none at the end of the input. A line that is still to come is not waited for
/// while others could be sent.
fn next_batch(
    input: &mut BufReader<Box<dyn Read>>,
    key: Option<&str>,
) -> Result<Option<Vec<Record>>, Failure> {
    let mut batch: Vec<Record> = Vec::new();
    let mut bytes = 0;
    loop {
        let mut line = Vec::new();
        let read = input.read_until(b'\n', &mut line);
        let read =
            read.map_err(|error| Failure::usage(format!("cannot read the input: {error}")))?;
        if read == 0 {
            return Ok((!batch.is_empty()).then_some(batch));
        }
        if line.ends_with(b"\n") {
            line.pop();
        }
        bytes += line.len();
        let key = key.map(|key| Bytes::copy_from_slice(key.as_bytes()));
        batch.push((key, Some(line.into())));
        let is_full = batch.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES;
        if is_full || !input.buffer().contains(&b'\n') {
            return Ok(Some(batch));
        }
    }
}

/// One batch to one partition, again only where nobody can have taken it.
async fn send(
    session: &Session,
    kafka: &mut Kafka,
    args: &Args,
    turn: usize,
    records: &[Record],
) -> Result<(i32, i64), Failure> {
    let deadline = Instant::now() + session.settings.bounds.call;
    let now = i64::try_from(clock::wall_ms()).unwrap_or(i64::MAX);
    let batch = kafka::encode(records, now).map_err(Failure::usage)?;
    loop {
        let outcome = attempt(kafka, args, turn, batch.clone()).await;
        match outcome {
            Ok(done) => return Ok(done),
            Err((failure, may_try_again)) if !may_try_again || Instant::now() >= deadline => {
                return Err(failure);
            }
            Err(_) => sleep(LOOK_EVERY).await,
        }
    }
}

async fn attempt(
    kafka: &mut Kafka,
    args: &Args,
    turn: usize,
    batch: Bytes,
) -> Result<(i32, i64), (Failure, bool)> {
    let topic = match find(kafka, &args.topic).await {
        Ok(topic) => topic,
        // The cluster may make topics that producers name; whether it does is its own affair.
        Err(failure) if failure.error.code == Code::NotFound => {
            let made = kafka.make_by_naming(&args.topic).await;
            made.map_err(|failure| (failure, false))?;
            return Err((failure, true));
        }
        Err(failure) => return Err((failure, true)),
    };
    let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    let by_turn = || i32::try_from(turn).unwrap_or(0) % count.max(1);
    let by_key = args
        .key
        .as_ref()
        .map(|key| kafka::for_key(key.as_bytes(), count));
    let partition = args.partition.or(by_key).unwrap_or_else(by_turn);
    if partition >= count {
        let message = format!("{} has {count} partitions, not {partition}", args.topic);
        return Err((Failure::usage(message), false));
    }
    let leader = leaders(&topic).get(&partition).copied().ok_or_else(|| {
        let message = format!("{}/{partition} has no leader", args.topic);
        let failure = Failure::new(Code::NoLeader, message);
        let hint = format!("chronikctl raft status --group {}/{partition}", args.topic);
        (failure.hint(hint), true)
    })?;
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch));
    let data = TopicProduceData::default()
        .with_name(topic_name(&args.topic))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(ALL_REPLICAS)
        .with_timeout_ms(kafka.timeout_ms())
        .with_topic_data(vec![data]);
    let answer = kafka.ask(leader, PRODUCE, &request).await;
    let answer = answer.map_err(|failure| (failure, false))?;
    let answers = answer
        .responses
        .into_iter()
        .flat_map(|topic| topic.partition_responses);
    let Some(answer) = answers.into_iter().next() else {
        return Err((
            Failure::new(Code::Internal, "the broker answers nothing"),
            false,
        ));
    };
    let message = answer
        .error_message
        .as_ref()
        .map(|message| message.to_string());
    let what = format!("{}/{partition}", args.topic);
    check(answer.error_code, &what, message.as_deref()).map_err(|failure| {
        // After a timeout it may be there: sending it again could make two of it.
        let was_refused = is_retriable(answer.error_code) && answer.error_code != 7;
        (failure, was_refused)
    })?;
    Ok((partition, answer.base_offset))
}

fn answer(cluster_id: &str, produced: &Produced, verbose: bool) -> Answer {
    let mut answer = Answer::of("Produced", cluster_id, produced);
    answer.rows = Rows::Of("batches");
    let records = plural(produced.records, "record");
    answer.headlines.push((
        Tone::Good,
        format!("{records} acknowledged by {}", produced.topic),
    ));
    if verbose {
        let mut table = Table::new(&COLUMNS);
        for batch in &produced.batches {
            let row: Vec<Cell> = vec![
                batch.partition.into(),
                batch.base_offset.into(),
                batch.records.into(),
            ];
            table.row(row);
        }
        answer.tables.push(table);
    }
    if let Some(error) = &produced.error {
        answer.headlines.push((
            Tone::Bad,
            format!(
                "{} not acknowledged: {error}",
                plural(produced.failed, "record")
            ),
        ));
        answer.verdict = Verdict::SomeFailed;
    }
    answer
}
