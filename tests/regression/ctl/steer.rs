//! Members, settings, records and restarts, as an operator steers them; and a doctor who finds the same twice.

use std::fs;

use chronik_local::wait;
use serde_json::{Value, json};

use super::{ALL, CHANGE_BOUND, Ended, Three};

const BLOCKED: i32 = 11;

#[test]
fn members_come_and_go_and_the_quorum_is_told() {
    let three = Three::start();
    let created = three.run(&["topic", "create", "orders", "-p", "1", "-r", "2", "--yes"]);
    assert_eq!(created.code, 0, "{created:?}");
    let held = replicas(&three);
    let third = ALL.iter().find(|id| !held.contains(&(**id as u64)));
    let third = third.expect("a node without a replica").to_string();
    let member = |change: &str, node: &str, group: &str| {
        let line = [
            "raft", "member", change, node, "--group", group, "--yes", "-o", "json",
        ];
        three.run(&line)
    };
    let added = member("add", &third, "orders/0").data();
    assert_eq!(added["verified"], true, "{added}");
    assert_eq!(
        (&added["before"]["tolerates"], &added["after"]["tolerates"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(replicas(&three).len(), 3);
    assert_eq!(told(&member("add", &third, "orders/0")), "VOTES_ALREADY");
    assert_eq!(
        told(&member("promote", &third, "orders/0")),
        "VOTES_ALREADY"
    );
    for node in held.iter().map(ToString::to_string) {
        let removed = member("remove", &node, "orders/0").data();
        assert_eq!(removed["verified"], true, "{removed}");
    }
    assert_eq!(replicas(&three), [third.parse::<u64>().unwrap()]);
    assert_eq!(told(&member("remove", &third, "orders/0")), "LAST_REPLICA");
    let unknown = member("add", "9", "orders/0");
    assert_eq!(unknown.refusal(), (1, "NOT_FOUND".to_owned()));

    let leader = meta(&three)["leader"].as_u64().expect("a leader");
    let voter = leader % 3 + 1;
    let other = voter.to_string();
    assert_eq!(told(&member("add", &other, "meta")), "VOTES_ALREADY");
    let demoted = member("remove", &other, "meta").data();
    assert_eq!(demoted["verified"], true, "{demoted}");
    assert_eq!(told(&member("add", &other, "meta")), "LEARNS_ALREADY");
    wait::until("a learner", CHANGE_BOUND, || {
        let views = meta(&three)["views"].clone();
        let learns = |view: &Value| {
            let learners = view["learners"].as_array().expect("learners");
            learners.iter().any(|node| *node == voter)
        };
        views
            .as_array()
            .expect("views")
            .iter()
            .any(learns)
            .then_some(())
    })
    .unwrap();
    let promoted = member("promote", &other, "meta").data();
    assert_eq!(promoted["verified"], true, "{promoted}");
    three.finish();
}

#[test]
fn settings_records_and_restarts_are_steered_and_the_doctor_finds_the_same_in_a_bundle() {
    let mut three = Three::with_topic("orders");
    settings(&three);
    records(&three);
    let safe = three.run(&["node", "restart-check", "2", "-o", "json"]);
    assert_eq!(safe.data()["safe"], true);
    let clocks = three.run(&["check", "clock", "-f", "json"]);
    assert_eq!(clocks.json()["data"]["status"], "OK", "{clocks:?}");
    let extra = three.data(&["status", "--extra", "-o", "json"])["extra"].clone();
    assert_eq!(
        extra["systems"].as_array().map(Vec::len),
        Some(3),
        "{extra}"
    );

    three.cluster.node_mut(3).kill().unwrap();
    let file = three.dir.path().join("bundle.tar.gz").display().to_string();
    let found = wait::until("a node that is missed", CHANGE_BOUND, || {
        let found = findings(&three.run(&["doctor", "-o", "json"]));
        let is_known = found.iter().any(|code| code == "NODE_UNREACHABLE");
        let is_told = found.iter().any(|code| code == "UNDER_REPLICATED");
        (is_known && is_told).then_some(found)
    })
    .unwrap();
    let bundle = three.run(&[
        "bundle", "create", "--to", &file, "--since", "1h", "-o", "json",
    ]);
    assert_eq!(bundle.code, 1, "{bundle:?}");
    let unsafe_now = three.run(&["node", "restart-check", "1", "-o", "json"]);
    assert_eq!(unsafe_now.code, BLOCKED, "{unsafe_now:?}");
    let reasons = unsafe_now.json()["data"]["reasons"].clone();
    assert_eq!(reasons[0]["check"], "WOULD_LOSE_QUORUM", "{reasons}");
    for id in ALL {
        // Nobody is asked: what is in the bundle is enough.
        _ = three.cluster.node_mut(id).kill();
    }
    let analyzed = three.run(&["bundle", "analyze", &file, "-o", "json"]);
    let again = findings(&analyzed);
    for code in ["NODE_UNREACHABLE", "UNDER_REPLICATED"] {
        assert!(
            found.contains(&code.to_owned()) && again.contains(&code.to_owned()),
            "{again:?}"
        );
    }
    let gaps = analyzed.json()["data"]["gaps"].clone();
    assert!(gaps.to_string().contains("node-3/status.json"), "{gaps}");
}

fn settings(three: &Three) {
    let of_node = three.data(&["config", "get", "--node", "2", "node.id", "-o", "json"]);
    let node_id = of_node["settings"][0].clone();
    assert_eq!(
        (&node_id["value"], &node_id["from"]),
        (&json!("2"), &json!("environment"))
    );
    let late = three.run(&[
        "config",
        "set",
        "--node",
        "2",
        "raft.tick=1s",
        "--yes",
        "-o",
        "json",
    ]);
    assert_eq!(told(&late), "NEEDS_RESTART");
    let level = three.run(&["config", "set", "--node", "2", "log.level=debug", "--yes"]);
    assert_eq!(level.code, 0, "{level:?}");
    let level = three.data(&["config", "get", "--node", "2", "log.level", "-o", "json"]);
    assert_eq!(level["settings"][0]["value"], "debug");
    assert_eq!(level["settings"][0]["from"], "operator");
    let set = [
        "config",
        "set",
        "--topic",
        "orders",
        "retention.ms=1000000",
        "--yes",
        "-o",
        "json",
    ];
    assert_eq!(three.run(&set).code, 0);
    let changed = three.data(&[
        "config",
        "get",
        "--topic",
        "orders",
        "--changed",
        "-o",
        "json",
    ]);
    assert_eq!(
        changed["settings"].as_array().map(Vec::len),
        Some(1),
        "{changed}"
    );
    let reset = [
        "config",
        "set",
        "--topic",
        "orders",
        "--reset",
        "retention.ms",
        "--yes",
    ];
    assert_eq!(three.run(&reset).code, 0);
    let diff = three.data(&["config", "diff", "-o", "json"]);
    assert_eq!(diff["settings"], json!([]));
}

fn records(three: &Three) {
    let lines = three.dir.path().join("lines");
    fs::write(&lines, "one\ntwo\nthree\n").unwrap();
    let file = lines.display().to_string();
    assert_eq!(three.run(&["produce", "orders", "--file", &file]).code, 0);
    let planned = three.data(&[
        "topic",
        "trim",
        "orders",
        "--before",
        "2",
        "--dry-run",
        "-o",
        "json",
    ]);
    assert!(
        planned["changes"][0]
            .to_string()
            .contains("2 records go for ever"),
        "{planned}"
    );
    let trimmed = three.data(&[
        "topic", "trim", "orders", "--before", "2", "--yes", "-o", "json",
    ]);
    assert_eq!(trimmed["partitions"][0]["start_after"], 2, "{trimmed}");
    assert_eq!(three.run(&["consume", "orders"]).stdout, "three\n");
    let regex = [
        "topic", "delete", "--regex", "^orders$", "--yes", "-o", "json",
    ];
    assert_eq!(told(&three.run(&regex)), "HASH_WANTED");
}

fn replicas(three: &Three) -> Vec<u64> {
    let listed = three.data(&["partition", "list", "--topic", "orders", "-o", "json"]);
    let replicas = listed["partitions"][0]["replicas"].clone();
    let replicas = replicas.as_array().expect("replicas");
    replicas.iter().filter_map(Value::as_u64).collect()
}

fn meta(three: &Three) -> Value {
    wait::until("a leader of the metadata group", CHANGE_BOUND, || {
        let status = three.data(&["raft", "status", "--group", "meta", "-o", "json"]);
        let group = status["groups"][0].clone();
        (!group["leader"].is_null()).then_some(group)
    })
    .unwrap()
}

/// The name of the check that refused.
fn told(ended: &Ended) -> String {
    assert_eq!(ended.refusal(), (BLOCKED, "BLOCKED".to_owned()));
    let message = ended.json()["error"]["message"].clone();
    let message = message.as_str().expect("a message");
    message.split(':').next().unwrap_or_default().to_owned()
}

fn findings(ended: &Ended) -> Vec<String> {
    let findings = ended.json()["data"]["findings"].clone();
    let findings = findings.as_array().expect("findings").iter();
    let code = |finding: &Value| finding["code"].as_str().expect("a code").to_owned();
    findings.map(code).collect()
}
