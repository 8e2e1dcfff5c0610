//! Plans and operations: a node that comes, one that goes, and moves that stand still.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use chronik_local::wait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{ALL, CHANGE_BOUND, Three};
use crate::moves::Load;

const TOPIC: &str = "moving";
const PARTITIONS: i32 = 12;
const STALE: i32 = 12;
const BLOCKED: i32 = 11;
const INTERRUPTED: i32 = 130;

#[test]
fn a_fourth_node_gets_its_share_and_another_one_leaves_while_clients_write() {
    let mut four = four();
    let mut load = Load::start(&four.cluster, TOPIC, PARTITIONS);
    load.await_line("steady");
    // With three nodes for three replicas nobody can go.
    let refused = four.run(&["node", "drain", "2", "--yes", "-o", "json"]);
    assert_eq!(refused.refusal(), (BLOCKED, "BLOCKED".to_owned()));
    assert!(refused.stdout.contains("NO_ROOM"), "{refused:?}");

    begin_the_fourth(&mut four);
    let file = four.dir.path().join("plan.json");
    let file = file.to_str().unwrap();
    let plan = four.data(&["rebalance", "plan", "--save", file, "-o", "json"]);
    // Every node holds 9 of 36 replicas then, and nothing moves between the old ones.
    assert_eq!(plan["copies"], 9, "{plan}");
    for one in plan["moves"].as_array().unwrap() {
        let comes = strangers(&one["to"], &one["from"]);
        assert!(comes.is_empty() || comes == [4], "{one}");
    }

    refuses_what_is_stale(&four, &plan, file);
    four.data(&["rebalance", "plan", "--save", file, "-o", "json"]);
    let dry = four.data(&["rebalance", "apply", file, "--dry-run", "-o", "json"]);
    assert!(
        dry["changes"]
            .as_array()
            .is_some_and(|changes| changes.len() > 2)
    );
    assert_eq!(four.run(&["rebalance", "apply", file]).code, 4);
    let begun = four.data(&[
        "rebalance",
        "apply",
        file,
        "--yes",
        "--no-wait",
        "-o",
        "json",
    ]);
    let id = begun["operations"][0]["operation_id"].to_string();
    let done = four.run(&["rebalance", "wait", &id, "-o", "json"]).data();
    let done = &done["operations"][0];
    assert_eq!(done["done"], done["partitions"], "{done}");
    let again = four.data(&["rebalance", "plan", "-o", "json"]);
    assert_eq!(again["moves"], Value::Array(Vec::new()));
    assert!(
        again["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|node| node["replicas_after"] == 9)
    );

    let holds = four.run(&["node", "decommission", "1", "--yes", "-o", "json"]);
    assert_eq!(holds.refusal(), (BLOCKED, "BLOCKED".to_owned()));
    assert!(holds.stdout.contains("STILL_HOLDS"), "{holds:?}");
    let drained = four.run(&["node", "drain", "1", "--yes"]);
    assert_eq!(drained.code, 0, "{drained:?}");
    let left = four.run(&["node", "decommission", "1", "--yes", "-o", "json"]);
    assert_eq!(left.code, 0, "{left:?}");
    // The one that left is the last to know.
    let nodes = four.ask(&[2], &["node", "list", "-o", "json"]).data();
    assert_eq!(nodes["nodes"].as_array().map(Vec::len), Some(3));
    four.cluster.node_mut(1).stop().unwrap();
    load.say("fault");
    load.await_line("recovered");
    // No record failed.
    load.stop();

    let told = four.ask(
        &[2],
        &["events", "--since", "10m", "--for", "1s", "-o", "jsonl"],
    );
    for kind in [
        "NODE_JOINED",
        "MOVE_BEGUN",
        "MOVE_DONE",
        "LEADER_CHANGED",
        "NODE_LEFT",
    ] {
        assert!(told.stdout.contains(kind), "no {kind} in {told:?}");
    }
    four.finish();
}

#[test]
fn a_move_that_stands_still_says_why_and_is_brought_back() {
    let mut four = four();
    begin_the_fourth(&mut four);
    four.cluster.node_mut(4).kill().unwrap();
    let before = replicas(&four);
    let mut wanted = before.clone();
    wanted[2] = 4;
    // The tool would refuse it: node 4 does not answer.
    let moves = serde_json::json!([{ "group": "moving/0", "from": before, "to": wanted }]);
    let moves = format!("moves={moves}");
    let begun = four.run(&["api", "post", "placement/apply", &moves]);
    let id = begun.json()["operation_id"].to_string();
    assert_eq!(begun.code, 0, "{begun:?}");
    wait::until("a cause", CHANGE_BOUND, || {
        let status = four.data(&["rebalance", "status", &id, "-o", "json"]);
        let waits_for = &status["operations"][0]["moves"][0]["waits_for"];
        (waits_for == "node 4 does not answer").then_some(())
    })
    .unwrap();
    let late = four.run(&["rebalance", "wait", &id, "--within", "3s"]);
    assert_eq!(late.code, 10, "{late:?}");
    goes_on_without_its_watcher(&four, &id);

    let dry = four.run(&["rebalance", "cancel", &id, "--dry-run"]);
    assert_eq!(dry.code, 0, "{dry:?}");
    let back = four.run(&["rebalance", "cancel", &id, "--yes"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(replicas(&four), before);
    let gone = four.run(&["rebalance", "wait", &id, "-o", "json"]);
    assert_eq!(gone.refusal(), (1, "NOT_FOUND".to_owned()));
    let twice = four.run(&["rebalance", "cancel", &id, "--yes", "-o", "json"]);
    assert_eq!(twice.refusal(), (1, "NOT_FOUND".to_owned()));
    four.finish();
}

#[test]
fn a_drained_node_gets_nothing_until_it_is_undrained() {
    let mut three = Three::start();
    for (topic, partitions) in [("moving", "4"), ("still", "2")] {
        let line = [
            "topic", "create", topic, "-p", partitions, "-r", "2", "--yes",
        ];
        assert_eq!(three.run(&line).code, 0);
    }
    let dry = three.run(&["node", "drain", "3", "--dry-run"]);
    assert!(dry.stdout.contains("gets no replicas any more"), "{dry:?}");
    assert!(!is_drained(&three, 1));
    let drained = three.run(&["node", "drain", "3", "--yes"]);
    assert_eq!(drained.code, 0, "{drained:?}");
    assert!(drained.stdout.contains("node 3 is drained"), "{drained:?}");
    // Doing it twice is doing it once.
    assert_eq!(three.run(&["node", "drain", "3", "--yes"]).code, 0);

    // Whoever learns the catalog anew knows of it, from its own disk or from others.
    three.cluster.node_mut(2).stop().unwrap();
    three.cluster.node_mut(2).begin().unwrap();
    three.cluster.await_ready(&ALL).unwrap();
    wait::until(
        "the mark on a node that started again",
        CHANGE_BOUND,
        || is_drained(&three, 2).then_some(()),
    )
    .unwrap();
    let listed = three.run(&["node", "list"]);
    assert!(listed.stdout.contains("ready, DRAINED"), "{listed:?}");

    let new = ["topic", "create", "new", "-p", "6", "-r", "2", "--yes"];
    assert_eq!(three.run(&new).code, 0);
    let plan = three.data(&["rebalance", "plan", "-o", "json"]);
    assert_eq!(held_by(&plan, 3), 0, "{plan}");
    assert_eq!(plan["moves"], Value::Array(Vec::new()));
    let three_of_two = ["topic", "create", "wide", "-r", "3", "--yes"];
    let refused = three.run(&three_of_two);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.stderr.contains("the cluster has 2"), "{refused:?}");
    let by_hand = three.run(&["partition", "move", "still/0", "--to", "1,3", "--yes"]);
    assert!(by_hand.stderr.contains("node 3 is drained"), "{by_hand:?}");
    let why = three.run(&["explain", "node", "3"]);
    assert!(why.stdout.contains("DRAINED"), "{why:?}");

    let undrained = three.run(&["node", "undrain", "3", "--yes"]);
    assert_eq!(undrained.code, 0, "{undrained:?}");
    assert!(!is_drained(&three, 1));
    let plan = three.data(&["rebalance", "plan", "-o", "json"]);
    assert_eq!(held_by(&plan, 3), 8, "{plan}");
    three.finish();
}

#[test]
fn of_two_operators_with_the_same_plan_one_is_refused() {
    let three = Three::with_topic("moving");
    for round in 0..8 {
        let from = replicas(&three);
        let turn = |by: usize| {
            let mut to = from.clone();
            to.rotate_left(by);
            let moves = serde_json::json!([{ "group": "moving/0", "from": from, "to": to }]);
            format!("moves={moves}")
        };
        let (one, other) = (turn(1), turn(2));
        let (three, lines) = (&three, [(1, &one), (2, &other)]);
        // Both ask another node, which finds the layout as the plan expects it.
        let ended = std::thread::scope(|scope| {
            let apply = |(node, moves): (usize, &String)| {
                let line = ["api", "post", "placement/apply", moves];
                three.ask(&[node], &line)
            };
            let begun = lines.map(|line| scope.spawn(move || apply(line)));
            begun.map(|operator| operator.join().unwrap())
        });
        let mut codes = ended.each_ref().map(|ended| ended.code);
        codes.sort_unstable();
        assert_eq!(codes, [0, 1], "round {round}: {ended:?}");
        let loser = ended.iter().find(|ended| ended.code == 1).unwrap();
        assert_eq!(loser.json()["code"], "STALE", "{loser:?}");
        let winner = ended.iter().find(|ended| ended.code == 0).unwrap();
        let id = winner.json()["operation_id"].to_string();
        let line = ["wait", "operation", &id, "--within", "1m"];
        assert_eq!(three.run(&line).code, 0);
        // The next round asks nodes 1 and 2, which have to know of this one.
        wait::until("one layout on both nodes", CHANGE_BOUND, || {
            let at = |node| {
                let line = ["api", "get", "topics/describe", "name=moving"];
                three.ask(&[node], &line).json()["partitions"][0]["replicas"].clone()
            };
            (at(1) == at(2)).then_some(())
        })
        .unwrap();
    }
    three.finish();
}

fn four() -> Three {
    let four = Three::with_later(1);
    let partitions = PARTITIONS.to_string();
    let line = [
        "topic",
        "create",
        TOPIC,
        "-p",
        &partitions,
        "-r",
        "3",
        "--yes",
    ];
    let created = four.run(&line);
    assert_eq!(created.code, 0, "{created:?}");
    four
}

fn begin_the_fourth(four: &mut Three) {
    four.cluster.node_mut(4).begin().unwrap();
    wait::until("four nodes that answer", CHANGE_BOUND, || {
        let nodes = four.data(&["node", "list", "-o", "json"]);
        let there = nodes["nodes"].as_array()?.iter();
        let there = there.filter(|node| node["status"]["ready"] == true);
        (there.count() == ALL.len() + 1).then_some(())
    })
    .unwrap();
    // Whoever was asked may have met it before the one that is asked next.
    wait::until("a plan with the fourth node", CHANGE_BOUND, || {
        let asked = ALL.iter().all(|id| {
            let plan = four
                .ask(&[*id], &["rebalance", "plan", "-o", "json"])
                .data();
            let mut nodes = plan["nodes"].as_array().into_iter().flatten();
            nodes.any(|node| node["node_id"] == 4 && node["reachable"] == true)
        });
        asked.then_some(())
    })
    .unwrap();
}

/// Another hand changes one of the partitions: the plan is refused as a whole.
fn refuses_what_is_stale(four: &Three, plan: &Value, file: &str) {
    let group = plan["moves"][0]["group"].as_str().unwrap();
    let from = &plan["moves"][0]["from"];
    let turned = format!("{},{},{}", from[1], from[0], from[2]);
    let moved = four.run(&["partition", "move", group, "--to", &turned, "--yes"]);
    assert_eq!(moved.code, 0, "{moved:?}");
    let stale = four.run(&["rebalance", "apply", file, "--yes", "-o", "json"]);
    assert_eq!(stale.refusal(), (STALE, "STALE".to_owned()));
    assert!(stale.stdout.contains(group), "{stale:?}");
    let status = four.data(&["rebalance", "status", "-o", "json"]);
    assert_eq!(status["operations"], Value::Array(Vec::new()));
}

fn goes_on_without_its_watcher(four: &Three, id: &str) {
    let mut watcher = four.command();
    watcher.args(["--admin", &four.admin(1), "rebalance", "wait", id]);
    let watcher = watcher.stderr(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut watcher = watcher.unwrap();
    let mut said = BufReader::new(watcher.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    // From here on it watches, and knows what to say at the end.
    said.read_line(&mut line).unwrap();
    let pid = Pid::from_raw(watcher.id().cast_signed()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ended = wait::until("the end of the watcher", CHANGE_BOUND, || {
        watcher.try_wait().unwrap()
    });
    assert_eq!(ended.unwrap().code(), Some(INTERRUPTED));
    said.read_to_string(&mut line).unwrap();
    let next = format!("chronikctl rebalance wait {id}");
    assert!(line.contains(&next), "{line}");
}

fn replicas(four: &Three) -> Vec<u64> {
    let topic = four.run(&["api", "get", "topics/describe", "name=moving"]);
    let topic = topic.json();
    let replicas = topic["partitions"][0]["replicas"].as_array().unwrap();
    replicas.iter().map(|node| node.as_u64().unwrap()).collect()
}

fn strangers(to: &Value, from: &Value) -> Vec<u64> {
    let known = from.as_array().unwrap();
    let comes = to
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| !known.contains(node));
    comes.map(|node| node.as_u64().unwrap()).collect()
}

fn is_drained(three: &Three, asked: usize) -> bool {
    let listed = three.ask(&[asked], &["node", "list", "-o", "json"]).data();
    let mut nodes = listed["nodes"].as_array().unwrap().iter();
    nodes.any(|node| node["node_id"] == 3 && node["drained"] == true)
}

fn held_by(plan: &Value, node: u64) -> u64 {
    let mut shares = plan["nodes"].as_array().unwrap().iter();
    let share = shares.find(|share| share["node_id"] == node).unwrap();
    share["replicas_before"].as_u64().unwrap()
}
