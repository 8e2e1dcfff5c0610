//! Answers as people read them, letter by letter: one node is dead, one group has no leader, one replica lags, some move.

use chronik_admin::v1::{
    ClusterView, Disk, Health, Leader, Move, MoveCheck, MoveState, NodeRow, NodeStatus, Operation,
    OperationList, PlacementPlan, Progress, RaftGroup, RaftNode, RaftStatus, RaftView, Reason,
    Sender, SnapshotFile, SnapshotList, SnapshotNode, Verification,
};

use crate::commands::{raft, rebalance, snapshot, status};
use crate::exit::Verdict;
use crate::output::{Answer, Printer, Rows};

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
leaders 4/12/- (skew 8)   no replica lags

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

#[test]
fn operations_that_go_slowly_or_not_at_all() {
    let one = |group: &str, bytes_done: u64, waits_for: &str| MoveState {
        group: group.to_owned(),
        from: vec![1, 2, 3],
        to: vec![4, 2, 3],
        coming: vec![4],
        bytes_total: 100 << 20,
        bytes_done: bytes_done << 20,
        waits_for: waits_for.to_owned(),
        ..MoveState::default()
    };
    let slow = Operation {
        operation_id: 77,
        partitions: 5,
        done: 3,
        bytes_total: 200 << 20,
        bytes_done: 50 << 20,
        bytes_per_second: 1 << 20,
        left_ms: Some(150_000),
        moves: vec![
            one("orders/2", 50, "the throttle of node 2"),
            one("orders/5", 0, ""),
        ],
        ..Operation::default()
    };
    let paused = Operation {
        operation_id: 81,
        partitions: 1,
        bytes_total: 100 << 20,
        paused: true,
        moves: vec![one("pay/0", 0, "operation 81 is paused")],
        ..Operation::default()
    };
    let sender = |node_id, bytes_per_second| Sender {
        node_id,
        bytes_per_second,
    };
    let list = OperationList {
        operations: vec![slow, paused],
        throttle_bytes_per_second: Some(1 << 20),
        senders: vec![sender(2, 1 << 20), sender(3, 0)],
        ..OperationList::default()
    };
    let expected = "\
throttle: 1.0 MiB/s from each node   node 2 sends 1.0 MiB/s   node 3 sends 0 B/s
operation 77: under way, 3/5 partitions, 50.0 MiB of 200 MiB copied at 1.0 MiB/s, 2m30s left
operation 81: PAUSED, 0/1 partition, 0 B of 100 MiB copied

OPERATION  PARTITION  FROM   TO     COMING  COPIED            WAITS FOR
       77  orders/2   1,2,3  4,2,3  4       50.0 MiB/100 MiB  the throttle of node 2
       77  orders/5   1,2,3  4,2,3  4       0 B/100 MiB       -
       81  pay/0      1,2,3  4,2,3  4       0 B/100 MiB       operation 81 is paused
";
    assert_eq!(printed(&rebalance::status::told(&list)), expected);
}

