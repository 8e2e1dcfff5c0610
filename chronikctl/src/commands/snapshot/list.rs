//! `chronikctl snapshot list`: what every node keeps and makes.

use chronik_admin::client::Client;
use chronik_admin::v1::{SnapshotFile, SnapshotList, SnapshotListRequest, SnapshotNode};

use crate::clock;
use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, Warning, bytes, duration_ms};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of this node
    #[arg(long, value_name = "N")]
    node: Option<u64>,
}

const COLUMNS: [Column; 11] = [
    Column::text("snapshot"),
    Column::text("state"),
    Column::text("of"),
    Column::text("cause"),
    Column::text("age"),
    Column::number("groups"),
    Column::number("index"),
    Column::number("term"),
    Column::number("size"),
    Column::text("created").wide(),
    Column::text("sha256").wide(),
];

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (_, list) = ask(session, args.node).await?;
    Ok(told(&list, clock::wall_ms()))
}

pub(super) async fn ask(
    session: &Session,
    node_id: Option<u64>,
) -> Result<(Client, SnapshotList), Failure> {
    let question = |client: Client| async move {
        let mut snapshots = client.snapshots();
        let request = SnapshotListRequest { node_id };
        client.bounded(snapshots.list(request)).await
    };
    let (client, list) = session.ask(question).await?;
    session.check_cluster(&list.cluster_id)?;
    Ok((client, list))
}

/// A row for each snapshot, and one for each node that does not answer.
pub(crate) fn told(list: &SnapshotList, now_ms: u64) -> Answer {
    let mut answer = Answer::of("SnapshotList", &list.cluster_id, list);
    let mut table = Table::new(&COLUMNS);
    let mut rows = Vec::new();
    for node in &list.nodes {
        if !node.reachable {
            table.row(silent(node));
            answer.warnings.push(Warning {
                code: "NODE_UNREACHABLE".to_owned(),
                message: format!("node {} does not answer", node.node_id),
            });
        }
        for file in &node.snapshots {
            table.row(row(node.node_id, file, now_ms));
            rows.push(json(node.node_id, file));
        }
    }
    answer.rows = Rows::Made(rows);
    answer.tables.push(table);
    answer
}

/// A row that says by itself whose it is.
fn json(node: u64, file: &SnapshotFile) -> serde_json::Value {
    let mut value = serde_json::to_value(file).expect("a snapshot has a JSON form");
    value["node_id"] = node.into();
    value
}

fn silent(node: &SnapshotNode) -> Vec<Cell> {
    let mut cells = vec![
        Cell::from(format!("{}/-", node.node_id)),
        Cell::toned(Tone::Bad, "UNREACHABLE"),
    ];
    cells.resize_with(COLUMNS.len(), Cell::none);
    cells
}

fn row(node: u64, file: &SnapshotFile, now_ms: u64) -> Vec<Cell> {
    let state = match file.state.as_str() {
        "complete" => Cell::toned(Tone::Good, "complete"),
        "making" => Cell::from(format!("making {}/{}", file.groups, file.groups_total)),
        other => {
            let why = file.error.as_deref().unwrap_or_default();
            Cell::toned(Tone::Bad, format!("{}: {why}", other.to_uppercase()))
        }
    };
    let is_complete = file.state == "complete";
    let figure = |value: u64| match is_complete {
        true => Cell::from(value),
        false => Cell::none(),
    };
    let id = file.snapshot_id;
    vec![
        format!("{node}/{id}").into(),
        state,
        file.group.as_deref().unwrap_or("node").into(),
        file.cause.as_str().into(),
        duration_ms(now_ms.saturating_sub(id)).into(),
        figure(file.groups),
        figure(file.index),
        figure(file.term),
        match is_complete {
            true => bytes(file.bytes).into(),
            false => Cell::none(),
        },
        clock::rfc3339(id).into(),
        Cell::maybe(is_complete.then_some(&file.sha256)),
    ]
}
