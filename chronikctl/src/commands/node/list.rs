//! `chronikctl node list`: a row for every member.

use chronik_admin::Code;
use chronik_admin::client::Client;
use chronik_admin::v1::{ClusterView, ClusterViewRequest, NodeRow};
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::status;
use crate::exit::Failure;
use crate::output::{Answer, Rows};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// All members.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NodeList<'a> {
    nodes: &'a [NodeRow],
}

pub(super) async fn run(session: &Session) -> Result<Answer, Failure> {
    let (client, view) = view(session).await?;
    let nodes = NodeList { nodes: &view.nodes };
    let mut answer = Answer::of("NodeList", &view.cluster_id, &nodes);
    answer.rows = Rows::Of("nodes");
    answer.tables.push(status::nodes(&view.nodes));
    answer.warnings = status::look_directly(session, &client, &view).await;
    Ok(answer)
}

/// A member's row, whether it answers or not.
pub(crate) fn find(view: &ClusterView, node: u64) -> Result<&NodeRow, Failure> {
    let row = view.nodes.iter().find(|row| row.node_id == node);
    row.ok_or_else(|| {
        Failure::new(Code::NotFound, format!("there is no node {node}"))
            .hint("chronikctl node list")
    })
}

pub(crate) async fn view(session: &Session) -> Result<(Client, ClusterView), Failure> {
    let view = |client: Client| async move {
        let mut cluster = client.cluster();
        client.bounded(cluster.view(ClusterViewRequest {})).await
    };
    let (client, view) = session.ask(view).await?;
    session.check_cluster(&view.cluster_id)?;
    Ok((client, view))
}
