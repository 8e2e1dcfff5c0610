//! `chronikctl topic list`: a row for each topic, with what is wrong with its partitions.

use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use schemars::JsonSchema;
use serde::Serialize;

use super::name_of;
use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, note};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Those that the cluster keeps for itself as well
    #[arg(long)]
    internal: bool,
}

/// All topics.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TopicList {
    topics: Vec<TopicSummary>,
}

#[derive(Serialize, JsonSchema)]
struct TopicSummary {
    name: String,
    internal: bool,
    partitions: usize,
    replication_factor: usize,
    leaderless: usize,
    under_replicated: usize,
}

const COLUMNS: [Column; 5] = [
    Column::text("topic"),
    Column::number("partitions"),
    Column::number("replicas"),
    Column::number("leaderless"),
    Column::number("under-replicated"),
];

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let metadata = kafka.metadata(None).await?;
    let topics = metadata.topics.iter();
    let topics = topics.filter(|topic| args.internal || !topic.is_internal);
    let mut topics: Vec<TopicSummary> = topics.map(summary).collect();
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    let mut table = Table::new(&COLUMNS);
    for topic in &topics {
        let count = |count: usize| match count {
            0 => Cell::from(0),
            count => Cell::toned(Tone::Bad, count),
        };
        table.row(vec![
            topic.name.as_str().into(),
            topic.partitions.into(),
            topic.replication_factor.into(),
            count(topic.leaderless),
            count(topic.under_replicated),
        ]);
    }
    if topics.is_empty() {
        note("no topics");
    }
    let mut answer = Answer::of("TopicList", &kafka.cluster_id, &TopicList { topics });
    answer.rows = Rows::Of("topics");
    answer.tables.push(table);
    Ok(answer)
}

fn summary(topic: &MetadataResponseTopic) -> TopicSummary {
    let partitions = || topic.partitions.iter();
    let replicas = partitions().map(|partition| partition.replica_nodes.len());
    TopicSummary {
        name: name_of(topic),
        internal: topic.is_internal,
        partitions: topic.partitions.len(),
        replication_factor: replicas.max().unwrap_or(0),
        leaderless: partitions()
            .filter(|partition| partition.leader_id.0 < 0)
            .count(),
        under_replicated: partitions()
            .filter(|partition| partition.isr_nodes.len() < partition.replica_nodes.len())
            .count(),
    }
}
