//! From a plan to a cluster that is as it says: the moves are ordered once, and then only watched.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use chronik_admin::Code;
use chronik_admin::client::Client;
use chronik_admin::v1::{
    ApplyRequest, ClusterView, Expect, Operation, OperationsRequest, PlacementPlan,
};
use tokio::time::sleep;

use super::pace::Pace;
use super::plan::{listed, summary};
use super::{Patience, status, told};
use crate::cli::Consent;
use crate::commands::node;
use crate::exit::{Failure, Verdict};
use crate::mutate::{self, Plan};
use crate::output::{Answer, Progress, note, plural};
use crate::session::Session;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A copy fills a disk further: one that is fuller takes none.
const DISK_TOO_FULL_PERCENT: u32 = 95;
/// Moves that are shown before somebody decides.
const MOST_LINES: usize = 12;

/// Does what the plan says, if the checks and the person agree.
pub(crate) async fn out(
    session: &Session,
    wanted: PlacementPlan,
    action: &str,
    patience: &Patience,
    consent: &Consent,
) -> Result<Answer, Failure> {
    if wanted.moves.is_empty() {
        note("nothing has to move");
        return Ok(told(&wanted, session.settings.printer.is_for_people()));
    }
    let (client, view) = node::view(session).await?;
    let mut plan = Plan::new(session, &wanted.cluster_id, action);
    plan.look_with = "chronikctl rebalance status".to_owned();
    describe(&mut plan, &wanted, &view);
    // A plan that does not fit any more is refused before anybody is asked.
    order(&client, &wanted, &plan, true).await?;
    let request = plan.clone();
    let act = async {
        let operation = order(&client, &wanted, &request, false).await?;
        finish(session, &wanted.cluster_id, operation, patience).await
    };
    mutate::carry_out(session, consent, plan, act).await
}

/// Watches an operation that was begun, or only says which it is.
pub(crate) async fn finish(
    session: &Session,
    cluster_id: &str,
    operation: Operation,
    patience: &Patience,
) -> Result<Answer, Failure> {
    let id = operation.operation_id;
    if patience.no_wait {
        note(&format!("chronikctl rebalance wait {id}"));
        return Ok(status::one(cluster_id, &operation));
    }
    note(&format!(
        "operation {id} is under way, with or without this command"
    ));
    let watched = watch(session, cluster_id, operation, patience.within);
    tokio::select! {
        // First, so that an interruption is awaited before anything is shown. An error means that nobody can interrupt.
        biased;
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::interrupted(format!(
            "interrupted: operation {id} goes on by itself"
        ))
        .hint(format!("chronikctl rebalance wait {id}"))),
        watched = watched => watched,
    }
}

/// Looks until everything has arrived. Nodes that do not answer for a while are waited for.
pub(crate) async fn watch(
    session: &Session,
    cluster_id: &str,
    first: Operation,
    within: Duration,
) -> Result<Answer, Failure> {
    let begun = Instant::now();
    let id = first.operation_id;
    let mut progress = Progress::new(std::io::stderr().is_terminal());
    let mut pace = Pace::default();
    let mut newest = first;
    loop {
        pace.note(begun.elapsed(), &newest);
        progress.show(&pace.line(&newest));
        let is_done = newest.moves.is_empty();
        if is_done || begun.elapsed() >= within {
            progress.end();
            let mut answer = status::one(cluster_id, &newest);
            if !is_done {
                answer.verdict = Verdict::No;
            }
            return Ok(answer);
        }
        sleep(LOOK_EVERY).await;
        match look(session, id).await {
            Ok(operation) => newest = operation,
            Err(failure) if failure.error.retryable => {}
            // All its partitions were ordered elsewhere since then.
            Err(failure) if failure.error.code == Code::NotFound => {
                progress.end();
                let message =
                    format!("operation {id} was cancelled, or its partitions moved again");
                return Err(Failure::new(Code::Stale, message).hint("chronikctl rebalance status"));
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// One operation as it is now.
pub(crate) async fn look(session: &Session, id: u64) -> Result<Operation, Failure> {
    let question = |client: Client| async move {
        let mut placement = client.placement();
        let request = OperationsRequest {
            operation_id: Some(id),
        };
        client.bounded(placement.operations(request)).await
    };
    let (_, mut found) = session.ask(question).await?;
    session.check_cluster(&found.cluster_id)?;
    found.operations.pop().ok_or_else(|| {
        Failure::new(Code::NotFound, format!("there is no operation {id}"))
            .hint("chronikctl rebalance status")
    })
}

async fn order(
    client: &Client,
    wanted: &PlacementPlan,
    plan: &Plan,
    dry_run: bool,
) -> Result<Operation, Failure> {
    let request = ApplyRequest {
        moves: wanted.moves.clone(),
        expect: Some(Expect {
            cluster_id: Some(wanted.cluster_id.clone()),
            term: None,
        }),
        dry_run,
        request_id: plan.request_id.clone(),
    };
    let mut placement = client.placement();
    Ok(client.bounded(placement.apply(request)).await?)
}

/// What a person wants to know before it begins.
fn describe(plan: &mut Plan, wanted: &PlacementPlan, view: &ClusterView) {
    let gets = wanted.nodes.iter();
    let gets: Vec<u64> = gets
        .filter(|share| share.replicas_after > share.replicas_before)
        .map(|share| share.node_id)
        .collect();
    let rows = view.nodes.iter().filter(|row| gets.contains(&row.node_id));
    let (mut silent, mut full) = (Vec::new(), Vec::new());
    for row in rows {
        let disk = row.status.as_ref().and_then(|status| status.disk.as_ref());
        if !row.reachable {
            silent.push(row.node_id);
        } else if disk.is_some_and(|disk| disk.used_percent > DISK_TOO_FULL_PERCENT) {
            full.push(row.node_id);
        }
    }
    let told = |good: &str, nodes: &[u64], bad: &str| match nodes.is_empty() {
        true => good.to_owned(),
        false => format!("node {} {bad}", listed(nodes)),
    };
    plan.check(
        "TARGET_UNREACHABLE",
        silent.is_empty(),
        told(
            "every node that gets something answers",
            &silent,
            "does not answer",
        ),
    );
    plan.check(
        "DISK_TOO_FULL",
        full.is_empty(),
        told(
            "every node that gets something has room",
            &full,
            "has a full disk",
        ),
    );
    plan.change(summary(wanted));
    plan.change("every partition keeps as many voters as it has, all the time");
    for one in wanted.moves.iter().take(MOST_LINES) {
        plan.change(format!(
            "{}: {} -> {}",
            one.group,
            listed(&one.from),
            listed(&one.to)
        ));
    }
    if wanted.moves.len() > MOST_LINES {
        let more = wanted.moves.len() - MOST_LINES;
        plan.change(format!("and {}", plural(more as u64, "more move")));
    }
}
