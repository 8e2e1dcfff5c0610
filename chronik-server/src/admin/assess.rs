//! What is wrong with a cluster, from the words of its nodes alone. Nothing here asks or waits.

use std::collections::{BTreeMap, BTreeSet};

use chronik_admin::v1::{
    Health, HealthRequest, Lag, NodeRow, NodeWords, Progress, RaftGroup, RaftNode, RaftStatus,
    RaftView, Reason,
};
use chronik_core::ids::{GroupUid, NodeId};

use super::names::Wanted;

/// The words of every member; a sentence where there are none.
pub(super) type Words<'a> = BTreeMap<NodeId, Result<&'a NodeWords, &'a str>>;

/// A member that lacks something for so long lags.
const LAGS_AFTER_MS: u64 = 5_000;
/// A disk that is fuller is a reason to act.
const DISK_FULL_PERCENT: u32 = 90;
/// How many examples a reason names.
const EXAMPLES: usize = 5;

/// Every group as all its nodes see it.
pub(super) fn groups(
    wanted: &BTreeMap<GroupUid, Wanted>,
    words: &Words<'_>,
    max_lag_entries: Option<u64>,
) -> Vec<RaftGroup> {
    let mut views: BTreeMap<GroupUid, Vec<RaftView>> = BTreeMap::new();
    for snapshot in words.values().flatten() {
        for replica in &snapshot.replicas {
            let views = views.entry(GroupUid(replica.group_id)).or_default();
            views.extend(replica.view.clone());
        }
    }
    let group = |(uid, wanted): (&GroupUid, &Wanted)| {
        let mut views = views.remove(uid).unwrap_or_default();
        let heard: BTreeSet<u64> = views.iter().map(|view| view.node_id).collect();
        let missing = wanted.nodes.iter().filter(|node| !heard.contains(&node.0));
        views.extend(missing.map(|node| unheard(*node, words)));
        views.sort_unstable_by_key(|view| view.node_id);
        assess_group(*uid, wanted, views, max_lag_entries)
    };
    wanted.iter().map(group).collect()
}

/// What operators are shown of groups: those they ask for, or those with a problem.
pub(super) fn raft_status(
    groups: Vec<RaftGroup>,
    words: &Words<'_>,
    shows: impl Fn(&RaftGroup) -> bool,
) -> RaftStatus {
    let total = groups.len();
    let healthy = groups.iter().filter(|group| group.problems.is_empty());
    RaftStatus {
        total_groups: total as u64,
        healthy_groups: healthy.count() as u64,
        nodes: words.iter().map(raft_node).collect(),
        groups: groups.into_iter().filter(shows).collect(),
        ..RaftStatus::default()
    }
}

/// Whether all is as it should be.
pub(super) fn health(
    request: &HealthRequest,
    cluster_id: &str,
    nodes: &[NodeRow],
    groups: &[RaftGroup],
) -> Health {
    let reachable = nodes.iter().filter(|node| node.reachable).count() as u32;
    let mut reasons = Vec::new();
    if cluster_id.is_empty() {
        reasons.push(Reason {
            code: "NO_CLUSTER".to_owned(),
            count: 1,
            message: "the node that was asked belongs to no cluster yet".to_owned(),
            hint: "chronikctl status".to_owned(),
            items: Vec::new(),
        });
    }
    if let Some(expected) = request
        .expect_nodes
        .filter(|expected| reachable < *expected)
    {
        reasons.push(Reason {
            code: "NODES_MISSING".to_owned(),
            count: u64::from(expected - reachable),
            message: format!("{reachable} nodes answer, {expected} are expected"),
            hint: "chronikctl node list".to_owned(),
            items: Vec::new(),
        });
    }
    reasons.extend(about_nodes(nodes));
    reasons.extend(about_groups(groups));
    Health {
        healthy: reasons.is_empty(),
        nodes_expected: request.expect_nodes.unwrap_or(nodes.len() as u32),
        nodes_reachable: reachable,
        groups: groups.len() as u64,
        reasons,
        cluster_id: cluster_id.to_owned(),
    }
}

