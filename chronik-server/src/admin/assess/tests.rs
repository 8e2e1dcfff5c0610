//! Verdicts over clusters that are written down.

use chronik_admin::v1::{Disk, NodeReplica, NodeStatus};

use super::*;

const GROUP: GroupUid = GroupUid(1024);

fn wanted() -> BTreeMap<GroupUid, Wanted> {
    let wanted = Wanted {
        name: "orders/0".to_owned(),
        nodes: [1, 2, 3].map(NodeId).to_vec(),
        coming: Vec::new(),
        going: Vec::new(),
    };
    BTreeMap::from([(GROUP, wanted)])
}

fn snapshot(node: u64, role: &str, term: u64, leader: Option<u64>) -> NodeWords {
    let progress = |node_id| Progress {
        node_id,
        active: true,
        in_sync: true,
        ..Progress::default()
    };
    let view = RaftView {
        node_id: node,
        reachable: true,
        role: role.to_owned(),
        term,
        leader,
        voters: vec![1, 2, 3],
        progress: match role {
            "leader" => [1, 2, 3].map(progress).to_vec(),
            _ => Vec::new(),
        },
        ..RaftView::default()
    };
    NodeWords {
        status: Some(NodeStatus {
            node_id: node,
            ready: true,
            ..NodeStatus::default()
        }),
        replicas: vec![NodeReplica {
            group_id: GROUP.0,
            view: Some(view),
            catch_up: None,
        }],
    }
}

fn problems(words: &Words<'_>) -> Vec<String> {
    groups(&wanted(), words, None).remove(0).problems
}

fn row(node_id: u64, snapshot: Option<&NodeWords>) -> NodeRow {
    NodeRow {
        node_id,
        reachable: snapshot.is_some(),
        status: snapshot.and_then(|snapshot| snapshot.status.clone()),
        ..NodeRow::default()
    }
}

#[test]
fn three_that_agree_have_no_problem() {
    let (one, two) = (
        snapshot(1, "leader", 7, Some(1)),
        snapshot(2, "follower", 7, Some(1)),
    );
    let three = snapshot(3, "follower", 7, Some(1));
    let words = Words::from([
        (NodeId(1), Ok(&one)),
        (NodeId(2), Ok(&two)),
        (NodeId(3), Ok(&three)),
    ]);
    let groups = groups(&wanted(), &words, None);
    assert_eq!((groups[0].leader, groups[0].term), (Some(1), 7));
    assert!(groups[0].problems.is_empty());
    let rows = [row(1, Some(&one)), row(2, Some(&two)), row(3, Some(&three))];
    assert!(health(&HealthRequest::default(), "c", &rows, &groups).healthy);
    let four = HealthRequest {
        expect_nodes: Some(4),
        ..HealthRequest::default()
    };
    assert_eq!(
        health(&four, "c", &rows, &groups).reasons[0].code,
        "NODES_MISSING"
    );
}

#[test]
fn a_silent_node_stays_a_row_and_is_told() {
    let (one, two) = (
        snapshot(1, "leader", 7, Some(1)),
        snapshot(2, "follower", 7, Some(1)),
    );
    let words = Words::from([
        (NodeId(1), Ok(&one)),
        (NodeId(2), Ok(&two)),
        (NodeId(3), Err("gone")),
    ]);
    let groups = groups(&wanted(), &words, None);
    assert_eq!(groups[0].problems, ["UNDER_REPLICATED"]);
    let silent = groups[0]
        .views
        .iter()
        .find(|view| view.node_id == 3)
        .unwrap();
    assert_eq!((silent.reachable, silent.role.as_str()), (false, "unknown"));
    let rows = [row(1, Some(&one)), row(2, Some(&two)), row(3, None)];
    let health = health(&HealthRequest::default(), "c", &rows, &groups);
    let codes: Vec<&str> = health
        .reasons
        .iter()
        .map(|reason| reason.code.as_str())
        .collect();
    assert_eq!(codes, ["NODE_UNREACHABLE", "UNDER_REPLICATED"]);
    assert_eq!(health.reasons[0].message, "node 3 does not answer");
}

#[test]
fn a_leader_that_does_not_answer_leads_nothing() {
    let two = snapshot(2, "follower", 7, Some(1));
    let words = Words::from([
        (NodeId(1), Err("gone")),
        (NodeId(2), Ok(&two)),
        (NodeId(3), Err("gone")),
    ]);
    assert_eq!(problems(&words), ["LEADERLESS"]);
}

