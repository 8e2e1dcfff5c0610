//! `chronikctl status`: every node, the silent ones included, and the verdict.

use std::time::Duration;

use chronik_admin::client::{Bounds, Client};
use chronik_admin::v1::{
    ClockRequest, Clocks, ClusterView, ClusterViewRequest, NodeRow, NodeStatusRequest, System,
    SystemRequest,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Table, Tone, Warning, bytes, duration_ms, plural};
use crate::session::Session;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// The machines, the processes and the clocks as well
    #[arg(long)]
    extra: bool,
}

/// Every node, and the verdict.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ClusterStatus<'a> {
    #[serde(flatten)]
    view: &'a ClusterView,
    /// Only if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<Extra>,
}

/// What costs a question to each node.
#[derive(Serialize, JsonSchema)]
struct Extra {
    systems: Vec<System>,
    clocks: Clocks,
}

const EXTRA_COLUMNS: [Column; 8] = [
    Column::number("node"),
    Column::text("clock"),
    Column::text("cpu time"),
    Column::number("threads"),
    Column::text("open files"),
    Column::text("free memory"),
    Column::number("cpus"),
    Column::text("system"),
];

/// A node that another one cannot reach gets so long to answer here.
const LOOK_DIRECTLY: Duration = Duration::from_millis(500);

const COLUMNS: [Column; 13] = [
    Column::number("node"),
    Column::text("state"),
    Column::number("leaders"),
    Column::number("followers"),
    Column::number("leaderless"),
    Column::text("disk"),
    Column::text("memory"),
    Column::text("uptime"),
    Column::text("kafka"),
    Column::text("admin").wide(),
    Column::text("peer").wide(),
    Column::text("version").wide(),
    Column::number("life").wide(),
];

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let view = |client: Client| async move {
        let mut cluster = client.cluster();
        client.bounded(cluster.view(ClusterViewRequest {})).await
    };
    let (client, view) = session.ask(view).await?;
    session.check_cluster(&view.cluster_id)?;
    let mut answer = told(&view);
    if args.extra {
        let extra = ask_more(&client, &view).await?;
        answer.tables.push(extra_table(&extra));
        let status = ClusterStatus {
            view: &view,
            extra: Some(extra),
        };
        answer.data = serde_json::to_value(status).expect("a status has a JSON form");
    }
    answer.warnings = look_directly(session, &client, &view).await;
    Ok(answer)
}

/// The machines and the clocks; a node that does not answer is left out.
async fn ask_more(client: &Client, view: &ClusterView) -> Result<Extra, Failure> {
    let clocks = client.bounded(client.node().clock(ClockRequest {})).await?;
    let there = view.nodes.iter().filter(|row| row.reachable);
    let system = |row: &NodeRow| {
        let node_id = Some(row.node_id);
        let client = client.clone();
        async move {
            let mut node = client.node();
            let system = client.bounded(node.system(SystemRequest { node_id })).await;
            system.ok()
        }
    };
    let systems = futures_util::future::join_all(there.map(system)).await;
    Ok(Extra {
        systems: systems.into_iter().flatten().collect(),
        clocks,
    })
}

fn extra_table(extra: &Extra) -> Table {
    let mut table = Table::new(&EXTRA_COLUMNS);
    for system in &extra.systems {
        let mut clocks = extra.clocks.nodes.iter();
        let clock = clocks.find(|clock| clock.node_id == system.node_id);
        let apart = clock.and_then(|clock| Some((clock.ahead_ms?, clock.uncertain_ms?)));
        let apart = apart.map(|(ahead, doubt)| format!("{ahead:+}ms (within {doubt}ms)"));
        let (free, total) = (system.memory_available_bytes, system.memory_total_bytes);
        table.row(vec![
            system.node_id.into(),
            Cell::maybe(apart),
            duration_ms(system.cpu_ms).into(),
            system.threads.into(),
            format!("{} of {}", system.open_files, system.open_files_limit).into(),
            format!("{} of {}", bytes(free), bytes(total)).into(),
            system.cpus.into(),
            system.kernel.as_str().into(),
        ]);
    }
    table
}

/// What there is to say of a cluster.
pub(crate) fn told(view: &ClusterView) -> Answer {
    let status = ClusterStatus { view, extra: None };
    let mut answer = Answer::of("ClusterStatus", &view.cluster_id, &status);
    answer.headlines = headlines(view);
    answer.tables.push(nodes(&view.nodes));
    answer.footers = reasons(view);
    answer
}

/// A table of nodes, as other commands show it, too.
pub(crate) fn nodes(rows: &[NodeRow]) -> Table {
    let mut table = Table::new(&COLUMNS);
    for row in rows {
        table.row(node(row));
    }
    table
}

