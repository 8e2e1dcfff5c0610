//! `chronikctl rebalance verify`: whether everything is where a plan wanted it.

use std::path::PathBuf;

use chronik_admin::client::Client;
use chronik_admin::v1::{MoveCheck, PlacementPlan, Verification, VerifyRequest};

use super::file;
use super::plan::listed;
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What `rebalance plan --save` or `-o json` wrote
    file: PathBuf,
}

const COLUMNS: [Column; 6] = [
    Column::text("partition"),
    Column::text("state"),
    Column::text("from"),
    Column::text("to"),
    Column::text("present"),
    Column::text("what"),
];

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let plan = file::read(session, &args.file)?;
    let found = fetch(session, &plan).await?;
    Ok(told(&found))
}

/// Asks where the partitions of a plan are.
pub(super) async fn fetch(
    session: &Session,
    plan: &PlacementPlan,
) -> Result<Verification, Failure> {
    let question = |client: Client| async move {
        let mut placement = client.placement();
        let moves = plan.moves.clone();
        client
            .bounded(placement.verify(VerifyRequest { moves }))
            .await
    };
    let (_, found) = session.ask(question).await?;
    session.check_cluster(&found.cluster_id)?;
    Ok(found)
}

pub(crate) fn told(found: &Verification) -> Answer {
    let mut answer = Answer::of("Verification", &found.cluster_id, found);
    answer.rows = Rows::Of("moves");
    let count = |state: &str| {
        let moves = found.moves.iter();
        moves.filter(|one| one.state == state).count()
    };
    let (done, pending, differs) = (count("done"), count("pending"), count("differs"));
    let total = plural(found.moves.len() as u64, "move");
    let is_done = done == found.moves.len();
    let tone = if is_done { Tone::Good } else { Tone::Warn };
    let line = format!("{done}/{total} done, {pending} pending, {differs} differ");
    answer.headlines.push((tone, line));
    let mut table = Table::new(&COLUMNS);
    found.moves.iter().for_each(|one| table.row(row(one)));
    if !found.moves.is_empty() {
        answer.tables.push(table);
    }
    if !is_done {
        answer.verdict = Verdict::No;
    }
    answer
}

fn row(one: &MoveCheck) -> Vec<Cell> {
    let tone = match one.state.as_str() {
        "done" => Tone::Good,
        "pending" => Tone::Warn,
        _ => Tone::Bad,
    };
    vec![
        one.group.as_str().into(),
        Cell::toned(tone, one.state.as_str()),
        listed(&one.from).into(),
        listed(&one.to).into(),
        listed(&one.present).into(),
        one.message.as_str().into(),
    ]
}
