//! `chronikctl explain partition`: the problems of a group, and the nodes and moves behind them.

use std::collections::BTreeSet;

use chronik_admin::Code;
use chronik_admin::v1::{ClusterView, Operation, RaftGroup};

use super::{Cause, Explanation, operation, told};
use crate::commands::raft::{self, status};
use crate::commands::{node, rebalance};
use crate::exit::Failure;
use crate::output::{Answer, duration_ms};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// As TOPIC/PARTITION, or meta
    #[arg(value_name = "TOPIC/PARTITION")]
    partition: String,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let name = &args.partition;
    let (_, status) = status::ask(session, name, true).await?;
    session.check_cluster(&status.cluster_id)?;
    let group = status.groups.first().ok_or_else(|| {
        Failure::new(Code::NotFound, format!("there is no partition {name}"))
            .hint("chronikctl partition list")
    })?;
    let (_, view) = node::view(session).await?;
    let list = rebalance::status::operations(session, None).await?;
    let leader = match group.leader {
        Some(node) => format!("node {node} leads"),
        None => "nobody leads".to_owned(),
    };
    let explanation = Explanation {
        subject: group.name.clone(),
        state: format!("{leader} in term {}", group.term),
        causes: causes(group, &view, &list.operations),
    };
    Ok(told(&status.cluster_id, &explanation))
}

fn causes(group: &RaftGroup, view: &ClusterView, operations: &[Operation]) -> Vec<Cause> {
    let next = |problem: &str| match problem {
        "LEADERLESS" => "chronikctl raft history --group",
        _ => "chronikctl raft status --group",
    };
    let problems = group.problems.iter().map(|problem| {
        let cause = Cause::new(problem, sentence(problem, group));
        let evidence = raft::evidence(problem, group);
        let next = format!("{} {}", next(problem), group.name);
        cause.with(evidence).next(next)
    });
    let silent = group.views.iter().filter(|view| !view.reachable);
    let silent = silent.filter_map(|silent| {
        let mut rows = view.nodes.iter();
        let row = rows.find(|row| row.node_id == silent.node_id)?;
        let (node, why) = (row.node_id, row.error.as_deref().unwrap_or("it is silent"));
        let since = row.silent_ms.map(duration_ms);
        let since =
            since.map(|since| format!("node {} heard nothing for {since}", view.asked_node));
        let cause = Cause::new("NODE_UNREACHABLE", format!("node {node} does not answer"));
        let cause = cause.with([why.to_owned()].into_iter().chain(since));
        Some(cause.next(format!("chronikctl explain node {node}")))
    });
    let moves = operations.iter().flat_map(|operation| {
        let own = operation.moves.iter().filter(|one| one.group == group.name);
        own.map(|one| operation::moving(operation.operation_id, one))
    });
    problems.chain(silent).chain(moves).collect()
}

fn sentence(problem: &str, group: &RaftGroup) -> String {
    let voters: BTreeSet<u64> = group
        .views
        .iter()
        .flat_map(|view| view.voters.iter().copied())
        .collect();
    let answers = group
        .views
        .iter()
        .filter(|view| view.reachable && voters.contains(&view.node_id));
    let (answer, all) = (answers.count(), voters.len());
    match problem {
        "LEADERLESS" if answer > all / 2 => {
            format!("nobody leads, although {answer} of {all} voters answer: an election is due")
        }
        "LEADERLESS" => format!(
            "nobody can lead: {} of {all} voters are needed, {answer} answer",
            all / 2 + 1
        ),
        "UNDER_REPLICATED" => "a replica does not keep up".to_owned(),
        "LAGGING" => "a replica lacks something for long".to_owned(),
        "TWO_LEADERS" => "two nodes lead in one term: this is a bug of Chronik".to_owned(),
        other => format!("{other} was reported"),
    }
}

#[cfg(test)]
mod tests {
    use chronik_admin::v1::{MoveState, NodeRow, RaftView};

    use super::*;

    #[test]
    fn a_partition_without_a_quorum_says_who_is_missing() {
        let view = |node_id, reachable| RaftView {
            node_id,
            reachable,
            role: "candidate".to_owned(),
            term: 5,
            voters: if reachable { vec![1, 2, 3] } else { Vec::new() },
            ..RaftView::default()
        };
        let group = RaftGroup {
            name: "orders/0".to_owned(),
            problems: vec!["LEADERLESS".to_owned()],
            views: vec![view(1, true), view(2, false), view(3, false)],
            ..RaftGroup::default()
        };
        let cluster = ClusterView {
            asked_node: 1,
            nodes: vec![NodeRow {
                node_id: 2,
                error: Some("it is not connected".to_owned()),
                silent_ms: Some(12_300),
                ..NodeRow::default()
            }],
            ..ClusterView::default()
        };
        let operation = Operation {
            operation_id: 9,
            moves: vec![MoveState {
                group: "orders/0".to_owned(),
                from: vec![1, 2, 3],
                to: vec![1, 2, 4],
                waits_for: "the group has no leader".to_owned(),
                ..MoveState::default()
            }],
            ..Operation::default()
        };
        let found = causes(&group, &cluster, &[operation]);
        let codes: Vec<&str> = found.iter().map(|cause| cause.code.as_str()).collect();
        assert_eq!(codes, ["LEADERLESS", "NODE_UNREACHABLE", "MOVES"]);
        let message = "nobody can lead: 2 of 3 voters are needed, 1 answer";
        assert_eq!(found[0].message, message);
        assert_eq!(found[0].evidence.len(), 3);
        assert_eq!(found[1].evidence[1], "node 1 heard nothing for 12.3s");
        assert_eq!(found[2].next, "chronikctl wait operation 9");
    }
}
