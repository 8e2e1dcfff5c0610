//! `chronikctl node decommission`: a node that holds nothing leaves the cluster for good.

use std::time::{Duration, Instant};

use chronik_admin::client::Client;
use chronik_admin::v1::{ClusterView, Expect, NodeRemoved, RemoveNodeRequest};
use tokio::time::sleep;

use super::list;
use crate::cli::Consent;
use crate::commands::rebalance::fetch;
use crate::exit::{Failure, Verdict};
use crate::mutate::{self, Plan};
use crate::output::{Answer, Tone};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's number
    node: u64,
    #[command(flatten)]
    consent: Consent,
}

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The other nodes hear of it in no time, if they are there.
const WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let node = args.node;
    let (client, view) = list::view(session).await?;
    list::find(&view, node)?;
    let (_, shares) = fetch(session, "balance", None).await?;
    let mut held = shares.nodes.iter().filter(|share| share.node_id == node);
    let holds = held.next().map_or(0, |share| share.replicas_before);
    let cluster_id = &view.cluster_id;
    let mut plan = Plan::new(
        session,
        cluster_id,
        format!("let node {node} leave for good"),
    );
    plan.look_with = "chronikctl node list".to_owned();
    plan.check(
        "STILL_HOLDS",
        holds == 0,
        match holds {
            0 => "the node holds no replica".to_owned(),
            count => {
                format!("the node holds {count} replicas: chronikctl node drain {node} comes first")
            }
        },
    );
    let stay = view
        .nodes
        .iter()
        .filter(|row| row.node_id != node && row.reachable);
    let (before, stay) = (view.nodes.len(), stay.count());
    plan.check(
        "WOULD_LOSE_QUORUM",
        stay > (before - 1) / 2,
        format!("{stay} of the {} nodes that stay answer", before - 1),
    );
    plan.change(format!("members {before} -> {}", before - 1));
    plan.change("it comes back only with an empty data directory, as a new member");
    let request = RemoveNodeRequest {
        node_id: node,
        expect: Some(Expect {
            cluster_id: Some(cluster_id.clone()),
            term: None,
        }),
        dry_run: false,
        request_id: plan.request_id.clone(),
    };
    let others = without(session, &view, node);
    let act = act(&others, &client, request, cluster_id);
    mutate::carry_out(session, &args.consent, plan, act).await
}

/// The same cluster without the node that leaves: it is the last to know. Who only knows that one's address asks those
/// that stay.
fn without(session: &Session, view: &ClusterView, node: u64) -> Session {
    let mut settings = session.settings.clone();
    let (mut leaves, mut stay) = (Vec::new(), Vec::new());
    for row in &view.nodes {
        let addresses = if row.node_id == node {
            &mut leaves
        } else {
            &mut stay
        };
        addresses.extend(row.status.iter().map(|status| &status.admin_address));
    }
    let known = settings.context.admin.iter();
    let mut others: Vec<String> = known
        .filter(|known| !leaves.contains(known))
        .cloned()
        .collect();
    if others.is_empty() {
        others = stay.into_iter().cloned().collect();
    }
    if !others.is_empty() {
        settings.context.admin = others;
    }
    Session::new(settings)
}

async fn act(
    session: &Session,
    client: &Client,
    request: RemoveNodeRequest,
    cluster_id: &str,
) -> Result<Answer, Failure> {
    let node = request.node_id;
    let mut placement = client.placement();
    let removed: NodeRemoved = client.bounded(placement.remove_node(request)).await?;
    let mut answer = Answer::of("NodeRemoved", cluster_id, &removed);
    let deadline = Instant::now() + WITHIN;
    loop {
        let (_, view) = list::view(session).await?;
        let is_gone = view.nodes.iter().all(|row| row.node_id != node);
        if is_gone || Instant::now() >= deadline {
            let told = match is_gone {
                true => (
                    Tone::Good,
                    format!("node {node} is no member any more: stop its process"),
                ),
                false => (Tone::Bad, format!("node {node} is still listed")),
            };
            answer.verdict = if is_gone { Verdict::Yes } else { Verdict::No };
            answer.headlines.push(told);
            return Ok(answer);
        }
        sleep(LOOK_EVERY).await;
    }
}
