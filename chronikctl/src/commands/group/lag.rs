//! `chronikctl group lag`: what groups have not consumed yet, a row for each.

use schemars::JsonSchema;
use serde::Serialize;

use super::{GroupDescription, describe, list};
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Cell, Column, Table, Tone, note};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The group; all groups if none is named
    group: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct GroupLagList {
    groups: Vec<GroupLag>,
}

#[derive(Serialize, JsonSchema)]
struct GroupLag {
    group: String,
    state: String,
    members: u64,
    partitions: u64,
    /// Over all partitions whose end is known.
    lag: i64,
    /// The partition that lacks most, and how much.
    worst: Option<String>,
    worst_lag: i64,
    /// Partitions with records that are gone and were not consumed.
    below_start: u64,
}

const COLUMNS: [Column; 8] = [
    Column::text("group"),
    Column::text("state"),
    Column::number("members"),
    Column::number("partitions"),
    Column::number("lag"),
    Column::text("worst"),
    Column::number("worst lag"),
    Column::number("below start"),
];

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let (names, warnings) = match &args.group {
        Some(name) => (vec![name.clone()], Vec::new()),
        None => {
            let (known, warnings) = list::read(&mut kafka).await;
            (
                known.into_iter().map(|known| known.group).collect(),
                warnings,
            )
        }
    };
    let mut groups = Vec::new();
    for name in &names {
        groups.push(lag(describe::read(&mut kafka, name).await?));
    }
    if groups.is_empty() {
        note("no groups");
    }
    let mut table = Table::new(&COLUMNS);
    groups.iter().for_each(|group| table.row(row(group)));
    let mut answer = Answer::of("GroupLagList", &kafka.cluster_id, &GroupLagList { groups });
    answer.rows = answer.data["groups"].as_array().cloned();
    answer.tables.push(table);
    if !warnings.is_empty() {
        answer.verdict = Verdict::SomeFailed;
    }
    answer.warnings = warnings;
    Ok(answer)
}

fn lag(group: GroupDescription) -> GroupLag {
    let positions = group.partitions.iter();
    let worst = positions.clone().max_by_key(|position| position.lag);
    GroupLag {
        members: group.members.len() as u64,
        partitions: group.partitions.len() as u64,
        lag: group.total_lag,
        worst: worst.map(|worst| format!("{}/{}", worst.topic, worst.partition)),
        worst_lag: worst.and_then(|worst| worst.lag).unwrap_or(0),
        below_start: positions.filter(|position| position.below_start).count() as u64,
        group: group.group,
        state: group.state,
    }
}

fn row(group: &GroupLag) -> Vec<Cell> {
    vec![
        group.group.as_str().into(),
        group.state.as_str().into(),
        group.members.into(),
        group.partitions.into(),
        group.lag.into(),
        Cell::maybe(group.worst.as_ref()),
        group.worst_lag.into(),
        match group.below_start {
            0 => Cell::from(0),
            count => Cell::toned(Tone::Bad, count),
        },
    ]
}
