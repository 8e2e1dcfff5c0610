//! `chronikctl rebalance plan`: what would move. The plan may be kept in a file and applied later, if nothing changed.

use std::fs;
use std::path::PathBuf;

use chronik_admin::client::Client;
use chronik_admin::v1::{Move, NodeShare, PlacementPlan, PlanRequest};

use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, note, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the plan is for: `balance` evens out replicas and leaders, `leaders` copies nothing
    #[arg(long, value_name = "GOAL", default_value = "balance", value_parser = ["balance", "leaders"])]
    goal: String,
    /// Empty this node instead
    #[arg(long, value_name = "NODE", conflicts_with_all = ["goal", "fill"])]
    drain: Option<u64>,
    /// Give this node its share instead, and copy nothing else
    #[arg(long, value_name = "NODE", conflicts_with = "goal")]
    fill: Option<u64>,
    /// Keep the plan in this file, for `rebalance apply`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

const SHARES: [Column; 6] = [
    Column::number("node"),
    Column::text("rack"),
    Column::text("state"),
    Column::text("replicas"),
    Column::text("preferred leaders"),
    Column::number("change"),
];

const MOVES: [Column; 4] = [
    Column::text("partition"),
    Column::text("from"),
    Column::text("to"),
    Column::number("copies"),
];

/// Rows of moves that people are shown; a file or another form of output has them all.
const MOST_ROWS: usize = 20;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (goal, node) = match (args.drain, args.fill) {
        (Some(node), _) => ("drain", Some(node)),
        (None, Some(node)) => ("fill", Some(node)),
        (None, None) => (args.goal.as_str(), None),
    };
    let (_, plan) = fetch(session, goal, node).await?;
    let answer = told(&plan, session.settings.printer.is_for_people());
    if let Some(file) = &args.save {
        let text = answer.json();
        fs::write(file, text)
            .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
        note(&format!("chronikctl rebalance apply {}", file.display()));
    }
    Ok(answer)
}

/// Asks the cluster for a plan.
pub(crate) async fn fetch(
    session: &Session,
    goal: &str,
    node_id: Option<u64>,
) -> Result<(Client, PlacementPlan), Failure> {
    let request = PlanRequest {
        goal: goal.to_owned(),
        node_id,
    };
    let plan = |client: Client| {
        let request = request.clone();
        async move {
            let mut placement = client.placement();
            client.bounded(placement.plan(request)).await
        }
    };
    let (client, plan) = session.ask(plan).await?;
    session.check_cluster(&plan.cluster_id)?;
    Ok((client, plan))
}

/// A plan in words and tables.
pub(crate) fn told(plan: &PlacementPlan, is_for_people: bool) -> Answer {
    let mut answer = Answer::of("PlacementPlan", &plan.cluster_id, plan);
    answer.rows = Rows::Of("moves");
    answer.headlines.push((Tone::Strong, summary(plan)));
    let mut moves = Table::new(&MOVES);
    let shown = match is_for_people {
        true => MOST_ROWS,
        false => usize::MAX,
    };
    plan.moves
        .iter()
        .take(shown)
        .for_each(|one| moves.row(row(one)));
    if !plan.moves.is_empty() {
        answer.tables.push(moves);
    }
    let mut shares = Table::new(&SHARES);
    plan.nodes
        .iter()
        .for_each(|share| shares.row(share_row(share)));
    answer.tables.push(shares);
    if plan.moves.len() > shown {
        let more = plan.moves.len() - shown;
        let line = format!("and {} more: -o tsv lists all", plural(more as u64, "move"));
        answer.footers.push((Tone::Dim, line));
    }
    answer
}

/// One sentence.
pub(crate) fn summary(plan: &PlacementPlan) -> String {
    let moving = match plan.moving {
        0 => String::new(),
        count => format!(" ({} under way already)", plural(count, "move")),
    };
    match plan.moves.len() as u64 {
        0 => format!("nothing has to move{moving}"),
        partitions => format!(
            "{} change: {} to copy, {} only led by another node{moving}",
            plural(partitions, "partition"),
            plural(plan.copies, "replica"),
            plan.reorders,
        ),
    }
}

pub(crate) fn listed(nodes: &[u64]) -> String {
    let numbers: Vec<String> = nodes.iter().map(u64::to_string).collect();
    numbers.join(",")
}

fn row(one: &Move) -> Vec<Cell> {
    let copies = one.to.iter().filter(|node| !one.from.contains(node));
    vec![
        one.group.as_str().into(),
        listed(&one.from).into(),
        listed(&one.to).into(),
        copies.count().into(),
    ]
}

fn share_row(share: &NodeShare) -> Vec<Cell> {
    let change = |before: u64, after: u64| match before == after {
        true => before.to_string(),
        false => format!("{before} -> {after}"),
    };
    let difference = share.replicas_after.cast_signed() - share.replicas_before.cast_signed();
    vec![
        share.node_id.into(),
        Cell::maybe(share.rack.as_deref()),
        match (share.reachable, share.drained) {
            (false, _) => Cell::toned(Tone::Bad, "SILENT: gets nothing"),
            (true, true) => Cell::toned(Tone::Warn, "DRAINED: gets nothing"),
            (true, false) => Cell::toned(Tone::Good, "there"),
        },
        change(share.replicas_before, share.replicas_after).into(),
        change(share.preferred_before, share.preferred_after).into(),
        format!("{difference:+}").into(),
    ]
}
