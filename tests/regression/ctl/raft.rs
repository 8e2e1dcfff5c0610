//! Leaders that move on request, nodes that die, and clusters that nobody leads.

use std::time::Duration;

use chronik_local::wait;
use serde_json::{Value, json};

use super::{ALL, CHANGE_BOUND, Three};

/// Nothing that only asks takes longer, whoever is away.
const HANGS: Duration = Duration::from_secs(30);

#[test]
fn leaders_step_down_and_every_node_says_so_itself() {
    let three = Three::with_topic("orders");
    wait::until("the first node to lead", CHANGE_BOUND, || {
        (group_of(&three, "meta")["leader"] == 1).then_some(())
    })
    .unwrap();
    for group in ["meta", "orders/0"] {
        let before = group_of(&three, group);
        let planned = three.data(&[
            "raft",
            "step-down",
            "--group",
            group,
            "--dry-run",
            "-o",
            "json",
        ]);
        assert!(planned["changes"].to_string().contains(group), "{planned}");
        assert_eq!(group_of(&three, group)["term"], before["term"]);
        let moved = three.data(&["raft", "step-down", "--group", group, "--yes", "-o", "json"]);
        println!("{group}: {} ms", moved["took_ms"]);
        assert_eq!(moved["from"], before["leader"], "{moved}");
        assert_ne!(moved["to"], before["leader"], "{moved}");
        assert!(
            moved["new_term"].as_u64() > moved["old_term"].as_u64(),
            "{moved}"
        );
        assert_eq!(moved["verified"], true, "{moved}");
        for asked in ALL {
            let views = three.ask(
                &[asked],
                &["raft", "status", "--group", group, "-o", "json"],
            );
            let views = views.data()["groups"][0]["views"].clone();
            for view in views.as_array().expect("views") {
                assert_eq!(
                    (&view["leader"], &view["term"]),
                    (&moved["to"], &moved["new_term"]),
                    "{view}"
                );
            }
        }
    }
    let back = group_of(&three, "orders/0")["leader"]
        .as_u64()
        .expect("a leader");
    let other = ALL
        .iter()
        .find(|id| **id as u64 != back)
        .expect("another node");
    let named = other.to_string();
    let moved = three.data(&[
        "raft", "transfer", "--group", "orders/0", "--to", &named, "-y", "-o", "json",
    ]);
    assert_eq!(moved["to"], json!(other), "{moved}");
    let history = three.data(&["raft", "history", "--group", "orders/0", "-o", "json"]);
    let last = history["changes"]
        .as_array()
        .expect("changes")
        .last()
        .expect("a change")
        .clone();
    assert_eq!(
        (&last["leader"], &last["why"]),
        (&json!(other), &json!("operator")),
        "{history}"
    );
    three.finish();
}

#[test]
fn transfers_that_cannot_be_are_refused_with_a_reason() {
    let mut three = Three::with_topic("orders");
    let group = group_of(&three, "orders/0");
    let leader = group["leader"].as_u64().expect("a leader");
    let transfer = |three: &Three, to: &str, more: &[&str]| {
        let line = [
            "raft", "transfer", "--group", "orders/0", "--to", to, "-o", "json",
        ];
        three.run(&[&line, more].concat())
    };
    let told = |ended: &super::Ended, check: &str| {
        let message = ended.json()["error"]["message"].to_string();
        assert!(message.contains(check), "{message}");
        ended.refusal()
    };
    let blocked = (11, "BLOCKED".to_owned());
    let unknown = transfer(&three, "9", &["--yes"]);
    assert_eq!(told(&unknown, "NOT_A_VOTER"), blocked);
    let leads = transfer(&three, &leader.to_string(), &["--yes"]);
    assert_eq!(told(&leads, "LEADS_ALREADY"), blocked);
    let other = leader % 3 + 1;
    let stale = transfer(&three, &other.to_string(), &["--yes", "--expect-term", "1"]);
    assert_eq!(stale.refusal(), (12, "STALE".to_owned()));
    let unasked = transfer(&three, &other.to_string(), &[]);
    assert_eq!(unasked.code, 4, "{unasked:?}");
    let missing = three.run(&[
        "raft",
        "step-down",
        "--group",
        "orders/7",
        "-y",
        "-o",
        "json",
    ]);
    assert_eq!(missing.refusal(), (1, "NOT_FOUND".to_owned()));
    three
        .cluster
        .node_mut(usize::try_from(other).unwrap())
        .kill()
        .unwrap();
    wait::until("a suspected node", CHANGE_BOUND, || {
        let refused = transfer(&three, &other.to_string(), &["--yes"]);
        let message = refused.json()["error"]["message"].to_string();
        message
            .contains("TARGET_UNREACHABLE")
            .then(|| assert_eq!(refused.code, 11))
    })
    .unwrap();
    assert_eq!(group_of(&three, "orders/0")["leader"], group["leader"]);
}

