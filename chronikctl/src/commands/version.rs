//! `chronikctl version`: of this program and, if asked, of every node.

use std::collections::BTreeMap;

use chronik_admin::client::Client;
use chronik_admin::v1::ClusterViewRequest;
use schemars::JsonSchema;
use serde::Serialize;

use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Table};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ask the nodes as well
    #[arg(long)]
    nodes: bool,
}

/// Versions, the nodes' by their numbers.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Version {
    chronikctl: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<BTreeMap<u64, Option<String>>>,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let own = env!("CARGO_PKG_VERSION").to_owned();
    let mut version = Version {
        chronikctl: own.clone(),
        nodes: None,
    };
    let mut cluster_id = String::new();
    let mut table = Table::new(&[Column::text("what"), Column::text("version")]);
    table.row(vec!["chronikctl".into(), own.into()]);
    if args.nodes {
        let view = |client: Client| async move {
            let mut cluster = client.cluster();
            client.bounded(cluster.view(ClusterViewRequest {})).await
        };
        let (_, view) = session.ask(view).await?;
        session.check_cluster(&view.cluster_id)?;
        let nodes = view.nodes.into_iter();
        let nodes = nodes.map(|node| (node.node_id, node.status.map(|status| status.version)));
        let nodes: BTreeMap<u64, Option<String>> = nodes.collect();
        for (node, version) in &nodes {
            table.row(vec![
                format!("node {node}").into(),
                Cell::maybe(version.as_ref()),
            ]);
        }
        version.nodes = Some(nodes);
        cluster_id = view.cluster_id;
    }
    let mut answer = Answer::of("Version", &cluster_id, &version);
    answer.tables.push(table);
    Ok(answer)
}
