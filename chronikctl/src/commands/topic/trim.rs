//! `chronikctl topic trim`: the oldest records go, by Kafka's words; how many and how much is said first.

use std::collections::BTreeMap;

use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::{DeleteRecordsRequest, DescribeLogDirsRequest};
use schemars::JsonSchema;
use serde::Serialize;

use super::{begin, find, leaders};
use crate::cli::Consent;
use crate::commands::place::{Found, Place};
use crate::exit::{Failure, Verdict};
use crate::kafka::{Kafka, check, topic_name};
use crate::mutate;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, bytes, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topic
    topic: String,
    /// Records before this place go: end for all, an offset, or a time as 2026-11-21T18:55:40Z or @MS
    #[arg(long, value_name = "PLACE", value_parser = Place::parse)]
    before: Place,
    /// Only this partition
    #[arg(short, long, value_name = "NUMBER")]
    partition: Option<i32>,
    #[command(flatten)]
    consent: Consent,
}

/// What went.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Trimmed {
    topic: String,
    partitions: Vec<Partition>,
}

#[derive(Serialize, JsonSchema)]
struct Partition {
    partition: i32,
    start_before: i64,
    start_after: i64,
    records: i64,
    /// About so many, on each replica; none if the leader does not tell sizes.
    bytes: Option<u64>,
    /// Why nothing went.
    error: Option<String>,
}

const DELETE_RECORDS: i16 = 1;
const DESCRIBE_LOG_DIRS: i16 = 1;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (mut kafka, mut plan) = begin(session, "trim", std::slice::from_ref(&args.topic)).await?;
    let cluster_id = plan.cluster_id.clone();
    let places = args
        .before
        .find(&mut kafka, &args.topic, args.partition)
        .await?;
    let sizes = sizes(&mut kafka, &args.topic).await;
    for (partition, found) in &places {
        let (name, records) = (&args.topic, found.at - found.start);
        let much = about(found, sizes.get(partition)).map(bytes);
        let much = much.map_or_else(String::new, |much| format!(", about {much}"));
        plan.change(format!(
            "{name}/{partition}: {} go for ever{much}; it then begins at {}",
            plural(records.unsigned_abs(), "record"),
            found.at
        ));
    }
    let act = async {
        let mut partitions = Vec::new();
        for (partition, found) in &places {
            let trimmed = trim(&mut kafka, &args.topic, *partition, found.at).await;
            partitions.push(became(*partition, found, trimmed, sizes.get(partition)));
        }
        Ok(told(&cluster_id, &args.topic, partitions))
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}

/// The new start of a partition.
async fn trim(kafka: &mut Kafka, topic: &str, partition: i32, at: i64) -> Result<i64, Failure> {
    let found = find(kafka, topic).await?;
    let what = format!("{topic}/{partition}");
    let leader = leaders(&found).get(&partition).copied();
    let leader = leader.ok_or_else(|| crate::kafka::refusal(5, &what, None))?;
    let wanted = DeleteRecordsPartition::default()
        .with_partition_index(partition)
        .with_offset(at);
    let wanted = DeleteRecordsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![wanted]);
    let request = DeleteRecordsRequest::default()
        .with_topics(vec![wanted])
        .with_timeout_ms(kafka.timeout_ms());
    let answer = kafka.ask(leader, DELETE_RECORDS, &request).await?;
    let mut results = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let result = results.next();
    let result = result.ok_or_else(|| crate::kafka::refusal(-1, &what, None))?;
    check(result.error_code, &what, None)?;
    Ok(result.low_watermark)
}

/// Bytes of each partition, as its leader says; who does not tell them leaves a gap.
async fn sizes(kafka: &mut Kafka, topic: &str) -> BTreeMap<i32, u64> {
    let mut sizes = BTreeMap::new();
    let Ok(found) = find(kafka, topic).await else {
        return sizes;
    };
    let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (partition, leader) in leaders(&found) {
        by_leader.entry(leader).or_default().push(partition);
    }
    for (leader, partitions) in by_leader {
        let wanted = DescribableLogDirTopic::default()
            .with_topic(topic_name(topic))
            .with_partitions(partitions);
        let request = DescribeLogDirsRequest::default().with_topics(Some(vec![wanted]));
        let Ok(answer) = kafka.ask(leader, DESCRIBE_LOG_DIRS, &request).await else {
            continue;
        };
        let topics = answer.results.into_iter().flat_map(|dir| dir.topics);
        let known = topics.flat_map(|topic| topic.partitions);
        sizes.extend(known.map(|it| (it.partition_index, it.partition_size.unsigned_abs())));
    }
    sizes
}

/// Records are taken to be of one size.
fn about(found: &Found, size: Option<&u64>) -> Option<u64> {
    let (all, gone) = (found.end - found.start, found.at - found.start);
    let (all, gone) = (all.unsigned_abs(), gone.unsigned_abs());
    let share = u128::from(*size?) * u128::from(gone);
    u64::try_from(share.checked_div(all.into()).unwrap_or(0)).ok()
}

fn became(
    partition: i32,
    found: &Found,
    trimmed: Result<i64, Failure>,
    size: Option<&u64>,
) -> Partition {
    let (start_after, error) = match trimmed {
        Ok(start) => (start, None),
        Err(failure) => (found.start, Some(failure.error.message)),
    };
    let went = Found {
        at: start_after,
        ..*found
    };
    Partition {
        partition,
        start_before: found.start,
        start_after,
        records: start_after - found.start,
        bytes: about(&went, size),
        error,
    }
}

fn told(cluster_id: &str, topic: &str, partitions: Vec<Partition>) -> Answer {
    let columns = [
        Column::number("partition"),
        Column::number("start before"),
        Column::number("start after"),
        Column::number("records"),
        Column::text("size"),
        Column::text("outcome"),
    ];
    let mut table = Table::new(&columns);
    for one in &partitions {
        table.row(vec![
            one.partition.into(),
            one.start_before.into(),
            one.start_after.into(),
            one.records.into(),
            Cell::maybe(one.bytes.map(|much| format!("about {}", bytes(much)))),
            match &one.error {
                None => Cell::toned(Tone::Good, "trimmed"),
                Some(error) => Cell::toned(Tone::Bad, format!("FAILED: {error}")),
            },
        ]);
    }
    let has_failed = partitions.iter().any(|one| one.error.is_some());
    let trimmed = Trimmed {
        topic: topic.to_owned(),
        partitions,
    };
    let mut answer = Answer::of("Trimmed", cluster_id, &trimmed);
    answer.rows = Rows::Of("partitions");
    answer.tables.push(table);
    if has_failed {
        answer.verdict = Verdict::SomeFailed;
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_records_is_a_share_of_the_bytes() {
        let found = |at| Found {
            start: 100,
            end: 200,
            at,
        };
        assert_eq!(about(&found(125), Some(&1000)), Some(250));
        assert_eq!(about(&found(200), Some(&1000)), Some(1000));
        assert_eq!(about(&found(100), None), None);
        let empty = Found {
            start: 7,
            end: 7,
            at: 7,
        };
        assert_eq!(about(&empty, Some(&0)), Some(0));
    }
}