/// Nodes that the one that was asked cannot reach: if they answer here, the network between them is cut.
pub(crate) async fn look_directly(
    session: &Session,
    asked: &Client,
    view: &ClusterView,
) -> Vec<Warning> {
    let silent: Vec<&NodeRow> = view.nodes.iter().filter(|row| !row.reachable).collect();
    let mut warnings: Vec<Warning> = silent
        .iter()
        .map(|row| Warning {
            code: "NODE_UNREACHABLE".to_owned(),
            message: format!(
                "node {} does not answer node {}: {}",
                row.node_id,
                view.asked_node,
                row.error.as_deref().unwrap_or_default()
            ),
        })
        .collect();
    if silent.is_empty() {
        return warnings;
    }
    let addresses = session.settings.context.admin.iter();
    let others = addresses.filter(|address| *address != asked.address());
    let given = session.settings.bounds;
    let bounds = Bounds {
        connect: given.connect.min(LOOK_DIRECTLY),
        call: given.call.min(LOOK_DIRECTLY),
    };
    let ask = |address: &String| {
        let (address, bounds) = (address.clone(), bounds);
        async move {
            let client = Client::connect(&address, bounds).await.ok()?;
            let mut node = client.node();
            client.bounded(node.status(NodeStatusRequest {})).await.ok()
        }
    };
    let answers = futures_util::future::join_all(others.map(ask)).await;
    for status in answers.into_iter().flatten() {
        if silent.iter().any(|row| row.node_id == status.node_id) {
            warnings.push(Warning {
                code: "REACHED_DIRECTLY".to_owned(),
                message: format!(
                    "node {} does not answer node {}, but it answers here: the network between them is cut",
                    status.node_id, view.asked_node
                ),
            });
        }
    }
    warnings
}

fn headlines(view: &ClusterView) -> Vec<(Tone, String)> {
    let id = match view.cluster_id.as_str() {
        "" => "(not born yet)",
        id => id,
    };
    let (tone, verdict) = match view.health.as_ref().is_some_and(|health| health.healthy) {
        true => (Tone::Good, "healthy"),
        false => (Tone::Bad, "UNHEALTHY"),
    };
    let metadata = match &view.metadata_leader {
        Some(leader) => match leader.node_id {
            Some(node) => format!("metadata led by node {node} in term {}", leader.term),
            None => format!("metadata LEADERLESS in term {}", leader.term),
        },
        None => "no metadata".to_owned(),
    };
    let reachable = view.nodes.iter().filter(|row| row.reachable).count();
    let line = format!(
        "{verdict}   nodes {reachable}/{}   {}, {}   {metadata}   (asked node {})",
        view.nodes.len(),
        plural(view.topics, "topic"),
        plural(view.partitions, "partition"),
        view.asked_node,
    );
    vec![
        (Tone::Strong, format!("cluster {id}")),
        (tone, line),
        (Tone::Plain, balance(view)),
    ]
}

/// How leading is shared, and the replica that lacks most.
fn balance(view: &ClusterView) -> String {
    let shares = view.nodes.iter();
    let shares = shares.map(|row| row.status.as_ref().map(|status| status.leaders));
    let shares: Vec<Option<u64>> = shares.collect();
    let words: Vec<String> = shares
        .iter()
        .map(|share| share.map_or_else(|| "-".to_owned(), |leaders| leaders.to_string()))
        .collect();
    let known = || shares.iter().flatten();
    let skew = known().max().zip(known().min());
    let skew = skew.map_or(0, |(most, least)| most - least);
    let lag = match &view.worst_lag {
        Some(lag) => format!(
            "worst lag: node {} lacks {} of {}, the oldest for {}",
            lag.node_id,
            match lag.entries {
                1 => "1 entry".to_owned(),
                count => format!("{count} entries"),
            },
            lag.group,
            duration_ms(lag.ms)
        ),
        None => "no replica lags".to_owned(),
    };
    format!("leaders {} (skew {skew})   {lag}", words.join("/"))
}

fn reasons(view: &ClusterView) -> Vec<(Tone, String)> {
    let reasons = view.health.iter().flat_map(|health| &health.reasons);
    reasons
        .map(|reason| {
            let next = match reason.hint.as_str() {
                "" => String::new(),
                hint => format!("  ->  {hint}"),
            };
            (
                Tone::Bad,
                format!("! {}  {}{next}", reason.code, reason.message),
            )
        })
        .collect()
}

fn node(row: &NodeRow) -> Vec<Cell> {
    let Some(status) = &row.status else {
        let silent = row.silent_ms.map(duration_ms);
        let mut state = match silent {
            Some(silent) => format!("UNREACHABLE for {silent}"),
            None => "UNREACHABLE".to_owned(),
        };
        if row.drained {
            state.push_str(", DRAINED");
        }
        let mut cells = vec![row.node_id.into(), Cell::toned(Tone::Bad, state)];
        cells.extend((0..6).map(|_| Cell::none()));
        cells.push(row.kafka_address.as_str().into());
        cells.push(Cell::none());
        cells.push(row.peer_address.as_str().into());
        cells.extend((0..2).map(|_| Cell::none()));
        return cells;
    };
    let state = match (status.ready, row.drained) {
        (true, false) => Cell::toned(Tone::Good, "ready"),
        (true, true) => Cell::toned(Tone::Warn, "ready, DRAINED"),
        (false, false) => Cell::toned(Tone::Warn, "NOT READY"),
        (false, true) => Cell::toned(Tone::Warn, "NOT READY, DRAINED"),
    };
    let leaderless = match status.leaderless {
        0 => Cell::from(0),
        count => Cell::toned(Tone::Bad, count),
    };
    let disk = status.disk.as_ref().map(|disk| {
        let tone = if disk.used_percent > 90 {
            Tone::Bad
        } else {
            Tone::Plain
        };
        let free = bytes(disk.available_bytes);
        Cell::toned(tone, format!("{} % used, {free} free", disk.used_percent))
    });
    vec![
        row.node_id.into(),
        state,
        status.leaders.into(),
        status.followers.into(),
        leaderless,
        disk.unwrap_or_else(Cell::none),
        bytes(status.resident_bytes).into(),
        duration_ms(status.uptime_ms).into(),
        status.kafka_address.as_str().into(),
        status.admin_address.as_str().into(),
        status.peer_address.as_str().into(),
        status.version.as_str().into(),
        status.incarnation.into(),
    ]
}
