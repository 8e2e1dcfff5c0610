//! `chronikctl raft status`: every node's own view of a group, side by side.

use chronik_admin::client::Client;
use chronik_admin::v1::{RaftGroup, RaftNode, RaftStatus, RaftStatusRequest, RaftView};

use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, Warning, duration_ms};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One group: meta, TOPIC/PARTITION, or its number
    #[arg(short, long, value_name = "G", conflicts_with = "all")]
    group: Option<String>,
    /// Healthy groups as well
    #[arg(long)]
    all: bool,
}

const GROUPS: [Column; 15] = [
    Column::text("group"),
    Column::number("id").wide(),
    Column::number("node"),
    Column::text("role"),
    Column::number("term"),
    Column::number("leader"),
    Column::number("commit"),
    Column::number("applied").wide(),
    Column::number("persisted").wide(),
    Column::number("first").wide(),
    Column::number("last"),
    Column::number("lag"),
    Column::text("behind"),
    Column::text("since"),
    Column::text("problems"),
];

const NODES: [Column; 5] = [
    Column::number("node"),
    Column::text("state"),
    Column::number("leaders"),
    Column::number("followers"),
    Column::number("leaderless"),
];

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let group = args.group.clone().unwrap_or_default();
    let (_, status) = ask(session, &group, args.all).await?;
    session.check_cluster(&status.cluster_id)?;
    Ok(told(&status))
}

/// What there is to say of groups.
pub(crate) fn told(status: &RaftStatus) -> Answer {
    let mut answer = Answer::of("RaftStatus", &status.cluster_id, status);
    answer.rows = Rows::Of("groups");
    answer.headlines.push(headline(status));
    answer.warnings = silent(status);
    match status.groups.is_empty() {
        true => answer.tables.push(nodes(&status.nodes)),
        false => answer.tables.push(groups(&status.groups)),
    }
    answer
}

/// The groups as all nodes see them; the client is of the node that put it together.
pub(crate) async fn ask(
    session: &Session,
    group: &str,
    all: bool,
) -> Result<(Client, RaftStatus), Failure> {
    let request = RaftStatusRequest {
        group: group.to_owned(),
        all,
    };
    let status = |client: Client| {
        let request = request.clone();
        async move {
            let mut raft = client.raft();
            client.bounded(raft.status(request)).await
        }
    };
    session.ask(status).await
}

fn headline(status: &RaftStatus) -> (Tone, String) {
    let (total, healthy) = (status.total_groups, status.healthy_groups);
    let reachable = status.nodes.iter().filter(|node| node.reachable).count();
    let nodes = status.nodes.len();
    let tone = match total == healthy && reachable == nodes {
        true => Tone::Good,
        false => Tone::Bad,
    };
    let line = format!(
        "{healthy}/{total} groups healthy   nodes {reachable}/{nodes}   (asked node {})",
        status.asked_node
    );
    (tone, line)
}

fn silent(status: &RaftStatus) -> Vec<Warning> {
    let silent = status.nodes.iter().filter(|node| !node.reachable);
    silent
        .map(|node| Warning {
            code: "NODE_UNREACHABLE".to_owned(),
            message: format!(
                "node {} does not answer node {}: {}",
                node.node_id,
                status.asked_node,
                node.error.as_deref().unwrap_or_default()
            ),
        })
        .collect()
}

fn nodes(rows: &[RaftNode]) -> Table {
    let mut table = Table::new(&NODES);
    for row in rows {
        let figure = |count: u64| match row.reachable {
            true => Cell::from(count),
            false => Cell::none(),
        };
        let state = match row.reachable {
            true => Cell::toned(Tone::Good, "answers"),
            false => Cell::toned(Tone::Bad, "UNREACHABLE"),
        };
        table.row(vec![
            row.node_id.into(),
            state,
            figure(row.leaders),
            figure(row.followers),
            figure(row.leaderless),
        ]);
    }
    table
}

pub(crate) fn groups(groups: &[RaftGroup]) -> Table {
    let mut table = Table::new(&GROUPS);
    for group in groups {
        for view in &group.views {
            table.row(row(group, view));
        }
    }
    table
}

fn row(group: &RaftGroup, view: &RaftView) -> Vec<Cell> {
    let is_present = !matches!(view.role.as_str(), "absent" | "unknown");
    let figure = |value: u64| match is_present {
        true => Cell::from(value),
        false => Cell::none(),
    };
    let leader = group
        .views
        .iter()
        .find(|other| Some(other.node_id) == group.leader);
    let progress = leader.into_iter().flat_map(|leader| &leader.progress);
    let progress = progress
        .clone()
        .find(|progress| progress.node_id == view.node_id);
    let (lag, behind) = match progress {
        Some(progress) => {
            let tone = if progress.in_sync {
                Tone::Plain
            } else {
                Tone::Bad
            };
            let behind = match progress.lag_ms {
                0 => Cell::none(),
                ms => duration_ms(ms).into(),
            };
            (Cell::toned(tone, progress.lag_entries), behind)
        }
        None => (Cell::none(), Cell::none()),
    };
    let role = match view.role.as_str() {
        "leader" => Cell::toned(Tone::Good, "leader"),
        "unknown" => Cell::toned(Tone::Bad, "UNREACHABLE"),
        "candidate" | "absent" => Cell::toned(Tone::Warn, &view.role),
        role => Cell::from(role),
    };
    vec![
        group.name.as_str().into(),
        group.group_id.into(),
        view.node_id.into(),
        role,
        figure(view.term),
        match is_present {
            true => Cell::maybe(view.leader),
            false => Cell::none(),
        },
        figure(view.commit),
        figure(view.applied),
        figure(view.persisted),
        figure(view.first),
        figure(view.last),
        lag,
        behind,
        match is_present {
            true => duration_ms(view.since_ms).into(),
            false => Cell::none(),
        },
        Cell::toned(Tone::Bad, group.problems.join(" ")),
    ]
}
