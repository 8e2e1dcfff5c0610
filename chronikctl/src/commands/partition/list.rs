//! `chronikctl partition list`: partitions of all topics, those with a trouble first to be asked for.

use std::collections::BTreeSet;

use chronik_admin::v1::RaftGroup;
use kafka_protocol::messages::BrokerId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::raft::status;
use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, note};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only of this topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only those that nobody leads
    #[arg(long)]
    leaderless: bool,
    /// Only those with a replica that does not keep up
    #[arg(long)]
    under_replicated: bool,
    /// Only those with a replica that lacks more entries than this
    #[arg(long, value_name = "ENTRIES")]
    lagging: Option<u64>,
    /// Only those with a replica on this node
    #[arg(long, value_name = "NODE")]
    on: Option<i32>,
}

/// Partitions, by topic and number.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PartitionList {
    partitions: Vec<Row>,
}

#[derive(Serialize, JsonSchema)]
struct Row {
    topic: String,
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
}

const COLUMNS: [Column; 6] = [
    Column::text("topic"),
    Column::number("partition"),
    Column::number("leader"),
    Column::number("epoch"),
    Column::text("replicas"),
    Column::text("in-sync"),
];

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let mut partitions = rows(&kafka.metadata(None).await?);
    partitions.retain(|row| is_wanted(args, row));
    if let Some(most) = args.lagging {
        let lagging = lagging(session, most).await?;
        partitions.retain(|row| lagging.contains(&format!("{}/{}", row.topic, row.partition)));
    }
    let mut table = Table::new(&COLUMNS);
    partitions.iter().for_each(|row| table.row(cells(row)));
    if partitions.is_empty() {
        note("no such partitions");
    }
    let mut answer = Answer::of(
        "PartitionList",
        &kafka.cluster_id,
        &PartitionList { partitions },
    );
    answer.rows = Rows::Of("partitions");
    answer.tables.push(table);
    Ok(answer)
}

/// Partitions with a replica that lacks more than so many entries: only leaders know, and only the admin API tells.
async fn lagging(session: &Session, most: u64) -> Result<BTreeSet<String>, Failure> {
    let (_, status) = status::ask(session, "", true).await?;
    let lags = |group: &&RaftGroup| {
        let views = group.views.iter().flat_map(|view| &view.progress);
        let mut behind = views.filter(|peer| peer.lag_entries > most);
        behind.next().is_some()
    };
    let groups = status.groups.iter().filter(lags);
    Ok(groups.map(|group| group.name.clone()).collect())
}

fn rows(metadata: &kafka_protocol::messages::MetadataResponse) -> Vec<Row> {
    let nodes = |nodes: &[BrokerId]| nodes.iter().map(|node| node.0).collect();
    let of_topic = |topic: &kafka_protocol::messages::metadata_response::MetadataResponseTopic| {
        let name = topic.name.as_ref().map(|name| name.to_string());
        let name = name.unwrap_or_default();
        let partitions = topic.partitions.iter();
        let rows = partitions.map(|partition| Row {
            topic: name.clone(),
            partition: partition.partition_index,
            leader: (partition.leader_id.0 >= 0).then_some(partition.leader_id.0),
            leader_epoch: partition.leader_epoch,
            replicas: nodes(&partition.replica_nodes),
            in_sync: nodes(&partition.isr_nodes),
        });
        rows.collect::<Vec<_>>()
    };
    let mut rows: Vec<Row> = metadata.topics.iter().flat_map(of_topic).collect();
    rows.sort_by(|one, other| (&one.topic, one.partition).cmp(&(&other.topic, other.partition)));
    rows
}

fn is_wanted(args: &Args, row: &Row) -> bool {
    let is_lagging = row.in_sync.len() < row.replicas.len();
    args.topic.as_ref().is_none_or(|topic| *topic == row.topic)
        && (!args.leaderless || row.leader.is_none())
        && (!args.under_replicated || is_lagging)
        && args.on.is_none_or(|node| row.replicas.contains(&node))
}

fn cells(row: &Row) -> Vec<Cell> {
    let list = |nodes: &[i32]| {
        nodes
            .iter()
            .map(i32::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let leader = match row.leader {
        Some(leader) => Cell::from(leader),
        None => Cell::toned(Tone::Bad, "NONE"),
    };
    let in_sync = match row.in_sync.len() < row.replicas.len() {
        true => Cell::toned(Tone::Bad, list(&row.in_sync)),
        false => list(&row.in_sync).into(),
    };
    vec![
        row.topic.as_str().into(),
        row.partition.into(),
        leader,
        row.leader_epoch.into(),
        list(&row.replicas).into(),
        in_sync,
    ]
}
