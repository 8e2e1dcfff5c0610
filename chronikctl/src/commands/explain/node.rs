//! `chronikctl explain node`: what the node says of itself, what the others say of it, and the groups that suffer.

use chronik_admin::v1::{ClusterView, NodeRow, NodeStatus, RaftStatus};

use super::{Cause, Explanation, told};
use crate::commands::node;
use crate::commands::raft::{leader, status};
use crate::exit::Failure;
use crate::output::{Answer, bytes, duration_ms, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's number
    node: u64,
}

/// As health has it.
pub(crate) const DISK_FULL_PERCENT: u32 = 90;
/// Groups that are named.
const MOST_EXAMPLES: usize = 5;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (_, view) = node::view(session).await?;
    let row = node::find(&view, args.node)?;
    let (_, groups) = status::ask(session, "", false).await?;
    let state = match &row.status {
        Some(status) => format!("it answers, and leads {}", plural(status.leaders, "group")),
        None => "it does not answer".to_owned(),
    };
    let explanation = Explanation {
        subject: format!("node {}", args.node),
        state,
        causes: causes(row, &view, &groups),
    };
    Ok(told(&view.cluster_id, &explanation))
}

fn causes(row: &NodeRow, view: &ClusterView, groups: &RaftStatus) -> Vec<Cause> {
    let mut causes = of_itself(row, view);
    causes.extend(behind(row, groups));
    causes
}

/// What there is to say of a node whatever its groups say.
pub(crate) fn of_itself(row: &NodeRow, view: &ClusterView) -> Vec<Cause> {
    let mut causes = match &row.status {
        None => vec![silent(row, view)],
        Some(status) => own_words(status, view),
    };
    if row.drained {
        let cause = Cause::new("DRAINED", "it gets no replicas: somebody drained it");
        causes.push(cause.next(format!("chronikctl node undrain {}", row.node_id)));
    }
    causes
}

fn silent(row: &NodeRow, view: &ClusterView) -> Cause {
    let node = row.node_id;
    let why = row.error.clone().into_iter();
    let since = row.silent_ms.map(duration_ms);
    let since = since.map(|since| format!("node {} heard nothing for {since}", view.asked_node));
    let statuses = view.nodes.iter().filter_map(|row| row.status.as_ref());
    let others = statuses.flat_map(|status| {
        let sees = status.sees.iter().filter(|sight| sight.node_id == node);
        sees.map(|sight| match sight.alive {
            true => format!(
                "node {} hears it: the network between nodes is cut",
                status.node_id
            ),
            false => format!("node {} does not hear it either", status.node_id),
        })
    });
    let others = others.filter(|line| !line.starts_with(&format!("node {} does", view.asked_node)));
    let cause = Cause::new("NODE_UNREACHABLE", format!("node {node} does not answer"));
    let cause = cause.with(why.chain(since).chain(others));
    cause.next(format!("look at the process and the log of node {node}"))
}

fn own_words(status: &NodeStatus, view: &ClusterView) -> Vec<Cause> {
    let node = status.node_id;
    let mut causes = Vec::new();
    if !status.ready {
        let cause = Cause::new("NODE_NOT_READY", "it is not ready");
        let cause = cause.with(status.reasons.iter().cloned());
        causes.push(cause.next("chronikctl wait healthy"));
    }
    if status.leaderless > 0 {
        let groups = plural(status.leaderless, "group");
        let cause = Cause::new("LEADERLESS", format!("it knows of no leader of {groups}"));
        causes.push(cause.next("chronikctl raft status"));
    }
    let full = status.disk.iter();
    let full = full.filter(|disk| disk.used_percent > DISK_FULL_PERCENT);
    causes.extend(full.map(|disk| {
        let (free, total) = (bytes(disk.available_bytes), bytes(disk.total_bytes));
        let message = format!("{} % of its disk are used", disk.used_percent);
        Cause::new("DISK_FULL", message)
            .with([format!("{free} of {total} are free in {}", disk.path)])
            .next(format!("chronikctl node drain {node} --dry-run"))
    }));
    // Of a node that answers nobody it says nothing that somebody does not hear it.
    let is_silent = |node: u64| {
        let mut silent = view.nodes.iter().filter(|row| !row.reachable);
        silent.any(|row| row.node_id == node)
    };
    let deaf = status.sees.iter();
    let deaf = deaf.filter(|sight| !sight.alive && !is_silent(sight.node_id));
    causes.extend(deaf.map(|sight| {
        let other = sight.node_id;
        Cause::new("SILENT_TO_IT", format!("it does not hear node {other}"))
            .with(sight.since_ms.map(|ms| format!("for {}", duration_ms(ms))))
            .next(format!("chronikctl explain node {other}"))
    }));
    causes
}

