//! `chronikctl health`: yes, or no with reasons, and an exit code that says which.

use std::time::Duration;

use chronik_admin::client::Client;
use chronik_admin::v1::{Health, HealthRequest};

use super::wait;
use crate::cli::duration;
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Cell, Column, Table, Tone, plural};
use crate::session::Session;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Ask until it is healthy, for at most this long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true,
          default_missing_value = "5m", value_parser = duration)]
    wait: Option<Duration>,
    /// Fewer nodes than this are a reason
    #[arg(long, value_name = "COUNT")]
    expect_nodes: Option<u32>,
    /// A replica that lacks more entries than this is a reason
    #[arg(long, value_name = "ENTRIES")]
    max_lag: Option<u64>,
    /// Reasons that do not count
    #[arg(long, value_name = "CODE,..", value_delimiter = ',')]
    ignore: Vec<String>,
}

const COLUMNS: [Column; 5] = [
    Column::text("reason"),
    Column::number("count"),
    Column::text("message"),
    Column::text("examples"),
    Column::text("next").wide(),
];

impl Args {
    pub(super) fn waiting(within: Duration) -> Args {
        Args {
            wait: Some(within),
            ..Args::default()
        }
    }
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let within = args.wait.unwrap_or_default();
    wait::until(within, || look(session, args)).await
}

async fn look(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let request = HealthRequest {
        expect_nodes: args.expect_nodes,
        max_lag_entries: args.max_lag,
    };
    let health = |client: Client| async move {
        let mut cluster = client.cluster();
        client.bounded(cluster.health(request)).await
    };
    let (_, mut health) = session.ask(health).await?;
    let is_ignored = |code: &str| {
        let mut ignored = args.ignore.iter();
        ignored.any(|ignored| ignored.eq_ignore_ascii_case(code))
    };
    health.reasons.retain(|reason| !is_ignored(&reason.code));
    health.healthy = health.reasons.is_empty();
    session.check_cluster(&health.cluster_id)?;
    let mut answer = Answer::of("Health", &health.cluster_id, &health);
    answer.headlines.push(headline(&health));
    if !health.healthy {
        answer.tables.push(reasons(&health));
        answer.verdict = Verdict::No;
    }
    Ok(answer)
}

fn headline(health: &Health) -> (Tone, String) {
    let (reachable, expected) = (health.nodes_reachable, health.nodes_expected);
    let groups = plural(health.groups, "group");
    match health.healthy {
        true => (
            Tone::Good,
            format!("healthy: {reachable}/{expected} nodes, {groups}"),
        ),
        false => {
            let reasons = plural(health.reasons.len() as u64, "reason");
            (
                Tone::Bad,
                format!("UNHEALTHY: {reasons}, {reachable}/{expected} nodes, {groups}"),
            )
        }
    }
}

fn reasons(health: &Health) -> Table {
    let mut table = Table::new(&COLUMNS);
    for reason in &health.reasons {
        table.row(vec![
            Cell::toned(Tone::Bad, &reason.code),
            reason.count.into(),
            reason.message.as_str().into(),
            reason.items.join(", ").into(),
            reason.hint.as_str().into(),
        ]);
    }
    table
}
