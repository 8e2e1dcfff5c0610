//! `chronikctl snapshot create`, and `raft snapshot` for one group: begun at once, and watched until all are there.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use chronik_admin::client::Client;
use chronik_admin::v1::{Expect, SnapshotCreateRequest, SnapshotFile, SnapshotList, SnapshotNode};
use tokio::time::sleep;

use super::list;
use crate::cli::{Consent, duration};
use crate::clock;
use crate::exit::{Failure, Verdict};
use crate::mutate::{self, Plan};
use crate::output::{Answer, Progress, Tone, bytes, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this node makes one
    #[arg(long, value_name = "N")]
    node: Option<u64>,
    /// Only of this group, by its leader: meta, TOPIC/PARTITION, or its number
    #[arg(short, long, value_name = "G")]
    group: Option<String>,
    #[command(flatten)]
    patience: Patience,
}

/// How long somebody waits, and whether they want it.
#[derive(Debug, clap::Args)]
pub(crate) struct Patience {
    /// Only begin: `snapshot list` says what becomes of it
    #[arg(long)]
    no_wait: bool,
    /// How long it may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    within: Duration,
    #[command(flatten)]
    consent: Consent,
}

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Progress is shown of what takes longer.
const QUIET: Duration = Duration::from_secs(2);

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    create(session, args.node, args.group.as_deref(), &args.patience).await
}

impl Patience {
    /// For another face of this program, which shows by itself what becomes of it.
    pub(crate) fn none(consent: Consent) -> Patience {
        Patience {
            no_wait: true,
            within: Duration::ZERO,
            consent,
        }
    }
}

/// Who makes it: the node that is named, or the leader of the group, or everybody.
pub(crate) async fn create(
    session: &Session,
    node: Option<u64>,
    group: Option<&str>,
    patience: &Patience,
) -> Result<Answer, Failure> {
    let mut request = SnapshotCreateRequest {
        node_id: node,
        group: group.unwrap_or_default().to_owned(),
        dry_run: true,
        ..SnapshotCreateRequest::default()
    };
    let planned = |client: Client| {
        let request = request.clone();
        async move { order(&client, request).await }
    };
    let (client, makers) = session.ask(planned).await?;
    let cluster_id = makers.cluster_id.clone();
    session.check_cluster(&cluster_id)?;
    let of = group.map_or_else(
        || "the state of each node".to_owned(),
        |group| format!("group {group}"),
    );
    let mut plan = Plan::new(session, &cluster_id, format!("make a snapshot of {of}"));
    plan.look_with = "chronikctl snapshot list".to_owned();
    plan.changes.extend(makers.nodes.iter().map(will_make));
    plan.change("records are not in it: a node that is restored gets them from the others");
    request.dry_run = false;
    request.request_id.clone_from(&plan.request_id);
    request.expect = Some(Expect {
        cluster_id: Some(cluster_id),
        term: None,
    });
    let act = act(session, &client, request, patience);
    mutate::carry_out(session, &patience.consent, plan, act).await
}

fn will_make(node: &SnapshotNode) -> String {
    let id = node.node_id;
    match node.reachable {
        true => format!("node {id} writes a file, and removes its oldest one if they are too many"),
        false => format!("node {id} does not answer: it will make none"),
    }
}

async fn order(
    client: &Client,
    request: SnapshotCreateRequest,
) -> Result<SnapshotList, chronik_admin::AdminError> {
    let mut snapshots = client.snapshots();
    client.bounded(snapshots.create(request)).await
}

async fn act(
    session: &Session,
    client: &Client,
    request: SnapshotCreateRequest,
    patience: &Patience,
) -> Result<Answer, Failure> {
    let begun = order(client, request).await?;
    let outcome = match patience.no_wait {
        true => begun,
        false => watch(session, begun, patience.within).await?,
    };
    let mut answer = list::told(&outcome, clock::wall_ms());
    answer.headlines.push(headline(&outcome));
    if !patience.no_wait && !is_whole(&outcome) {
        answer.verdict = match is_under_way(&outcome) {
            true => Verdict::No,
            false => Verdict::SomeFailed,
        };
    }
    Ok(answer)
}

/// Looks until none is being made any more.
async fn watch(
    session: &Session,
    mut newest: SnapshotList,
    within: Duration,
) -> Result<SnapshotList, Failure> {
    let begun = Instant::now();
    let mut progress = Progress::new(std::io::stderr().is_terminal());
    while is_under_way(&newest) && begun.elapsed() < within {
        if begun.elapsed() >= QUIET {
            progress.show(&under_way(&newest, begun.elapsed()));
        }
        sleep(LOOK_EVERY).await;
        match list::ask(session, None).await {
            Ok((_, now)) => update(&mut newest, &now),
            Err(failure) if failure.error.retryable => {}
            Err(failure) => return Err(failure),
        }
    }
    progress.end();
    Ok(newest)
}

/// What became of the snapshots that were begun. A node that does not answer now is asked again.
fn update(newest: &mut SnapshotList, now: &SnapshotList) {
    for node in &mut newest.nodes {
        let present = now.nodes.iter().find(|row| row.node_id == node.node_id);
        let Some(present) = present.filter(|present| present.reachable) else {
            continue;
        };
        for file in &mut node.snapshots {
            let found = present.snapshots.iter();
            let mut found = found.filter(|found| found.snapshot_id == file.snapshot_id);
            match found.next() {
                Some(found) => file.clone_from(found),
                None => {
                    "failed".clone_into(&mut file.state);
                    file.error = Some("it is not there any more".to_owned());
                }
            }
        }
    }
}

fn files(list: &SnapshotList) -> impl Iterator<Item = &SnapshotFile> {
    list.nodes.iter().flat_map(|node| &node.snapshots)
}

fn is_under_way(list: &SnapshotList) -> bool {
    files(list).any(|file| file.state == "making")
}

fn is_whole(list: &SnapshotList) -> bool {
    let is_complete = |file: &SnapshotFile| file.state == "complete";
    list.nodes.iter().all(|node| node.reachable) && files(list).all(is_complete)
}

fn under_way(list: &SnapshotList, elapsed: Duration) -> String {
    let done: u64 = files(list).map(|file| file.groups).sum();
    let total: u64 = files(list).map(|file| file.groups_total).sum();
    let rate = done as f64 / elapsed.as_secs_f64();
    let left = (total.saturating_sub(done)) as f64 / rate.max(0.1);
    format!("{done} of {total} groups, {rate:.0}/s, about {left:.0}s left")
}

fn headline(list: &SnapshotList) -> (Tone, String) {
    let complete: Vec<&SnapshotFile> = files(list)
        .filter(|file| file.state == "complete")
        .collect();
    let size: u64 = complete.iter().map(|file| file.bytes).sum();
    let wanted = list.nodes.len() as u64;
    let count = complete.len() as u64;
    match (is_under_way(list), is_whole(list)) {
        (true, _) => (
            Tone::Warn,
            "under way, with or without this command: chronikctl snapshot list".to_owned(),
        ),
        (false, true) => (
            Tone::Good,
            format!("{} made, {} in all", plural(count, "snapshot"), bytes(size)),
        ),
        (false, false) => (
            Tone::Bad,
            format!(
                "NOT COMPLETE: {count} of {} made",
                plural(wanted, "snapshot")
            ),
        ),
    }
}