/// Groups whose leaders say that this node lacks something.
fn behind(row: &NodeRow, groups: &RaftStatus) -> Option<Cause> {
    let lacks = groups.groups.iter().filter_map(|group| {
        let progress = leader(group)?.progress.iter();
        let mut own = progress.filter(|peer| peer.node_id == row.node_id && !peer.in_sync);
        Some((group, own.next()?.lag_entries))
    });
    let lacks: Vec<_> = lacks.collect();
    let first = lacks.first()?;
    let examples = lacks.iter().take(MOST_EXAMPLES);
    let evidence = examples.map(|(group, entries)| {
        let name = &group.name;
        format!("its replica of {name} lacks {entries} entries")
    });
    let count = plural(lacks.len() as u64, "replica");
    let cause = Cause::new("BEHIND", format!("{count} of it do not keep up")).with(evidence);
    Some(cause.next(format!("chronikctl explain partition {}", first.0.name)))
}

#[cfg(test)]
mod tests {
    use chronik_admin::v1::{Progress, RaftGroup, RaftView, Sight};

    use super::*;

    #[test]
    fn a_silent_node_is_told_by_those_that_answer() {
        let sees = |node_id, alive| NodeRow {
            node_id,
            reachable: true,
            status: Some(NodeStatus {
                node_id,
                ready: true,
                sees: vec![Sight {
                    node_id: 3,
                    alive,
                    since_ms: Some(900),
                }],
                ..NodeStatus::default()
            }),
            ..NodeRow::default()
        };
        let gone = NodeRow {
            node_id: 3,
            error: Some("it is not connected".to_owned()),
            silent_ms: Some(900),
            drained: true,
            ..NodeRow::default()
        };
        let view = ClusterView {
            asked_node: 1,
            nodes: vec![sees(1, false), sees(2, true), gone.clone()],
            ..ClusterView::default()
        };
        let groups = RaftStatus {
            groups: vec![RaftGroup {
                name: "orders/0".to_owned(),
                views: vec![RaftView {
                    node_id: 1,
                    role: "leader".to_owned(),
                    progress: vec![Progress {
                        node_id: 3,
                        lag_entries: 40,
                        ..Progress::default()
                    }],
                    ..RaftView::default()
                }],
                ..RaftGroup::default()
            }],
            ..RaftStatus::default()
        };
        let found = causes(&gone, &view, &groups);
        let codes: Vec<&str> = found.iter().map(|cause| cause.code.as_str()).collect();
        assert_eq!(codes, ["NODE_UNREACHABLE", "DRAINED", "BEHIND"]);
        let told = [
            "it is not connected",
            "node 1 heard nothing for 900ms",
            "node 2 hears it: the network between nodes is cut",
        ];
        assert_eq!(found[0].evidence, told);
        let deaf = |view: &ClusterView| causes(&view.nodes[0], view, &RaftStatus::default());
        assert!(deaf(&view).is_empty(), "its silence is told of node 3");
        let mut heard_by_others = view;
        heard_by_others.nodes[2].reachable = true;
        assert_eq!(deaf(&heard_by_others)[0].code, "SILENT_TO_IT");
    }
}
