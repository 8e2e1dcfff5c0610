//! What is collected of a cluster. A list of what may be collected cannot leak what it forgot.

use std::time::Duration;

use chronik_admin::client::Client;
use chronik_admin::v1::{ClusterView, EventsRequest, NodeRow};
use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use crate::clock;
use crate::commands::{events, node, status};
use crate::exit::Failure;
use crate::output::Warning;
use crate::session::Session;

/// What was said of a cluster, at one time.
pub(crate) struct Collected {
    pub(crate) view: ClusterView,
    /// By name; a sentence where there is nothing.
    pub(crate) files: Vec<(String, Result<Vec<u8>, String>)>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) taken_at: String,
}

/// What a bundle never has.
pub(super) const WITHHELD: [&str; 4] = [
    "records",
    "metadata and assignments of consumer groups",
    "the configuration files and the environment of the nodes",
    "log files (each place that warned is told once, with its last words)",
];

/// Events that are remembered come at once; whoever waits longer waits for new ones.
const EVENTS_PAUSE: Duration = Duration::from_millis(300);
/// If nobody says how far back.
const SINCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Of the cluster as a whole: the name of the file, and the route.
fn of_the_cluster(since_ms: u64) -> Vec<(&'static str, String)> {
    let routes = [
        ("cluster-view.json", "/v1/cluster/view"),
        ("cluster-health.json", "/v1/cluster/health"),
        ("raft-status.json", "/v1/raft/status?all=true"),
        ("topics.json", "/v1/topics?internal=true"),
        ("groups-lag.json", "/v1/groups/lag"),
        ("operations.json", "/v1/placement/operations"),
        ("clocks.json", "/v1/node/clock"),
        ("config-diff.json", "/v1/configs/diff?all=true"),
    ];
    let mut routes: Vec<(&str, String)> = routes
        .map(|(name, route)| (name, route.to_owned()))
        .to_vec();
    let history = format!("/v1/raft/history?within_ms={since_ms}");
    routes.push(("raft-history.json", history));
    // The last question: what changed since the first look is seen in it.
    let later = "/v1/raft/status?all=true".to_owned();
    routes.push(("raft-status-later.json", later));
    routes
}

/// Of each node, asked of the node itself.
fn of_a_node(since_ms: u64) -> [(&'static str, String); 6] {
    let digest = format!("/v1/node/log-digest?within_ms={since_ms}");
    [
        ("status.json", "/v1/node/status".to_owned()),
        ("config.json", "/v1/node/config".to_owned()),
        ("system.json", "/v1/node/system".to_owned()),
        ("log-digest.json", digest),
        ("metrics.txt", "/metrics".to_owned()),
        ("readiness.json", "/readyz".to_owned()),
    ]
}

/// Asks for everything on the list. Nodes that do not answer leave gaps that say why.
pub(crate) async fn collect(
    session: &Session,
    since: Option<Duration>,
) -> Result<Collected, Failure> {
    let (client, view) = node::view(session).await?;
    let taken_at = clock::now();
    let since = since.unwrap_or(SINCE).as_millis();
    let since_ms = u64::try_from(since).unwrap_or(u64::MAX);
    let mut files = Vec::new();
    for (name, route) in of_the_cluster(since_ms) {
        files.push((name.to_owned(), fetch(&client, &route).await));
    }
    files.push(("events.jsonl".to_owned(), happened(session, since_ms).await));
    let nodes = view.nodes.iter();
    let nodes = join_all(nodes.map(|row| of_node(session, row, since_ms))).await;
    files.extend(nodes.into_iter().flatten());
    let warnings = status::look_directly(session, &client, &view).await;
    Ok(Collected {
        view,
        files,
        warnings,
        taken_at,
    })
}

/// What is known of one node, as files of its folder.
async fn of_node(
    session: &Session,
    node: &NodeRow,
    since_ms: u64,
) -> Vec<(String, Result<Vec<u8>, String>)> {
    let client = match &node.status {
        None => Err("the node does not answer".to_owned()),
        Some(status) => {
            let client = Client::connect(&status.admin_address, session.settings.bounds).await;
            client.map_err(|error| error.message)
        }
    };
    let mut files = Vec::new();
    for (name, route) in of_a_node(since_ms) {
        let content = match &client {
            Ok(client) => fetch(client, &route).await,
            Err(why) => Err(why.clone()),
        };
        files.push((format!("node-{}/{name}", node.node_id), content));
    }
    files
}

async fn fetch(client: &Client, route: &str) -> Result<Vec<u8>, String> {
    let answer = client.http("GET", route, String::new()).await;
    let (status, body) = answer.map_err(|error| error.message)?;
    // A node that is not ready says so with an answer of its own.
    match status {
        200 | 503 => Ok(body.to_vec()),
        other => Err(format!(
            "{other}: {}",
            String::from_utf8_lossy(&body).trim()
        )),
    }
}

/// What happened, as far as the node that answers remembers.
async fn happened(session: &Session, since_ms: u64) -> Result<Vec<u8>, String> {
    let request = EventsRequest {
        within_ms: since_ms,
        after_ms: 0,
    };
    let stream = events::open(session, request).await;
    let mut stream = stream.map_err(|failure| failure.error.message)?;
    let mut lines = String::new();
    while let Ok(Some(Ok(event))) = timeout(EVENTS_PAUSE, stream.next()).await {
        lines.push_str(&format!("{}\n", json!(event)));
    }
    Ok(lines.into_bytes())
}
