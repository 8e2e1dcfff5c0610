//! `chronikctl rebalance status`: operations under way, or one that may be over.

use chronik_admin::client::Client;
use chronik_admin::v1::{MoveState, Operation, OperationList, OperationsRequest};

use super::plan::listed;
use super::throttle::in_words;
use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, bytes, duration_ms, note, plural};
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
    let (_, list) = fetch(session, operation_id).await?;
    Ok(list)
}

/// The same, with the way to the node that answered.
pub(super) async fn fetch(
    session: &Session,
    operation_id: Option<u64>,
) -> Result<(Client, OperationList), Failure> {
    let question = |client: Client| async move {
        let mut placement = client.placement();
        let request = OperationsRequest { operation_id };
        client.bounded(placement.operations(request)).await
    };
    let (client, list) = session.ask(question).await?;
    session.check_cluster(&list.cluster_id)?;
    Ok((client, list))
}

/// One operation as an answer of its own.
pub(super) fn one(cluster_id: &str, operation: &Operation) -> Answer {
    told(&OperationList {
        cluster_id: cluster_id.to_owned(),
        operations: vec![operation.clone()],
        ..OperationList::default()
    })
}

/// Nothing had to move.
pub(super) fn none(cluster_id: &str) -> Answer {
    told(&OperationList {
        cluster_id: cluster_id.to_owned(),
        ..OperationList::default()
    })
}

pub(crate) fn told(list: &OperationList) -> Answer {
    let mut answer = Answer::of("OperationList", &list.cluster_id, list);
    answer.rows = Rows::Of("operations");
    answer.headlines.extend(speed(list));
    let mut table = Table::new(&COLUMNS);
    for operation in &list.operations {
        let id = operation.operation_id;
        let (tone, state) = match (operation.moves.is_empty(), operation.paused) {
            (true, _) => (Tone::Good, "done"),
            (false, true) => (Tone::Warn, "PAUSED"),
            (false, false) => (Tone::Warn, "under way"),
        };
        let count = plural(operation.partitions, "partition");
        let mut line = format!("operation {id}: {state}, {}/{count}", operation.done);
        if !operation.moves.is_empty() {
            line.push_str(&format!(", {}", pace(operation)));
        }
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

/// The throttle, and how fast each node sends that sends something.
pub(crate) fn speed(list: &OperationList) -> Option<(Tone, String)> {
    let limit = list.throttle_bytes_per_second;
    if limit.is_none() && list.senders.is_empty() {
        return None;
    }
    let mut line = format!("throttle: {}", in_words(limit));
    for sender in &list.senders {
        let (node, rate) = (sender.node_id, bytes(sender.bytes_per_second));
        line.push_str(&format!("   node {node} sends {rate}/s"));
    }
    Some((Tone::Plain, line))
}

/// How much is copied, how fast that goes, and how long it will take.
fn pace(operation: &Operation) -> String {
    let (done, total) = (bytes(operation.bytes_done), bytes(operation.bytes_total));
    let mut line = format!("{done} of {total} copied");
    if let Some(left) = operation.left_ms {
        let rate = bytes(operation.bytes_per_second);
        line.push_str(&format!(" at {rate}/s, {} left", duration_ms(left)));
    }
    line
}

fn row(id: u64, one: &MoveState) -> Vec<Cell> {
    vec![
        id.into(),
        one.group.as_str().into(),
        listed(&one.from).into(),
        listed(&one.to).into(),
        listed(&one.coming).into(),
        format!("{}/{}", bytes(one.bytes_done), bytes(one.bytes_total)).into(),
        match one.waits_for.as_str() {
            "" => Cell::none(),
            why => Cell::toned(Tone::Warn, why),
        },
    ]
}
