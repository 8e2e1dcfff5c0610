//! `chronikctl partition describe`: one partition as each of its replicas sees it, with what clients find in it.

use chronik_admin::Code;
use chronik_admin::v1::{RaftGroup, RaftView};
use schemars::JsonSchema;
use serde::Serialize;

use super::relocate;
use crate::commands::raft::status;
use crate::commands::topic::edges;
use crate::exit::Failure;
use crate::output::{Answer, Tone};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// As TOPIC/PARTITION
    #[arg(value_name = "TOPIC/PARTITION", value_parser = relocate::partition)]
    partition: (String, i32),
}

/// One partition.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PartitionDescription {
    name: String,
    /// The first offset that can be read, and the next one to be written; none while nobody leads.
    start: Option<i64>,
    end: Option<i64>,
    in_sync: Vec<u64>,
    /// The group as each of its nodes sees it.
    group: RaftGroup,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (topic, number) = &args.partition;
    let name = format!("{topic}/{number}");
    let (_, status) = status::ask(session, &name, true).await?;
    session.check_cluster(&status.cluster_id)?;
    let group = status.groups.into_iter().next().ok_or_else(|| {
        Failure::new(Code::NotFound, format!("there is no partition {name}"))
            .hint("chronikctl partition list")
    })?;
    let (start, end) = match session.kafka().await {
        Ok(mut kafka) => edges(&mut kafka, topic).await,
        // What the replicas say is an answer without the offsets, too.
        Err(_) => Default::default(),
    };
    let described = PartitionDescription {
        name,
        start: start.get(number).copied(),
        end: end.get(number).copied(),
        in_sync: in_sync(&group.views),
        group,
    };
    let mut answer = Answer::of("Partition", &status.cluster_id, &described);
    answer.headlines.push(headline(&described));
    let groups = std::slice::from_ref(&described.group);
    answer.tables.push(status::groups(groups));
    Ok(answer)
}

fn in_sync(views: &[RaftView]) -> Vec<u64> {
    let progress = views.iter().flat_map(|view| &view.progress);
    let in_sync = progress.filter(|peer| peer.in_sync);
    in_sync.map(|peer| peer.node_id).collect()
}

fn headline(described: &PartitionDescription) -> (Tone, String) {
    let known = |offset: Option<i64>| offset.map_or_else(|| "?".to_owned(), |it| it.to_string());
    let in_sync: Vec<String> = described.in_sync.iter().map(u64::to_string).collect();
    let (tone, leader) = match described.group.leader {
        Some(node) => (Tone::Strong, format!("led by node {node}")),
        None => (Tone::Bad, "LEADERLESS".to_owned()),
    };
    let line = format!(
        "{}: {leader} in term {}, in sync {}, offsets {} to {}",
        described.name,
        described.group.term,
        in_sync.join(","),
        known(described.start),
        known(described.end),
    );
    (tone, line)
}