#[test]
fn a_dead_node_is_a_reason_and_stays_a_row() {
    let mut three = Three::with_topic("orders");
    wait::until(
        "a cluster without a complaint about nodes",
        CHANGE_BOUND,
        || {
            let codes = reasons(&three);
            (!codes.iter().any(|code| code.starts_with("NODE"))).then_some(())
        },
    )
    .unwrap();
    // It shall have something to lose; to hand over what it leads already is refused.
    let line = [
        "raft", "transfer", "--group", "orders/0", "--to", "2", "--yes",
    ];
    let moved = three.run(&line);
    assert!(
        moved.code == 0 || moved.stderr.contains("LEADS_ALREADY"),
        "{moved:?}"
    );
    three.cluster.node_mut(2).kill().unwrap();
    let health = wait::until("an unhealthy cluster", CHANGE_BOUND, || {
        let health = three.run(&["health", "-o", "json"]);
        let told = reasons_of(&health.json());
        // A group that nobody leads yet is not called under-replicated.
        let all = ["NODE_UNREACHABLE", "UNDER_REPLICATED"];
        let is_told = all.iter().all(|code| told.iter().any(|one| one == code));
        is_told.then_some(health)
    })
    .unwrap();
    assert_eq!(health.code, 10);
    let check = three.run(&["check", "nodes"]);
    assert_eq!(check.code, 2, "{check:?}");
    assert!(
        check
            .stdout
            .starts_with("CHRONIK CRITICAL - 1 of 3 nodes do not answer | nodes=1;1;1"),
        "{check:?}"
    );
    assert_eq!(three.run(&["check", "nodes", "--crit", "2"]).code, 1);
    let status = three.run(&["status", "-o", "json"]);
    assert_eq!(row(&status.json(), 2)["reachable"], false);
    assert_eq!(status.json()["warnings"][0]["code"], "NODE_UNREACHABLE");
    let described = three.run(&["node", "describe", "2", "-o", "json"]);
    assert_eq!(described.refusal(), (3, "UNREACHABLE".to_owned()));
    let people = three.run(&["status"]);
    assert!(
        people.stdout.contains("UNREACHABLE") && people.stdout.contains("UNHEALTHY"),
        "{people:?}"
    );
    group_of(&three, "orders/0");
    let history = three.data(&["raft", "history", "-o", "json"]);
    let put_down_to_it = |change: &Value| change["why"] == "suspected" && change["because_of"] == 2;
    let changes = history["changes"].as_array().expect("changes").clone();
    assert!(changes.iter().any(put_down_to_it), "{history}");
    three.cluster.node_mut(2).begin().unwrap();
    let waited = three.run(&[
        "health",
        "--ignore",
        "disk_full",
        "--wait=100s",
        "--expect-nodes",
        "3",
        "-o",
        "json",
    ]);
    let codes = reasons_of(&waited.json());
    // A full disk of this machine is no affair of this test.
    assert!(codes.is_empty(), "{codes:?}");
    three.finish();
}

