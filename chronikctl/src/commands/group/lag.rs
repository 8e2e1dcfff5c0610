//! `chronikctl group lag`: what groups have not consumed yet, a row for each.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::sleep;

use super::describe::Position;
use super::{GroupDescription, describe, list};
use crate::cli::duration;
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, duration_ms, note};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The group; all groups if none is named
    group: Option<String>,
    /// Look twice, a moment apart, for rates, trend and the time until nothing is left
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true,
          default_missing_value = "2s", value_parser = duration)]
    rates: Option<Duration>,
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
    /// Only with two looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pace: Option<Pace>,
}

/// What changed between two looks.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Pace {
    /// Records that came, and those that were read.
    produced_per_second: f64,
    consumed_per_second: f64,
    trend: Trend,
    /// Until nothing is left, if it goes on so; none if it never will be.
    eta_ms: Option<u64>,
    /// Partitions with something to read whose positions did not move.
    stalled: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Trend {
    Steady,
    Growing,
    Shrinking,
}

const COLUMNS: [Column; 12] = [
    Column::text("group"),
    Column::text("state"),
    Column::number("members"),
    Column::number("partitions"),
    Column::number("lag"),
    Column::text("worst"),
    Column::number("worst lag"),
    Column::number("below start"),
    Column::text("in/s"),
    Column::text("out/s"),
    Column::text("trend"),
    Column::text("eta"),
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
    let begun = Instant::now();
    for name in &names {
        groups.push(describe::read(&mut kafka, name).await?);
    }
    let groups: Vec<GroupLag> = match args.rates {
        None => groups.into_iter().map(lag).collect(),
        Some(between) => {
            sleep(between).await;
            let mut paced = Vec::new();
            for before in &groups {
                let after = describe::read(&mut kafka, &before.group).await?;
                let pace = pace(before, &after, begun.elapsed());
                paced.push(GroupLag {
                    pace: Some(pace),
                    ..lag(after)
                });
            }
            paced
        }
    };
    if groups.is_empty() {
        note("no groups");
    }
    // Figures that nobody asked for have no columns.
    let columns = match args.rates {
        Some(_) => &COLUMNS[..],
        None => &COLUMNS[..8],
    };
    let mut table = Table::new(columns);
    for group in &groups {
        let mut cells = row(group);
        cells.truncate(columns.len());
        table.row(cells);
    }
    let mut answer = Answer::of("GroupLagList", &kafka.cluster_id, &GroupLagList { groups });
    answer.rows = Rows::Of("groups");
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
        pace: None,
    }
}

/// What went on between two looks at a group.
fn pace(before: &GroupDescription, after: &GroupDescription, between: Duration) -> Pace {
    let seconds = between.as_secs_f64();
    let place = |position: &Position| (position.topic.clone(), position.partition);
    let known: BTreeMap<_, _> = before
        .partitions
        .iter()
        .map(|position| (place(position), position))
        .collect();
    let (mut produced, mut consumed, mut stalled) = (0, 0, 0);
    for now in &after.partitions {
        let Some(was) = known.get(&place(now)) else {
            continue;
        };
        let came = was.end.zip(now.end).map_or(0, |(was, now)| now - was);
        let read = now.committed - was.committed;
        produced += came.max(0);
        consumed += read.max(0);
        stalled += u64::from(read == 0 && now.lag.is_some_and(|lag| lag > 0));
    }
    let left = after.total_lag;
    let trend = match left.cmp(&before.total_lag) {
        Ordering::Equal => Trend::Steady,
        Ordering::Greater => Trend::Growing,
        Ordering::Less => Trend::Shrinking,
    };
    let gain = (consumed - produced) as f64 / seconds;
    let eta_ms = match left {
        ..=0 => Some(0),
        left if gain > 0.0 => Some((left as f64 / gain * 1000.0) as u64),
        _ => None,
    };
    Pace {
        produced_per_second: produced as f64 / seconds,
        consumed_per_second: consumed as f64 / seconds,
        trend,
        eta_ms,
        stalled,
    }
}

fn row(group: &GroupLag) -> Vec<Cell> {
    let rate = |of: fn(&Pace) -> f64| group.pace.as_ref().map(|pace| format!("{:.0}", of(pace)));
    let eta = group
        .pace
        .as_ref()
        .and_then(|pace| pace.eta_ms)
        .map(duration_ms);
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
        Cell::maybe(rate(|pace| pace.produced_per_second)),
        Cell::maybe(rate(|pace| pace.consumed_per_second)),
        group.pace.as_ref().map_or_else(Cell::none, trend),
        Cell::maybe(eta),
    ]
}

fn trend(pace: &Pace) -> Cell {
    match (pace.trend, pace.stalled) {
        (_, 1..) => Cell::toned(Tone::Bad, "STALLED"),
        (Trend::Growing, _) => Cell::toned(Tone::Warn, "growing"),
        (Trend::Shrinking, _) => Cell::toned(Tone::Good, "shrinking"),
        (Trend::Steady, _) => Cell::from("steady"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(positions: &[(i64, i64)]) -> GroupDescription {
        let positions = positions.iter().zip(0..);
        let partitions = positions.map(|((committed, end), partition)| Position {
            topic: "orders".to_owned(),
            partition,
            committed: *committed,
            end: Some(*end),
            lag: Some(end - committed),
            ..Position::default()
        });
        let partitions: Vec<Position> = partitions.collect();
        GroupDescription {
            total_lag: partitions.iter().filter_map(|it| it.lag).sum(),
            partitions,
            ..GroupDescription::default()
        }
    }

    #[test]
    fn two_looks_make_rates_a_trend_and_an_end() {
        let second = Duration::from_secs(2);
        let shrinks = pace(&group(&[(0, 100)]), &group(&[(60, 120)]), second);
        let expected = Pace {
            produced_per_second: 10.0,
            consumed_per_second: 30.0,
            trend: Trend::Shrinking,
            eta_ms: Some(3000),
            stalled: 0,
        };
        assert_eq!(shrinks, expected);
        let stalls = pace(
            &group(&[(0, 100), (5, 5)]),
            &group(&[(0, 100), (5, 9)]),
            second,
        );
        assert_eq!(
            (stalls.trend, stalls.eta_ms, stalls.stalled),
            (Trend::Growing, None, 2)
        );
        let done = pace(&group(&[(9, 9)]), &group(&[(9, 9)]), second);
        assert_eq!(
            (done.trend, done.eta_ms, done.stalled),
            (Trend::Steady, Some(0), 0)
        );
    }
}