#[test]
fn a_plan_held_against_the_cluster() {
    let wanted = |group: &str, to: &[u64]| Move {
        group: group.to_owned(),
        from: vec![1, 2, 3],
        to: to.to_vec(),
    };
    let plan = PlacementPlan {
        catalog_version: 70,
        moves: vec![wanted("a/0", &[4, 2, 3]), wanted("a/1", &[1, 4, 3])],
        ..PlacementPlan::default()
    };
    let check = |one: &Move, present: &[u64], state: &str, message: &str| MoveCheck {
        group: one.group.clone(),
        from: one.from.clone(),
        to: one.to.clone(),
        present: present.to_vec(),
        state: state.to_owned(),
        message: message.to_owned(),
        ..MoveCheck::default()
    };
    let found = Verification {
        catalog_version: 90,
        moves: vec![
            check(
                &plan.moves[0],
                &[4, 2, 3],
                "done",
                "it is where the plan wants it",
            ),
            check(&plan.moves[1], &[1, 2, 3], "pending", "not begun"),
        ],
        ..Verification::default()
    };
    let verified = rebalance::verify::told(&found);
    assert_eq!(verified.verdict, Verdict::No);
    let expected = "\
1/2 moves done, 1 pending, 0 differ

PARTITION  STATE    FROM   TO     PRESENT  WHAT
a/0        done     1,2,3  4,2,3  4,2,3    it is where the plan wants it
a/1        pending  1,2,3  1,4,3  1,2,3    not begun
";
    assert_eq!(printed(&verified), expected);

    let diff = rebalance::diff::told(&plan, &found, Some(&plan));
    assert_eq!(diff.verdict, Verdict::No);
    let expected = "\
the plan does not fit any more: 1 difference

PARTITION  KIND   FROM   TO     PRESENT  WHAT
a/0        moved  1,2,3  4,2,3  4,2,3    it is where the plan wants it
";
    assert_eq!(printed(&diff), expected);
    let untouched = Verification {
        moves: plan
            .moves
            .iter()
            .map(|one| check(one, &one.from, "pending", "not begun"))
            .collect(),
        ..found
    };
    let same = rebalance::diff::told(&plan, &untouched, Some(&plan));
    assert_eq!(same.verdict, Verdict::Yes);
    assert_eq!(printed(&same), "the plan fits, and would be made again\n");
    let fresh = PlacementPlan {
        moves: vec![wanted("a/0", &[5, 2, 3]), wanted("a/2", &[1, 2, 4])],
        ..plan.clone()
    };
    let other = rebalance::diff::told(&plan, &untouched, Some(&fresh));
    let expected = "\
the plan fits, but another one would be made now: 3 differences

PARTITION  KIND       FROM   TO     PRESENT  WHAT
a/0        elsewhere  1,2,3  4,2,3  1,2,3    a plan made now would move it to 5,2,3
a/1        needless   1,2,3  1,4,3  1,2,3    a plan made now would leave it where it is
a/2        missing                  1,2,3    a plan made now would move it to 1,2,4
";
    assert_eq!(printed(&other), expected);
}

#[test]
fn snapshots_of_a_node_that_is_silent_are_a_row() {
    let file = |id: u64, state: &str, group: Option<&str>, groups| SnapshotFile {
        snapshot_id: id,
        state: state.to_owned(),
        error: (state == "failed").then(|| "the disk is full".to_owned()),
        group: group.map(str::to_owned),
        cause: "operator".to_owned(),
        bytes: 2048,
        sha256: "c0ffee".to_owned(),
        groups,
        groups_total: 10,
        index: 77,
        term: 4,
    };
    let node = |node_id, snapshots: Vec<SnapshotFile>| SnapshotNode {
        node_id,
        reachable: !snapshots.is_empty(),
        error: None,
        snapshots,
    };
    let list = SnapshotList {
        nodes: vec![
            node(
                1,
                vec![
                    file(1000, "complete", None, 10),
                    file(2000, "making", None, 3),
                ],
            ),
            node(
                2,
                vec![
                    file(1500, "complete", Some("orders/0"), 1),
                    file(2500, "failed", None, 0),
                ],
            ),
            node(3, Vec::new()),
        ],
        ..SnapshotList::default()
    };
    let told = snapshot::listed(&list, 62_000);
    let expected = "\
SNAPSHOT STATE OF CAUSE AGE GROUPS INDEX TERM SIZE
1/1000 complete node operator 1m01s 10 77 4 2.0 KiB
1/2000 making 3/10 node operator 1m00s - - - -
2/1500 complete orders/0 operator 1m00s 1 77 4 2.0 KiB
2/2500 FAILED: the disk is full node operator 59.5s - - - -
3/- UNREACHABLE - - - - - - -";
    assert_eq!(
        squeezed(&printed(&told)),
        expected.lines().collect::<Vec<_>>()
    );
    assert_eq!(told.warnings.len(), 1);
    let Rows::Made(rows) = &told.rows else {
        panic!("{told:?}");
    };
    assert_eq!(rows.len(), 4);
}

/// Blanks between columns depend on the widest cell: what matters here are the cells and their order.
fn squeezed(text: &str) -> Vec<String> {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect()
}
