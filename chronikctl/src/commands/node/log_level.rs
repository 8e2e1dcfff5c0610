//! `chronikctl node log-level`: more words for a while, without a restart.

use chronik_admin::Code;
use chronik_admin::client::Client;
use chronik_admin::v1::{Expect, LogLevel, SetLogLevelRequest};

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
    change(session, args.node, &args.level, &args.consent).await
}

/// The same for `config set`.
pub(crate) async fn change(
    session: &Session,
    node: u64,
    level: &str,
    consent: &Consent,
) -> Result<Answer, Failure> {
    let (client, view) = list::view(session).await?;
    let row = list::find(&view, node)?;
    let status = row.status.as_ref().ok_or_else(|| {
        let message = format!("node {node} does not answer");
        Failure::new(Code::Unreachable, message).hint(format!("chronikctl explain node {node}"))
    })?;
    let mut plan = Plan::new(
        session,
        &view.cluster_id,
        format!("change what node {node} logs"),
    );
    plan.change(format!("log level {} -> {}", status.log_level, level));
    let request = SetLogLevelRequest {
        level: level.to_owned(),
        node_id: Some(node),
        expect: Some(Expect {
            cluster_id: Some(view.cluster_id.clone()),
            term: None,
        }),
        dry_run: false,
        request_id: plan.request_id.clone(),
    };
    let trial = SetLogLevelRequest {
        dry_run: true,
        ..request.clone()
    };
    // What is no level is refused before anybody is asked.
    client.bounded(client.node().set_log_level(trial)).await?;
    let act = act(&client, request, &view.cluster_id);
    mutate::carry_out(session, consent, plan, act).await
}

async fn act(
    client: &Client,
    request: SetLogLevelRequest,
    cluster_id: &str,
) -> Result<Answer, Failure> {
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
