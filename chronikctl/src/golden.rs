//! Answers as people read them, letter by letter: one node is dead, one group has no leader, one replica lags.

use chronik_admin::v1::{
    ClusterView, Disk, Health, Leader, NodeRow, NodeStatus, Progress, RaftGroup, RaftNode,
    RaftStatus, RaftView, Reason,
};

use crate::commands::{raft, status};
use crate::output::{Answer, Printer};

fn printed(answer: &Answer) -> String {
    let printer = Printer {
        headers: true,
        ..Printer::default()
    };
    printer.render(answer).unwrap()
}

#[test]
fn a_status_with_a_dead_node() {
    let alive = |node_id: u64, leaders| NodeRow {
        node_id,
        reachable: true,
        status: Some(NodeStatus {
            node_id,
            ready: true,
            leaders,
            followers: 2,
            kafka_address: format!("127.0.0.1:909{}", node_id + 1),
            resident_bytes: 20 << 20,
            uptime_ms: 65_000,
            disk: Some(Disk {
                used_percent: 40,
                available_bytes: 7 << 30,
                ..Disk::default()
            }),
            ..NodeStatus::default()
        }),
        ..NodeRow::default()
    };
    let dead = NodeRow {
        node_id: 3,
        error: Some("it is not connected".to_owned()),
        silent_ms: Some(12_300),
        kafka_address: "127.0.0.1:9094".to_owned(),
        ..NodeRow::default()
    };
    let view = ClusterView {
        cluster_id: "c-1".to_owned(),
        asked_node: 1,
        metadata_leader: Some(Leader {
            node_id: Some(2),
            term: 5,
        }),
        nodes: vec![alive(1, 4), alive(2, 12), dead],
        topics: 1,
        partitions: 3,
        health: Some(Health {
            reasons: vec![Reason {
                code: "NODE_UNREACHABLE".to_owned(),
                count: 1,
                message: "node 3 does not answer".to_owned(),
                hint: "look at the process and the log of node 3".to_owned(),
                items: vec!["3".to_owned()],
            }],
            ..Health::default()
        }),
        ..ClusterView::default()
    };
    let expected = "\
cluster c-1
UNHEALTHY   nodes 2/3   1 topic, 3 partitions   metadata led by node 2 in term 5   (asked node 1)

NODE  STATE                  LEADERS  FOLLOWERS  LEADERLESS  DISK                    MEMORY    UPTIME  KAFKA
   1  ready                        4          2           0  40 % used, 7.0 GiB free  20.0 MiB  1m05s   127.0.0.1:9092
   2  ready                       12          2           0  40 % used, 7.0 GiB free  20.0 MiB  1m05s   127.0.0.1:9093
   3  UNREACHABLE for 12.3s        -          -           -  -                       -         -       127.0.0.1:9094

! NODE_UNREACHABLE  node 3 does not answer  ->  look at the process and the log of node 3
";
    assert_eq!(squeezed(&printed(&status::told(&view))), squeezed(expected));
}

#[test]
fn groups_with_problems() {
    let view = |node_id, role: &str, term, leader| RaftView {
        node_id,
        reachable: true,
        role: role.to_owned(),
        term,
        leader,
        commit: 90,
        last: 100,
        since_ms: 1500,
        ..RaftView::default()
    };
    let silent = RaftView {
        node_id: 3,
        role: "unknown".to_owned(),
        ..RaftView::default()
    };
    let progress = |node_id, lag_entries, lag_ms, in_sync| Progress {
        node_id,
        lag_entries,
        lag_ms,
        in_sync,
        ..Progress::default()
    };
    let leader = RaftView {
        progress: vec![progress(1, 0, 0, true), progress(2, 10, 7_000, false)],
        ..view(1, "leader", 4, Some(1))
    };
    let group = |name: &str, problems: &[&str], leader, views| RaftGroup {
        name: name.to_owned(),
        problems: problems.iter().map(ToString::to_string).collect(),
        leader,
        term: 4,
        views,
        ..RaftGroup::default()
    };
    let lagging = vec![leader, view(2, "follower", 4, Some(1)), silent.clone()];
    let leaderless = vec![
        view(1, "candidate", 5, None),
        view(2, "follower", 4, None),
        silent,
    ];
    let status = RaftStatus {
        asked_node: 1,
        total_groups: 9,
        healthy_groups: 7,
        nodes: vec![
            RaftNode {
                node_id: 1,
                reachable: true,
                ..RaftNode::default()
            },
            RaftNode {
                node_id: 3,
                ..RaftNode::default()
            },
        ],
        groups: vec![
            group(
                "orders/0",
                &["UNDER_REPLICATED", "LAGGING"],
                Some(1),
                lagging,
            ),
            group("orders/1", &["LEADERLESS"], None, leaderless),
        ],
        ..RaftStatus::default()
    };
    let expected = "\
7/9 groups healthy   nodes 1/2   (asked node 1)

GROUP     NODE  ROLE         TERM  LEADER  COMMIT  LAST  LAG  BEHIND  SINCE  PROBLEMS
orders/0     1  leader          4       1      90   100    0  -       1.5s   UNDER_REPLICATED LAGGING
orders/0     2  follower        4       1      90   100   10  7.0s    1.5s   UNDER_REPLICATED LAGGING
orders/0     3  UNREACHABLE     -       -       -     -    -  -       -      UNDER_REPLICATED LAGGING
orders/1     1  candidate       5       -      90   100    -  -       1.5s   LEADERLESS
orders/1     2  follower        4       -      90   100    -  -       1.5s   LEADERLESS
orders/1     3  UNREACHABLE     -       -       -     -    -  -       -      LEADERLESS
";
    assert_eq!(printed(&raft::status::told(&status)), expected);
    let healthy = RaftStatus {
        healthy_groups: 9,
        groups: Vec::new(),
        ..status
    };
    let text = printed(&raft::status::told(&healthy));
    assert!(text.contains("NODE  STATE        LEADERS"), "{text}");
}

/// Blanks between columns depend on the widest cell: what matters here are the cells and their order.
fn squeezed(text: &str) -> Vec<String> {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect()
}
