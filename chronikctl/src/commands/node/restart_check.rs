//! `chronikctl node restart-check`: whether a node may be stopped now, without anything standing still.

use std::collections::BTreeMap;

use chronik_admin::v1::{ClusterView, RaftGroup, RaftStatus};
use schemars::JsonSchema;
use serde::Serialize;

use super::list;
use crate::commands::raft::{leader, status};
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Cell, Column, Table, Tone, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's number
    node: u64,
}

/// Whether a node may be stopped, and what speaks against it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RestartCheck {
    node_id: u64,
    safe: bool,
    /// Groups that it leads: they are led by others first.
    leads: u64,
    reasons: Vec<Reason>,
}

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Reason {
    /// WOULD_LOSE_QUORUM, LAST_REPLICA or LEADERLESS.
    check: &'static str,
    count: u64,
    /// The first one, in words.
    message: String,
    /// The first few groups.
    groups: Vec<String>,
    /// The next command to type.
    next: String,
}

const MOST_EXAMPLES: usize = 5;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (_, view) = list::view(session).await?;
    list::find(&view, args.node)?;
    let (_, groups) = status::ask(session, "", true).await?;
    let checked = check(args.node, &view, &groups);
    Ok(told(&view.cluster_id, &checked))
}

fn check(node: u64, view: &ClusterView, groups: &RaftStatus) -> RestartCheck {
    let mut found: BTreeMap<&'static str, Vec<(String, String)>> = BTreeMap::new();
    for group in &groups.groups {
        if let Some((check, message)) = against(node, group) {
            let reasons = found.entry(check).or_default();
            reasons.push((group.name.clone(), message));
        }
    }
    let reasons = found.into_iter().map(|(check, found)| {
        let examples = found.iter().take(MOST_EXAMPLES);
        Reason {
            check,
            count: found.len() as u64,
            message: found[0].1.clone(),
            groups: examples.map(|(group, _)| group.clone()).collect(),
            next: match check {
                "LAST_REPLICA" => format!("chronikctl node drain {node} --dry-run"),
                _ => format!("chronikctl explain partition {}", found[0].0),
            },
        }
    });
    let reasons: Vec<Reason> = reasons.collect();
    let mut statuses = view.nodes.iter().filter_map(|row| row.status.as_ref());
    let own = statuses.find(|status| status.node_id == node);
    RestartCheck {
        node_id: node,
        safe: reasons.is_empty(),
        leads: own.map_or(0, |status| status.leaders),
        reasons,
    }
}

/// What speaks against it as far as one group goes.
fn against(node: u64, group: &RaftGroup) -> Option<(&'static str, String)> {
    let name = &group.name;
    let Some(leader) = leader(group) else {
        let mut voters = group.views.iter().flat_map(|view| &view.voters);
        let takes_part = voters.any(|voter| *voter == node);
        let message = format!("{name} has no leader, and may need this node to get one");
        return takes_part.then_some(("LEADERLESS", message));
    };
    if !leader.voters.contains(&node) {
        return None;
    }
    if leader.voters.len() == 1 {
        return Some(("LAST_REPLICA", format!("{name} is on this node alone")));
    }
    let keeps_up = |voter: &u64| {
        let mut views = group.views.iter();
        let answers = views.any(|view| view.node_id == *voter && view.reachable);
        let mut peers = leader.progress.iter();
        let in_sync = peers.any(|peer| peer.node_id == *voter && peer.in_sync);
        answers && in_sync
    };
    let others = leader.voters.iter().filter(|voter| **voter != node);
    let alive = others.filter(|voter| keeps_up(voter)).count();
    let needed = leader.voters.len() / 2 + 1;
    (alive < needed).then(|| {
        let message = format!("of {name}, {alive} would keep up where {needed} have to");
        ("WOULD_LOSE_QUORUM", message)
    })
}

fn told(cluster_id: &str, checked: &RestartCheck) -> Answer {
    let node = checked.node_id;
    let (tone, line) = match checked.safe {
        true => {
            let leads = plural(checked.leads, "group");
            (
                Tone::Good,
                format!(
                    "node {node} may be stopped now; {leads} that it leads will be led by others"
                ),
            )
        }
        false => (Tone::Bad, format!("node {node} must NOT be stopped now")),
    };
    let columns = [
        Column::text("check"),
        Column::number("groups"),
        Column::text("message"),
        Column::text("examples"),
        Column::text("next").wide(),
    ];
    let mut table = Table::new(&columns);
    for reason in &checked.reasons {
        table.row(vec![
            Cell::toned(Tone::Bad, reason.check),
            reason.count.into(),
            reason.message.as_str().into(),
            reason.groups.join(", ").into(),
            reason.next.as_str().into(),
        ]);
    }
    let mut answer = Answer::of("RestartCheck", cluster_id, checked);
    answer.headlines.push((tone, line));
    if !checked.safe {
        answer.verdict = Verdict::Refused;
        answer.tables.push(table);
    }
    answer
}

#[cfg(test)]
mod tests {
    use chronik_admin::v1::{Progress, RaftView};

    use super::*;

    fn group(name: &str, in_sync: &[(u64, bool)]) -> RaftGroup {
        let voters: Vec<u64> = in_sync.iter().map(|(node, _)| *node).collect();
        let progress = in_sync.iter().map(|(node, in_sync)| Progress {
            node_id: *node,
            in_sync: *in_sync,
            ..Progress::default()
        });
        let mut views: Vec<RaftView> = voters
            .iter()
            .map(|node| RaftView {
                node_id: *node,
                reachable: true,
                role: "follower".to_owned(),
                ..RaftView::default()
            })
            .collect();
        views[0].role = "leader".to_owned();
        views[0].progress = progress.collect();
        views[0].voters = voters;
        RaftGroup {
            name: name.to_owned(),
            views,
            ..RaftGroup::default()
        }
    }

    #[test]
    fn a_node_may_go_while_the_others_are_enough() {
        let whole = group("orders/0", &[(1, true), (2, true), (3, true)]);
        assert_eq!(against(2, &whole), None);
        assert_eq!(against(4, &whole), None);
        let lame = group("orders/1", &[(1, true), (2, true), (3, false)]);
        assert_eq!(against(3, &lame), None);
        assert_eq!(against(2, &lame).unwrap().0, "WOULD_LOSE_QUORUM");
        let alone = group("orders/2", &[(2, true)]);
        assert_eq!(against(2, &alone).unwrap().0, "LAST_REPLICA");
        let mut leaderless = group("orders/3", &[(1, true), (2, true)]);
        leaderless.views[0].role = "candidate".to_owned();
        assert_eq!(against(2, &leaderless).unwrap().0, "LEADERLESS");
        let status = RaftStatus {
            groups: vec![whole, lame, alone],
            ..RaftStatus::default()
        };
        let checked = check(2, &ClusterView::default(), &status);
        assert!(!checked.safe);
        let found: Vec<&str> = checked.reasons.iter().map(|reason| reason.check).collect();
        assert_eq!(found, ["LAST_REPLICA", "WOULD_LOSE_QUORUM"]);
    }
}