/// The replica that lacks something for longest, in the words of the leaders.
pub(super) fn worst_lag(groups: &[RaftGroup]) -> Option<Lag> {
    let lags = groups.iter().flat_map(|group| {
        let leaders = group
            .views
            .iter()
            .filter(|view| view.role == "leader" && Some(view.node_id) == group.leader);
        let peers = leaders.flat_map(|leader| &leader.progress);
        peers.map(move |peer| Lag {
            group: group.name.clone(),
            node_id: peer.node_id,
            entries: peer.lag_entries,
            ms: peer.lag_ms,
        })
    });
    let lags = lags.filter(|lag| lag.entries > 0);
    lags.max_by_key(|lag| (lag.ms, lag.entries))
}

fn assess_group(
    uid: GroupUid,
    wanted: &Wanted,
    views: Vec<RaftView>,
    max_lag_entries: Option<u64>,
) -> RaftGroup {
    let term = views.iter().map(|view| view.term).max().unwrap_or(0);
    let leaders: Vec<&RaftView> = views.iter().filter(|view| view.role == "leader").collect();
    // A leader of an older term only has not heard yet that it is none.
    let leader = leaders.iter().max_by_key(|view| view.term).copied();
    let mut problems = Vec::new();
    let has_twins = leaders.iter().any(|one| {
        leaders
            .iter()
            .any(|other| one.term == other.term && one.node_id != other.node_id)
    });
    if has_twins {
        problems.push("TWO_LEADERS");
    }
    match leader {
        None => problems.push("LEADERLESS"),
        Some(leader) => {
            let keeps_up = |node: &NodeId| {
                let progress = leader.progress.iter().find(|peer| peer.node_id == node.0);
                let answers = views
                    .iter()
                    .any(|view| view.node_id == node.0 && view.reachable);
                let is_voter = leader.voters.contains(&node.0);
                answers && is_voter && progress.is_some_and(|progress| progress.in_sync)
            };
            // Who copies for a move has not arrived, which is no fault; who leaves for it counts as long as it votes.
            let votes = |node: u64| leader.voters.contains(&node);
            let copies = |node: u64| wanted.coming.contains(&NodeId(node)) && !votes(node);
            let stay = wanted.nodes.iter().filter(|node| !copies(node.0));
            let leave = wanted.going.iter().filter(|node| votes(node.0));
            if !stay.chain(leave).all(keeps_up) {
                problems.push("UNDER_REPLICATED");
            }
            let lags = |peer: &&Progress| match max_lag_entries {
                Some(most) => peer.lag_entries > most,
                None => peer.lag_ms > LAGS_AFTER_MS,
            };
            let mut members = leader.progress.iter();
            if members.any(|peer| !copies(peer.node_id) && lags(&peer)) {
                problems.push("LAGGING");
            }
        }
    }
    RaftGroup {
        group_id: uid.0,
        name: wanted.name.clone(),
        problems: problems.into_iter().map(str::to_owned).collect(),
        leader: leader.map(|leader| leader.node_id),
        term,
        views,
    }
}

/// The row of a node that has no view of a group: it is silent, or the group is not there.
fn unheard(node: NodeId, words: &Words<'_>) -> RaftView {
    let reachable = words.get(&node).is_some_and(Result::is_ok);
    RaftView {
        node_id: node.0,
        reachable,
        role: if reachable { "absent" } else { "unknown" }.to_owned(),
        ..RaftView::default()
    }
}

fn raft_node((node, words): (&NodeId, &Result<&NodeWords, &str>)) -> RaftNode {
    let status = words.ok().and_then(|snapshot| snapshot.status.as_ref());
    RaftNode {
        node_id: node.0,
        reachable: words.is_ok(),
        error: words.err().map(str::to_owned),
        leaders: status.map_or(0, |status| status.leaders),
        followers: status.map_or(0, |status| status.followers),
        leaderless: status.map_or(0, |status| status.leaderless),
    }
}

