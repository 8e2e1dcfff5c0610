//! `chronikctl topic describe`: partitions with leaders, replicas and offsets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chronik_admin::Code;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::sleep;

use crate::commands::config::of_topic;
use crate::exit::Failure;
use crate::kafka::{Kafka, check, topic_name};
use crate::output::{Answer, Cell, Column, Rows, Table, Tone};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topic
    topic: String,
}

/// One topic.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TopicDescription {
    name: String,
    internal: bool,
    partitions: Vec<Partition>,
    /// What was set on it; everything else has its default.
    configs: BTreeMap<String, String>,
}

#[derive(Serialize, JsonSchema)]
struct Partition {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
    /// None while there is no leader to ask.
    start_offset: Option<i64>,
    end_offset: Option<i64>,
}

/// Offsets by partition; partitions whose leader does not answer are missing.
pub(crate) type Offsets = BTreeMap<i32, i64>;

/// The timestamps that ask for the edges of a log.
pub(crate) const LATEST: i64 = -1;
pub(crate) const EARLIEST: i64 = -2;

const LIST_OFFSETS: i16 = 5;
/// While a partition looks for a leader.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const COLUMNS: [Column; 8] = [
    Column::number("partition"),
    Column::number("leader"),
    Column::number("epoch"),
    Column::text("replicas"),
    Column::text("in-sync"),
    Column::number("start"),
    Column::number("end"),
    Column::number("records"),
];

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let topic = find(&mut kafka, &args.topic).await?;
    let leaders = leaders(&topic);
    let start = offsets(&mut kafka, &args.topic, &leaders, EARLIEST).await;
    let end = offsets(&mut kafka, &args.topic, &leaders, LATEST).await;
    let configs = of_topic(&mut kafka, &args.topic).await?;
    let set = configs.into_iter().filter(|config| config.from == "topic");
    let nodes = |nodes: &[BrokerId]| nodes.iter().map(|node| node.0).collect();
    let partitions = topic.partitions.iter().map(|partition| {
        let index = partition.partition_index;
        Partition {
            partition: index,
            leader: leaders.get(&index).copied(),
            leader_epoch: partition.leader_epoch,
            replicas: nodes(&partition.replica_nodes),
            in_sync: nodes(&partition.isr_nodes),
            start_offset: start.get(&index).copied(),
            end_offset: end.get(&index).copied(),
        }
    });
    let mut described = TopicDescription {
        name: args.topic.clone(),
        internal: topic.is_internal,
        partitions: partitions.collect(),
        configs: set.map(|config| (config.name, config.value)).collect(),
    };
    described
        .partitions
        .sort_by_key(|partition| partition.partition);
    let mut answer = Answer::of("Topic", &kafka.cluster_id, &described);
    answer.rows = Rows::Of("partitions");
    answer.headlines = headlines(&described);
    answer.tables.push(table(&described));
    Ok(answer)
}

/// A topic that exists.
pub(crate) async fn find(kafka: &mut Kafka, name: &str) -> Result<MetadataResponseTopic, Failure> {
    let metadata = kafka.metadata(Some(&[name.to_owned()])).await?;
    let topic = metadata.topics.into_iter().next();
    let topic = topic.ok_or_else(|| crate::kafka::refusal(3, &format!("topic {name}"), None))?;
    check(topic.error_code, &format!("topic {name}"), None)?;
    Ok(topic)
}

/// Who leads each partition that has a leader.
pub(crate) fn leaders(topic: &MetadataResponseTopic) -> BTreeMap<i32, i32> {
    let led = topic
        .partitions
        .iter()
        .filter(|partition| partition.leader_id.0 >= 0);
    led.map(|partition| (partition.partition_index, partition.leader_id.0))
        .collect()
}

/// One edge of each partition, asked of its leader; leaders that do not answer leave a gap.
pub(super) async fn offsets(
    kafka: &mut Kafka,
    topic: &str,
    leaders: &BTreeMap<i32, i32>,
    timestamp: i64,
) -> Offsets {
    let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (partition, leader) in leaders {
        by_leader.entry(*leader).or_default().push(*partition);
    }
    let mut offsets = Offsets::new();
    for (leader, partitions) in by_leader {
        let asked = partitions.iter().map(|partition| {
            ListOffsetsPartition::default()
                .with_partition_index(*partition)
                .with_current_leader_epoch(-1)
                .with_timestamp(timestamp)
        });
        let asked = ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(asked.collect());
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![asked]);
        let Ok(answer) = kafka.ask(leader, LIST_OFFSETS, &request).await else {
            continue;
        };
        let answers = answer.topics.into_iter().flat_map(|topic| topic.partitions);
        let known = answers.filter(|partition| partition.error_code == 0);
        offsets.extend(known.map(|partition| (partition.partition_index, partition.offset)));
    }
    offsets
}

/// One edge of each of these partitions, or why there is none of one of them.
pub(crate) async fn every_offset(
    kafka: &mut Kafka,
    topic: &str,
    partitions: &[i32],
    timestamp: i64,
) -> Result<Offsets, Failure> {
    let found = patient_offsets(kafka, topic, partitions, timestamp).await?;
    match partitions.iter().find(|one| !found.contains_key(one)) {
        None => Ok(found),
        Some(missing) => {
            let message = format!("the leader of {topic}/{missing} does not answer");
            let hint = format!("chronikctl raft status --group {topic}/{missing}");
            Err(Failure::new(Code::NoLeader, message).hint(hint))
        }
    }
}

/// One edge of each of these partitions. A leader that is just being replaced is waited for; whatever is missing then
/// has nobody to ask.
pub(crate) async fn patient_offsets(
    kafka: &mut Kafka,
    topic: &str,
    partitions: &[i32],
    timestamp: i64,
) -> Result<Offsets, Failure> {
    let deadline = Instant::now() + kafka.bound();
    loop {
        // One look may take as long as all may: it is never the only one.
        let is_last = Instant::now() >= deadline;
        let mut leaders = leaders(&find(kafka, topic).await?);
        leaders.retain(|partition, _| partitions.contains(partition));
        let found = offsets(kafka, topic, &leaders, timestamp).await;
        if is_last || partitions.iter().all(|one| found.contains_key(one)) {
            return Ok(found);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn headlines(topic: &TopicDescription) -> Vec<(Tone, String)> {
    let mut lines = vec![(Tone::Strong, format!("topic {}", topic.name))];
    if !topic.configs.is_empty() {
        let set = topic
            .configs
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        lines.push((
            Tone::Plain,
            format!("set: {}", set.collect::<Vec<_>>().join(" ")),
        ));
    }
    lines
}

fn table(topic: &TopicDescription) -> Table {
    let mut table = Table::new(&COLUMNS);
    let list = |nodes: &[i32]| {
        nodes
            .iter()
            .map(i32::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    for partition in &topic.partitions {
        let leader = match partition.leader {
            Some(leader) => Cell::from(leader),
            None => Cell::toned(Tone::Bad, "NONE"),
        };
        let in_sync = match partition.in_sync.len() < partition.replicas.len() {
            true => Cell::toned(Tone::Bad, list(&partition.in_sync)),
            false => Cell::from(list(&partition.in_sync)),
        };
        let records = partition.start_offset.zip(partition.end_offset);
        table.row(vec![
            partition.partition.into(),
            leader,
            partition.leader_epoch.into(),
            list(&partition.replicas).into(),
            in_sync,
            Cell::maybe(partition.start_offset),
            Cell::maybe(partition.end_offset),
            Cell::maybe(records.map(|(start, end)| end - start)),
        ]);
    }
    table
}