#[test]
fn nothing_hangs_while_two_of_three_nodes_are_away() {
    let mut three = Three::with_topic("orders");
    three.cluster.node_mut(1).kill().unwrap();
    // A paused one takes connections and answers nothing.
    three.cluster.node(2).pause().unwrap();
    let leaderless = wait::until("groups without a leader", CHANGE_BOUND, || {
        let status = three.ask(&ALL, &["raft", "status", "-o", "json"]);
        assert_eq!(status.code, 0, "{status:?}");
        let groups = status.json()["data"]["groups"].clone();
        let groups = groups.as_array().expect("groups").clone();
        let is_leaderless = |group: &Value| group["problems"].to_string().contains("LEADERLESS");
        (!groups.is_empty() && groups.iter().all(is_leaderless)).then_some(groups)
    })
    .unwrap();
    for group in &leaderless {
        assert_eq!(group["views"].as_array().map(Vec::len), Some(3), "{group}");
        assert_eq!(group["leader"], Value::Null);
    }
    let status = three.ask(&ALL, &["status", "-o", "json"]);
    assert_eq!(status.code, 0);
    assert_eq!(row(&status.json(), 1)["reachable"], false);
    assert_eq!(row(&status.json(), 2)["reachable"], false);
    assert_eq!(three.ask(&ALL, &["health"]).code, 10);
    let step_down = [
        "raft",
        "step-down",
        "--group",
        "orders/0",
        "-y",
        "-o",
        "json",
    ];
    let refused = three.ask(&ALL, &step_down);
    assert_eq!(refused.refusal(), (3, "NO_LEADER".to_owned()));
    for line in [
        &["status"][..],
        &["raft", "status", "--all"],
        &["node", "list"],
        &["topic", "describe", "orders"],
    ] {
        let ended = three.ask(&ALL, line);
        println!("{line:?}: exit {} after {:?}", ended.code, ended.took);
        assert!(ended.took < HANGS, "{ended:?}");
    }
    three.cluster.node(2).resume().unwrap();
    three.cluster.node_mut(1).begin().unwrap();
    let waited = three.run(&[
        "health",
        "--ignore",
        "disk_full",
        "--wait=100s",
        "-o",
        "json",
    ]);
    let codes = reasons_of(&waited.json());
    assert!(codes.is_empty(), "{codes:?}");
}

#[test]
fn nobody_to_ask_is_an_exit_code_of_its_own() {
    let mut three = Three::start();
    for id in ALL {
        three.cluster.node_mut(id).kill().unwrap();
    }
    for line in [
        &["status"][..],
        &["health"],
        &["raft", "status"],
        &["topic", "list"],
    ] {
        let ended = three.run(&[line, &["-o", "json"]].concat());
        assert_eq!(ended.refusal(), (3, "UNREACHABLE".to_owned()));
        assert_ne!(ended.json()["error"]["hint"], "", "{ended:?}");
    }
    let people = three.run(&["status"]);
    assert!(
        people.stdout.is_empty() && people.stderr.starts_with("error: "),
        "{people:?}"
    );
}

fn group_of(three: &Three, name: &str) -> Value {
    wait::until("a leader", CHANGE_BOUND, || {
        let status = three.data(&["raft", "status", "--group", name, "-o", "json"]);
        let group = status["groups"][0].clone();
        (!group["leader"].is_null()).then_some(group)
    })
    .unwrap()
}

fn reasons(three: &Three) -> Vec<String> {
    reasons_of(&three.run(&["health", "-o", "json"]).json())
}

fn reasons_of(health: &Value) -> Vec<String> {
    let reasons = health["data"]["reasons"].as_array().expect("reasons");
    let code = |reason: &Value| reason["code"].as_str().expect("a code").to_owned();
    reasons.iter().map(code).collect()
}

fn row(status: &Value, node: u64) -> Value {
    let rows = status["data"]["nodes"].as_array().expect("nodes");
    let found = rows.iter().find(|row| row["node_id"] == node);
    found.expect("a row for every node").clone()
}