fn about_nodes(nodes: &[NodeRow]) -> Vec<Reason> {
    let reason = |code: &str, found: Vec<&NodeRow>, what: &str, hint: String| Reason {
        code: code.to_owned(),
        count: found.len() as u64,
        message: what.to_owned(),
        hint,
        items: found
            .iter()
            .take(EXAMPLES)
            .map(|node| node.node_id.to_string())
            .collect(),
    };
    let mut reasons = Vec::new();
    let silent: Vec<&NodeRow> = nodes.iter().filter(|node| !node.reachable).collect();
    if let Some(first) = silent.first() {
        let hint = format!("look at the process and the log of node {}", first.node_id);
        let what = format!("{} not answer", listed(&silent, "does", "do"));
        reasons.push(reason("NODE_UNREACHABLE", silent, &what, hint));
    }
    let is_unready = |node: &&NodeRow| node.status.as_ref().is_some_and(|status| !status.ready);
    let unready: Vec<&NodeRow> = nodes.iter().filter(is_unready).collect();
    if let Some(first) = unready.first() {
        let why = first.status.iter().flat_map(|status| &status.reasons);
        let why: Vec<&str> = why.map(String::as_str).collect();
        let what = format!(
            "{} not ready: {}",
            listed(&unready, "is", "are"),
            why.join("; ")
        );
        let hint = format!("chronikctl node describe {}", first.node_id);
        reasons.push(reason("NODE_NOT_READY", unready, &what, hint));
    }
    let is_full = |node: &&NodeRow| {
        let disk = node.status.as_ref().and_then(|status| status.disk.as_ref());
        disk.is_some_and(|disk| disk.used_percent > DISK_FULL_PERCENT)
    };
    let full: Vec<&NodeRow> = nodes.iter().filter(is_full).collect();
    if let Some(first) = full.first() {
        let owners = listed(&full, "has", "have");
        let what = format!("{owners} a disk that is more than {DISK_FULL_PERCENT} % full");
        let hint = format!("chronikctl node describe {}", first.node_id);
        reasons.push(reason("DISK_FULL", full, &what, hint));
    }
    reasons
}

fn about_groups(groups: &[RaftGroup]) -> Vec<Reason> {
    let explained = [
        (
            "TWO_LEADERS",
            "have two leaders in one term, which must never be",
        ),
        (
            "LEADERLESS",
            "are led by no node that answers, so nothing can be written to them",
        ),
        ("UNDER_REPLICATED", "have a replica that does not keep up"),
        ("LAGGING", "have a replica that lags"),
    ];
    let mut reasons = Vec::new();
    for (code, what) in explained {
        let has_it = |group: &&RaftGroup| group.problems.iter().any(|problem| problem == code);
        let found: Vec<&RaftGroup> = groups.iter().filter(has_it).collect();
        if found.is_empty() {
            continue;
        }
        let total = groups.len();
        let examples = found.iter().take(EXAMPLES);
        reasons.push(Reason {
            code: code.to_owned(),
            count: found.len() as u64,
            message: format!("{} of {total} groups {what}", found.len()),
            hint: "chronikctl raft status".to_owned(),
            items: examples.map(|group| group.name.clone()).collect(),
        });
    }
    reasons
}

/// "node 3 does" or "nodes 2, 3 do".
fn listed(nodes: &[&NodeRow], one: &str, many: &str) -> String {
    let numbers: Vec<String> = nodes.iter().map(|node| node.node_id.to_string()).collect();
    match numbers.len() {
        1 => format!("node {} {one}", numbers[0]),
        _ => format!("nodes {} {many}", numbers.join(", ")),
    }
}

#[cfg(test)]
mod tests;
