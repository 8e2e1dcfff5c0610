//! What a group's nodes say that shows a problem.

use chronik_admin::v1::{RaftGroup, RaftView};

use crate::output::duration_ms;

/// The view of the leader with the newest term.
pub(crate) fn leader(group: &RaftGroup) -> Option<&RaftView> {
    let leaders = group.views.iter().filter(|view| view.role == "leader");
    leaders.max_by_key(|view| view.term)
}

/// Sentences about one problem of a group, a line each.
pub(crate) fn evidence(problem: &str, group: &RaftGroup) -> Vec<String> {
    let silent = group.views.iter().filter(|view| !view.reachable);
    let silent = silent.map(|view| format!("node {} does not answer", view.node_id));
    let progress = leader(group).into_iter().flat_map(|view| &view.progress);
    match problem {
        "LEADERLESS" => {
            let says = |view: &RaftView| match view.leader {
                Some(leader) => format!("node {} believes in node {leader}", view.node_id),
                None => format!(
                    "node {} is {} in term {}",
                    view.node_id, view.role, view.term
                ),
            };
            let views = group.views.iter().filter(|view| view.reachable).map(says);
            silent.chain(views).collect()
        }
        "TWO_LEADERS" => {
            let leads = group.views.iter().filter(|view| view.role == "leader");
            let leads =
                leads.map(|view| format!("node {} leads in term {}", view.node_id, view.term));
            leads.collect()
        }
        _ => {
            let behind = progress.filter(|peer| !peer.in_sync || peer.lag_entries > 0);
            let behind = behind.map(|peer| {
                let (node, entries) = (peer.node_id, peer.lag_entries);
                let active = if peer.active {
                    ""
                } else {
                    ", and was not heard of lately"
                };
                let age = duration_ms(peer.lag_ms);
                format!("node {node} lacks {entries} entries, the oldest for {age}{active}")
            });
            silent.chain(behind).collect()
        }
    }
}
