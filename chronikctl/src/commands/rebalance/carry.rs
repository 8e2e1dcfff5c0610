//! From a plan to a cluster that is as it says: the moves are ordered once, and then only watched.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use chronik_admin::Code;
use chronik_admin::client::Client;
use chronik_admin::v1::{
    ApplyRequest, ClusterView, DrainMark, Expect, Limit, Operation, PlacementPlan,
};
use tokio::time::sleep;

use super::pace::Pace;
use super::plan::{listed, summary};
use super::throttle::in_words;
use super::{Patience, fetch, status, told};
use crate::cli::Consent;
use crate::commands::node;
use crate::exit::{Failure, Verdict};
use crate::mutate::{self, Plan};
use crate::output::{Answer, Progress, Tone, note, plural};
use crate::session::Session;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The other nodes hear of a mark in no time, if they are there.
const MARK_WITHIN: Duration = Duration::from_secs(10);
/// A copy fills a disk further: one that is fuller takes none.
const DISK_TOO_FULL_PERCENT: u32 = 95;
/// Moves that are shown before somebody decides.
const MOST_LINES: usize = 12;

/// What is ordered at once: it is done as a whole, or not at all.
pub(crate) struct Order {
    pub(crate) wanted: PlacementPlan,
    /// Whether a node is to be without replicas from then on.
    pub(crate) mark: Option<DrainMark>,
    /// How fast moves may go from then on, if that is to be another pace.
    pub(crate) throttle: Option<Limit>,
}

/// Does what the order says, if the checks and the person agree.
pub(crate) async fn out(
    session: &Session,
    ordered: Order,
    action: &str,
    patience: &Patience,
    consent: &Consent,
) -> Result<Answer, Failure> {
    let wanted = &ordered.wanted;
    if wanted.moves.is_empty() && ordered.mark.is_none() {
        note("nothing has to move");
        return Ok(told(wanted, session.settings.printer.is_for_people()));
    }
    let (client, view) = node::view(session).await?;
    let mut plan = Plan::new(session, &wanted.cluster_id, action);
    plan.look_with = "chronikctl rebalance status".to_owned();
    describe(&mut plan, wanted, &view);
    plan.changes
        .extend(ordered.mark.map(|mark| marked(mark, &view)));
    let throttle = ordered.throttle.map(|limit| limit.bytes_per_second);
    plan.changes
        .extend(throttle.map(|limit| format!("moves are throttled: {}", in_words(limit))));
    // A plan that does not fit any more is refused before anybody is asked.
    order(&client, &ordered, &plan, true).await?;
    let request = plan.clone();
    let act = async {
        let operation = order(&client, &ordered, &request, false).await?;
        let answer = match wanted.moves.is_empty() {
            true => status::none(&wanted.cluster_id),
            false => finish(session, &wanted.cluster_id, operation, patience).await?,
        };
        match ordered.mark {
            Some(mark) if answer.verdict == Verdict::Yes && !patience.no_wait => {
                verify_mark(session, mark, answer).await
            }
            _ => Ok(answer),
        }
    };
    mutate::carry_out(session, consent, plan, act).await
}

/// What a mark changes, in words.
pub(super) fn marked(mark: DrainMark, view: &ClusterView) -> String {
    let node = mark.node_id;
    let others = view
        .nodes
        .iter()
        .filter(|row| row.node_id != node && !row.drained);
    match mark.drained {
        true => format!(
            "node {node} gets no replicas any more; new topics have at most {}",
            plural(others.count() as u64, "replica")
        ),
        false => format!("node {node} may get replicas again"),
    }
}

/// Looks whether the mark is there, and whether a drained node really holds nothing.
async fn verify_mark(
    session: &Session,
    mark: DrainMark,
    mut answer: Answer,
) -> Result<Answer, Failure> {
    let node = mark.node_id;
    let deadline = Instant::now() + MARK_WITHIN;
    let (is_marked, holds) = loop {
        let (_, plan) = fetch(session, "balance", None).await?;
        let share = plan.nodes.iter().find(|share| share.node_id == node);
        let holds = share.map_or(0, |share| share.replicas_before);
        let is_marked = share.is_some_and(|share| share.drained);
        // Whoever answers now may be behind the one that took the order.
        if is_marked == mark.drained || Instant::now() >= deadline {
            break (is_marked, holds);
        }
        sleep(LOOK_EVERY).await;
    };
    let (tone, line) = match (mark.drained, is_marked) {
        (true, true) if holds == 0 => (
            Tone::Good,
            format!("node {node} is drained: it holds nothing, and gets nothing"),
        ),
        // A topic that was created before the mark was there, and after the plan was made.
        (true, true) => (
            Tone::Bad,
            format!("node {node} got {holds} replicas meanwhile: drain it again"),
        ),
        (false, false) => (
            Tone::Good,
            format!("node {node} is not drained, and holds {holds} replicas"),
        ),
        _ => (
            Tone::Bad,
            format!("somebody else changed whether node {node} is drained"),
        ),
    };
    if tone == Tone::Bad {
        answer.verdict = Verdict::No;
    }
    answer.headlines.push((tone, line));
    Ok(answer)
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
    if !operation.moves.is_empty() {
        note(&format!(
            "operation {id} is under way, with or without this command"
        ));
    }
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
    let mut found = status::operations(session, Some(id)).await?;
    found.operations.pop().ok_or_else(|| {
        Failure::new(Code::NotFound, format!("there is no operation {id}"))
            .hint("chronikctl rebalance status")
    })
}

async fn order(
    client: &Client,
    ordered: &Order,
    plan: &Plan,
    dry_run: bool,
) -> Result<Operation, Failure> {
    let request = ApplyRequest {
        moves: ordered.wanted.moves.clone(),
        expect: Some(Expect {
            cluster_id: Some(ordered.wanted.cluster_id.clone()),
            term: None,
        }),
        dry_run,
        request_id: plan.request_id.clone(),
        mark: ordered.mark,
        throttle: ordered.throttle,
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
    check_targets(plan, &gets, view);
    plan.change(summary(wanted));
    if !wanted.moves.is_empty() {
        plan.change("every partition keeps as many voters as it has, all the time");
    }
    let moves = wanted.moves.iter();
    list(plan, moves.map(|one| (&one.group, &one.from, &one.to)));
}

/// Partitions with where they are and where they go, as many as people read.
pub(super) fn list<'a>(
    plan: &mut Plan,
    moves: impl ExactSizeIterator<Item = (&'a String, &'a Vec<u64>, &'a Vec<u64>)>,
) {
    let more = moves.len().saturating_sub(MOST_LINES);
    for (group, from, to) in moves.take(MOST_LINES) {
        plan.change(format!("{group}: {} -> {}", listed(from), listed(to)));
    }
    if more > 0 {
        plan.change(format!("and {}", plural(more as u64, "more move")));
    }
}

/// Something of the operation has not arrived.
pub(super) fn check_under_way(plan: &mut Plan, present: &Operation) {
    plan.check(
        "NOTHING_UNDER_WAY",
        !present.moves.is_empty(),
        match present.moves.len() {
            0 => "everything has arrived already".to_owned(),
            count => format!("{} under way", plural(count as u64, "partition")),
        },
    );
}

/// Whoever gets something is there and has room for it.
pub(super) fn check_targets(plan: &mut Plan, gets: &[u64], view: &ClusterView) {
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
}
