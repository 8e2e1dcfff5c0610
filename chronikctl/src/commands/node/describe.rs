//! `chronikctl node describe`: all that is known of one node.

use chronik_admin::Code;
use chronik_admin::v1::{NodeRow, NodeStatus};

use super::list;
use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Table, Tone, bytes, duration_ms};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its number
    node: u64,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (_, view) = list::view(session).await?;
    let row = list::find(&view, args.node)?;
    let Some(status) = &row.status else {
        let why = row.error.as_deref().unwrap_or("it does not answer");
        let silent = row.silent_ms.map(duration_ms);
        let silent = silent.map_or(String::new(), |silent| format!("; silent for {silent}"));
        return Err(Failure::new(
            Code::Unreachable,
            format!("node {}: {why}{silent}", args.node),
        )
        .hint(format!(
            "look at the process and the log of node {}",
            args.node
        )));
    };
    let mut answer = Answer::of("Node", &view.cluster_id, row);
    let (tone, state) = match status.ready {
        true => (Tone::Good, "ready".to_owned()),
        false => (
            Tone::Warn,
            format!("NOT READY: {}", status.reasons.join("; ")),
        ),
    };
    answer
        .headlines
        .push((tone, format!("node {}: {state}{}", args.node, drained(row))));
    answer.tables.push(facts(row, status));
    answer.tables.push(sights(status));
    Ok(answer)
}

fn drained(row: &NodeRow) -> &'static str {
    if row.drained { ", DRAINED" } else { "" }
}

fn facts(row: &NodeRow, status: &NodeStatus) -> Table {
    let mut table = Table::new(&[Column::text("what"), Column::text("value")]);
    let mut fact = |what: &str, value: String| table.row(vec![what.into(), value.into()]);
    fact("version", status.version.clone());
    fact("life", status.incarnation.to_string());
    fact("uptime", duration_ms(status.uptime_ms));
    fact("kafka", status.kafka_address.clone());
    fact("admin", status.admin_address.clone());
    fact("peer", status.peer_address.clone());
    fact(
        "rack",
        status.rack.clone().unwrap_or_else(|| "-".to_owned()),
    );
    let (leaders, followers) = (status.leaders, status.followers);
    fact(
        "replicas",
        match row.drained {
            true => "it gets none: it is drained".to_owned(),
            false => "it gets its share".to_owned(),
        },
    );
    fact(
        "groups",
        format!(
            "leads {leaders}, follows {followers}, {} without a leader",
            status.leaderless
        ),
    );
    fact("memory", bytes(status.resident_bytes));
    if let Some(disk) = &status.disk {
        let (free, total) = (bytes(disk.available_bytes), bytes(disk.total_bytes));
        fact(
            "disk",
            format!("{} % used, {free} of {total} free", disk.used_percent),
        );
        fact("data", disk.path.clone());
    }
    fact("catalog", format!("version {}", status.catalog_version));
    fact("log level", status.log_level.clone());
    fact("answered in", duration_ms(row.answered_in_ms));
    table
}

fn sights(status: &NodeStatus) -> Table {
    let columns = [
        Column::number("sees"),
        Column::text("state"),
        Column::text("since"),
    ];
    let mut table = Table::new(&columns);
    for sight in &status.sees {
        let state = match sight.alive {
            true => Cell::toned(Tone::Good, "alive"),
            false => Cell::toned(Tone::Bad, "SILENT"),
        };
        let since = Cell::maybe(sight.since_ms.map(duration_ms));
        table.row(vec![sight.node_id.into(), state, since]);
    }
    table
}
