//! `chronikctl explain operation`: what each partition that has not arrived waits for.

use chronik_admin::v1::MoveState;

use super::{Cause, Explanation, told};
use crate::commands::rebalance::{self, listed};
use crate::exit::Failure;
use crate::output::{Answer, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The number of the operation
    operation: u64,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let id = args.operation;
    let list = rebalance::status::operations(session, Some(id)).await?;
    let operation = list.operations.first().cloned().unwrap_or_default();
    let explanation = Explanation {
        subject: format!("operation {id}"),
        state: format!(
            "{} of {} arrived",
            operation.done,
            plural(operation.partitions, "partition")
        ),
        causes: operation.moves.iter().map(|one| moving(id, one)).collect(),
    };
    Ok(told(&list.cluster_id, &explanation))
}

/// Why a partition is on its way still.
pub(super) fn moving(operation: u64, one: &MoveState) -> Cause {
    let (from, to) = (listed(&one.from), listed(&one.to));
    let mut evidence = Vec::new();
    if !one.coming.is_empty() {
        evidence.push(format!(
            "node {} has copied {} of {} entries",
            listed(&one.coming),
            one.entries_done,
            one.entries_total
        ));
    }
    if !one.waits_for.is_empty() {
        evidence.push(format!("it waits: {}", one.waits_for));
    }
    let message = format!("{} moves from {from} to {to}", one.group);
    let cause = Cause::new("MOVES", message).with(evidence);
    cause.next(format!("chronikctl wait operation {operation}"))
}
