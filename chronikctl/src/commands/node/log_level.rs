//! `chronikctl node log-level`: more words for a while, without a restart.

use chronik_admin::Code;
use chronik_admin::client::Client;
use chronik_admin::v1::{LogLevel, NodeStatus, SetLogLevelRequest};

use super::list;
use crate::cli::Consent;
use crate::exit::Failure;
use crate::mutate::{self, Plan};
use crate::output::{Answer, Tone};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's number
    node: u64,
    /// A severity, or directives such as info,chronik_server::raft=debug
    level: String,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (client, view) = list::view(session).await?;
    let row = view.nodes.iter().find(|row| row.node_id == args.node);
    let status: Option<&NodeStatus> = row.and_then(|row| row.status.as_ref());
    let status = status.ok_or_else(|| {
        let message = format!("node {} does not answer, or does not exist", args.node);
        Failure::new(Code::Unreachable, message).hint("chronikctl node list")
    })?;
    let mut plan = Plan::new(
        session,
        &view.cluster_id,
        format!("change what node {} logs", args.node),
    );
    plan.change(format!("log level {} -> {}", status.log_level, args.level));
    let act = act(&client, args, &view.cluster_id);
    mutate::carry_out(session, &args.consent, plan, act).await
}

async fn act(client: &Client, args: &Args, cluster_id: &str) -> Result<Answer, Failure> {
    let request = SetLogLevelRequest {
        level: args.level.clone(),
        node_id: Some(args.node),
    };
    let mut node = client.node();
    let changed: LogLevel = client.bounded(node.set_log_level(request)).await?;
    let mut answer = Answer::of("LogLevel", cluster_id, &changed);
    let line = format!(
        "node {}: log level {} -> {}",
        changed.node_id, changed.previous, changed.level
    );
    answer.headlines.push((Tone::Good, line));
    Ok(answer)
}
