//! `chronikctl rebalance status`: operations under way, or one that may be over.

use chronik_admin::client::Client;
use chronik_admin::v1::{MoveState, Operation, OperationList, OperationsRequest};

use super::plan::listed;
use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Table, Tone, note, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The number of an operation
    #[arg(value_name = "OPERATION")]
    operation: Option<u64>,
}

const COLUMNS: [Column; 7] = [
    Column::number("operation"),
    Column::text("partition"),
    Column::text("from"),
    Column::text("to"),
    Column::text("coming"),
    Column::text("copied"),
    Column::text("waits for"),
];

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let list = operations(session, args.operation).await?;
    if list.operations.is_empty() {
        note("nothing moves");
    }
    Ok(told(&list))
}

/// Asks for operations.
pub(crate) async fn operations(
    session: &Session,
    operation_id: Option<u64>,
) -> Result<OperationList, Failure> {
    let question = |client: Client| async move {
        let mut placement = client.placement();
        let request = OperationsRequest { operation_id };
        client.bounded(placement.operations(request)).await
    };
    let (_, list) = session.ask(question).await?;
    session.check_cluster(&list.cluster_id)?;
    Ok(list)
}

/// One operation as an answer of its own.
pub(super) fn one(cluster_id: &str, operation: &Operation) -> Answer {
    told(&OperationList {
        cluster_id: cluster_id.to_owned(),
        catalog_version: 0,
        operations: vec![operation.clone()],
    })
}

/// Nothing had to move.
pub(super) fn none(cluster_id: &str) -> Answer {
    told(&OperationList {
        cluster_id: cluster_id.to_owned(),
        ..OperationList::default()
    })
}

fn told(list: &OperationList) -> Answer {
    let mut answer = Answer::of("OperationList", &list.cluster_id, list);
    answer.rows = answer.data["operations"].as_array().cloned();
    let mut table = Table::new(&COLUMNS);
    for operation in &list.operations {
        let id = operation.operation_id;
        let (tone, state) = match operation.moves.is_empty() {
            true => (Tone::Good, "done"),
            false => (Tone::Warn, "under way"),
        };
        let count = plural(operation.partitions, "partition");
        let line = format!("operation {id}: {state}, {}/{count}", operation.done);
        answer.headlines.push((tone, line));
        operation
            .moves
            .iter()
            .for_each(|one| table.row(row(id, one)));
    }
    answer.tables.push(table);
    if list
        .operations
        .iter()
        .all(|operation| operation.moves.is_empty())
    {
        answer.tables.clear();
    }
    answer
}

fn row(id: u64, one: &MoveState) -> Vec<Cell> {
    vec![
        id.into(),
        one.group.as_str().into(),
        listed(&one.from).into(),
        listed(&one.to).into(),
        listed(&one.coming).into(),
        format!("{}/{}", one.entries_done, one.entries_total).into(),
        match one.waits_for.as_str() {
            "" => Cell::none(),
            why => Cell::toned(Tone::Warn, why),
        },
    ]
}
