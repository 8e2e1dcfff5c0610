//! `chronikctl raft history`: when leaders changed, why, and how long there was none.

use std::time::Duration;

use chronik_admin::client::Client;
use chronik_admin::v1::{LeaderChanged, RaftHistory, RaftHistoryRequest};

use crate::cli::duration;
use crate::clock;
use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, Warning, duration_ms, note};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One group: meta, TOPIC/PARTITION, or its number
    #[arg(short, long, value_name = "G")]
    group: Option<String>,
    /// Only changes of this last while
    #[arg(long, value_name = "TIME", value_parser = duration)]
    since: Option<Duration>,
    /// The newest so many
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    count: u32,
}

const COLUMNS: [Column; 7] = [
    Column::text("time"),
    Column::text("group"),
    Column::number("term"),
    Column::text("leader"),
    Column::text("leaderless"),
    Column::text("why"),
    Column::number("noticed by").wide(),
];

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let since = args.since.map_or(0, |since| since.as_millis());
    let request = RaftHistoryRequest {
        group: args.group.clone().unwrap_or_default(),
        within_ms: u64::try_from(since).unwrap_or(u64::MAX),
        limit: args.count,
    };
    let history = |client: Client| {
        let request = request.clone();
        async move {
            let mut raft = client.raft();
            client.bounded(raft.history(request)).await
        }
    };
    let (_, history): (_, RaftHistory) = session.ask(history).await?;
    session.check_cluster(&history.cluster_id)?;
    let mut answer = Answer::of("RaftHistory", &history.cluster_id, &history);
    answer.rows = Rows::Of("changes");
    let mut table = Table::new(&COLUMNS);
    history
        .changes
        .iter()
        .for_each(|change| table.row(row(change)));
    if history.changes.is_empty() {
        note("no changes of leaders");
    }
    answer.tables.push(table);
    let silent = history.silent_nodes.iter();
    answer.warnings = silent.map(|node| warning(*node)).collect();
    Ok(answer)
}

fn warning(node: u64) -> Warning {
    Warning {
        code: "NODE_UNREACHABLE".to_owned(),
        message: format!("node {node} does not answer: what only it remembers is missing"),
    }
}

fn row(change: &LeaderChanged) -> Vec<Cell> {
    let why = match (change.why.as_str(), change.because_of) {
        ("", _) => Cell::none(),
        ("operator", _) => "an operator asked for it".into(),
        ("suspected", Some(node)) => format!("node {node} did not answer").into(),
        ("stopping", Some(node)) => format!("node {node} stopped").into(),
        (other, _) => other.into(),
    };
    vec![
        clock::rfc3339(change.at_ms).into(),
        change.group.as_str().into(),
        change.term.into(),
        match change.leader {
            Some(leader) => format!("node {leader}").into(),
            None => Cell::toned(Tone::Warn, "NONE"),
        },
        Cell::maybe(change.leaderless_ms.map(duration_ms)),
        why,
        change.noticed_by.into(),
    ]
}