#[test]
fn two_leaders_of_one_term_are_a_scandal_and_of_two_terms_are_not() {
    let (one, two) = (
        snapshot(1, "leader", 7, Some(1)),
        snapshot(2, "leader", 7, Some(2)),
    );
    let three = snapshot(3, "follower", 8, Some(2));
    let words = Words::from([
        (NodeId(1), Ok(&one)),
        (NodeId(2), Ok(&two)),
        (NodeId(3), Ok(&three)),
    ]);
    assert_eq!(problems(&words), ["TWO_LEADERS"]);
    let newer = snapshot(2, "leader", 8, Some(2));
    let words = Words::from([
        (NodeId(1), Ok(&one)),
        (NodeId(2), Ok(&newer)),
        (NodeId(3), Ok(&three)),
    ]);
    let group = groups(&wanted(), &words, None).remove(0);
    assert_eq!((group.leader, group.problems.len()), (Some(2), 0));
}

#[test]
fn a_full_disk_and_a_lagging_replica_are_reasons() {
    let mut one = snapshot(1, "leader", 7, Some(1));
    let view = one.replicas[0].view.as_mut().unwrap();
    view.progress[2].lag_entries = 50;
    view.progress[2].lag_ms = 9_000;
    one.status.as_mut().unwrap().disk = Some(Disk {
        used_percent: 91,
        ..Disk::default()
    });
    let (two, three) = (
        snapshot(2, "follower", 7, Some(1)),
        snapshot(3, "follower", 7, Some(1)),
    );
    let words = Words::from([
        (NodeId(1), Ok(&one)),
        (NodeId(2), Ok(&two)),
        (NodeId(3), Ok(&three)),
    ]);
    assert_eq!(problems(&words), ["LAGGING"]);
    assert!(groups(&wanted(), &words, Some(50))[0].problems.is_empty());
    let rows = [row(1, Some(&one)), row(2, Some(&two)), row(3, Some(&three))];
    let health = health(&HealthRequest::default(), "c", &rows, &[]);
    assert_eq!(health.reasons[0].code, "DISK_FULL");
    assert_eq!(health.reasons[0].items, ["1"]);
}

#[test]
fn a_move_is_no_problem_and_hides_none() {
    let mut wanted = wanted();
    let moving = wanted.get_mut(&GROUP).unwrap();
    moving.nodes = [4, 2, 3].map(NodeId).to_vec();
    (moving.coming, moving.going) = (vec![NodeId(4)], vec![NodeId(1)]);
    let mut one = snapshot(1, "leader", 7, Some(1));
    let others = [2, 3].map(|node| snapshot(node, "follower", 7, Some(1)));
    let learner = snapshot(4, "learner", 7, Some(1));
    // Node 4 copies for hours.
    let copies = Progress {
        node_id: 4,
        lag_ms: 7_200_000,
        lag_entries: 1_000_000,
        ..Progress::default()
    };
    let view = one.replicas[0].view.as_mut().unwrap();
    view.progress.push(copies);
    let problems = |one: &NodeWords, second: Result<(), &'static str>| {
        let words = Words::from([
            (NodeId(1), Ok(one)),
            (NodeId(2), second.map(|()| &others[0])),
            (NodeId(3), Ok(&others[1])),
            (NodeId(4), Ok(&learner)),
        ]);
        groups(&wanted, &words, Some(10)).remove(0).problems
    };
    assert_eq!(problems(&one, Ok(())), Vec::<String>::new());
    assert_eq!(problems(&one, Err("silent")), ["UNDER_REPLICATED"]);
    // The one that leaves counts until it votes no more.
    let leaves = one.replicas[0].view.as_mut().unwrap();
    leaves.progress[0].in_sync = false;
    assert_eq!(problems(&one, Ok(())), ["UNDER_REPLICATED"]);
    let leaves = one.replicas[0].view.as_mut().unwrap();
    leaves.voters = vec![2, 3, 4];
    leaves.progress[3] = Progress {
        lag_ms: 0,
        lag_entries: 0,
        in_sync: true,
        ..leaves.progress[3]
    };
    assert_eq!(problems(&one, Ok(())), Vec::<String>::new());
}
