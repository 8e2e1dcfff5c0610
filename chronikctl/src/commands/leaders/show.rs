//! `chronikctl leaders show`: how leading is shared among the nodes, and how it should be.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, plural};
use crate::session::Session;

/// Who leads how much.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LeaderShares {
    nodes: Vec<Share>,
    /// Partitions that another node leads than the one that should.
    displaced: usize,
    leaderless: usize,
}

#[derive(Default, Serialize, JsonSchema)]
struct Share {
    node_id: i32,
    leaders: usize,
    /// Partitions whose first replica it holds.
    preferred: usize,
    replicas: usize,
}

const COLUMNS: [Column; 5] = [
    Column::number("node"),
    Column::number("leaders"),
    Column::number("preferred"),
    Column::number("off by"),
    Column::number("replicas"),
];

pub(super) async fn run(session: &Session) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let metadata = kafka.metadata(None).await?;
    let mut shares: BTreeMap<i32, Share> = BTreeMap::new();
    let mut displaced = 0;
    let mut leaderless = 0;
    for node in kafka.nodes() {
        shares.entry(node).or_default();
    }
    for partition in metadata.topics.iter().flat_map(|topic| &topic.partitions) {
        let leader = partition.leader_id.0;
        match leader {
            ..0 => leaderless += 1,
            leader => shares.entry(leader).or_default().leaders += 1,
        }
        if let Some(preferred) = partition.replica_nodes.first() {
            shares.entry(preferred.0).or_default().preferred += 1;
            displaced += usize::from(leader >= 0 && leader != preferred.0);
        }
        for replica in &partition.replica_nodes {
            shares.entry(replica.0).or_default().replicas += 1;
        }
    }
    let nodes = shares
        .into_iter()
        .map(|(node_id, share)| Share { node_id, ..share });
    let shares = LeaderShares {
        nodes: nodes.collect(),
        displaced,
        leaderless,
    };
    Ok(answer(&kafka.cluster_id, &shares))
}

fn answer(cluster_id: &str, shares: &LeaderShares) -> Answer {
    let mut table = Table::new(&COLUMNS);
    for share in &shares.nodes {
        let off = share.leaders as i64 - share.preferred as i64;
        let tone = if off == 0 { Tone::Plain } else { Tone::Warn };
        table.row(vec![
            share.node_id.into(),
            share.leaders.into(),
            share.preferred.into(),
            Cell::toned(tone, format!("{off:+}")),
            share.replicas.into(),
        ]);
    }
    let (displaced, leaderless) = (shares.displaced, shares.leaderless);
    let line = format!(
        "{} led by another node than the first replica, {leaderless} by none",
        plural(displaced as u64, "partition")
    );
    let tone = match (displaced, leaderless) {
        (0, 0) => Tone::Good,
        (_, 0) => Tone::Warn,
        _ => Tone::Bad,
    };
    let mut answer = Answer::of("LeaderShares", cluster_id, shares);
    answer.rows = Rows::Of("nodes");
    answer.headlines.push((tone, line));
    answer.tables.push(table);
    answer
}
