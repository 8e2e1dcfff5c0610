//! Plans and operations: a node that comes, one that goes, and moves that stand still.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Instant;

use chronik_local::{probe, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{ALL, CHANGE_BOUND, Three};
use crate::cluster::try_produce;
use crate::moves::Load;
use crate::wire::Wire;

const TOPIC: &str = "moving";
const PARTITIONS: i32 = 12;
const STALE: i32 = 12;
const BLOCKED: i32 = 11;
const INTERRUPTED: i32 = 130;
/// The answer is no.
const NO: i32 = 10;

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
    let plan = four.data(&["rebalance", "plan", "--save", file, "-o", "json"]);
    let dry = four.data(&["rebalance", "apply", file, "--dry-run", "-o", "json"]);
    assert!(
        dry["changes"]
            .as_array()
            .is_some_and(|changes| changes.len() > 2)
    );
    assert_eq!(four.run(&["rebalance", "apply", file]).code, 4);
    let id = begin(&four, file, "64KiB/s");
    crawls(&four, &id);
    stands_still(&mut four, &id);
    let fast = four.run(&["rebalance", "throttle", "none", "--yes", "-o", "json"]);
    assert_eq!(fast.data()["previous_bytes_per_second"], 64 << 10);
    let resumed = four.run(&["rebalance", "resume", &id, "--yes"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    await_done(&four, &id);
    goes_back_and_comes_again(&four, file, &id, &plan["reorders"]);
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
    // No record failed, and all are there.
    load.stop();

    // Node 3 has seen it all: it was not started again.
    let told = four.ask(
        &[3],
        &["events", "--since", "10m", "--for", "1s", "-o", "jsonl"],
    );
    for kind in [
        "NODE_JOINED",
        "MOVE_BEGUN",
        "MOVE_DONE",
        "MOVES_THROTTLED",
        "MOVES_PAUSED",
        "MOVES_RESUMED",
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
    let before = replicas(&four, 0);
    let mut wanted = before.clone();
    wanted[2] = 4;
    // The tool would refuse it: node 4 does not answer.
    let moves = serde_json::json!([{ "group": "moving/0", "from": before, "to": wanted }]);
    let moves = format!("moves={moves}");
    let begun = four.run(&["api", "post", "placement/apply", &moves, "--yes"]);
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
    assert_eq!(replicas(&four, 0), before);
    let gone = four.run(&["rebalance", "wait", &id, "-o", "json"]);
    assert_eq!(gone.refusal(), (1, "NOT_FOUND".to_owned()));
    let twice = four.run(&["rebalance", "cancel", &id, "--yes", "-o", "json"]);
    assert_eq!(twice.refusal(), (1, "NOT_FOUND".to_owned()));
    half_of_it_is_rolled_back(&four, &before, &wanted);
    four.finish();
}

/// So few batches that their number alone would make a learner a voter, whom no throttle holds back.
#[test]
fn a_few_great_batches_wait_for_the_throttle_too() {
    let mut four = four();
    four.cluster.await_first_leaders(&ALL, TOPIC).unwrap();
    let from = replicas(&four, 0);
    let leader = usize::try_from(from[0]).unwrap();
    let mut wire = Wire::connect_to(four.cluster.node(leader).kafka_address());
    let great = "x".repeat(900_000);
    for _ in 0..5 {
        assert_eq!(try_produce(&mut wire, TOPIC, 0, &great), 0);
    }
    begin_the_fourth(&mut four);
    let slow = ["rebalance", "throttle", "1KiB/s", "--yes"];
    assert_eq!(four.run(&slow).code, 0);
    let id = moves(&four, &[(0, from.clone(), vec![from[0], from[1], 4])]);
    let waits = format!("the throttle of node {leader}");
    wait::until("batches that wait", CHANGE_BOUND, || {
        let waits_for = &operation(&four, &id)["moves"][0]["waits_for"];
        waits_for.as_str()?.starts_with(&waits).then_some(())
    })
    .unwrap();
    // Once nobody has these replicas any more, every node has looked at all of its groups again.
    let others = 1..usize::try_from(PARTITIONS).unwrap();
    let fewer = others.map(|partition| {
        let from = replicas(&four, partition);
        let to = from[..2].to_vec();
        (partition, from, to)
    });
    let fewer = moves(&four, &fewer.collect::<Vec<_>>());
    await_done(&four, &fewer);
    assert_eq!(operation(&four, &id)["done"], 0);
    let sent = copied_from(&four, leader);
    assert!(sent < 2 * 900_000, "{sent} bytes");

    let fast = ["rebalance", "throttle", "none", "--yes"];
    assert_eq!(four.run(&fast).code, 0);
    await_done(&four, &id);
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
        let from = replicas(&three, 0);
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
                let line = ["api", "post", "placement/apply", moves, "--yes"];
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

/// One partition only gets another leader, the other one waits for a node that is dead: both go back.
fn half_of_it_is_rolled_back(four: &Three, before: &[u64], wanted: &[u64]) {
    let led = replicas(four, 1);
    let mut turned = led.clone();
    turned.rotate_left(1);
    let moves = serde_json::json!([
        { "group": "moving/0", "from": before, "to": wanted },
        { "group": "moving/1", "from": led, "to": turned },
    ]);
    let begun = four.run(&[
        "api",
        "post",
        "placement/apply",
        &format!("moves={moves}"),
        "--yes",
    ]);
    let id = begun.json()["operation_id"].to_string();
    wait::until("half of the operation", CHANGE_BOUND, || {
        (operation(four, &id)["done"] == 1).then_some(())
    })
    .unwrap();
    assert_eq!(
        (replicas(four, 0), replicas(four, 1)),
        (wanted.to_vec(), turned)
    );
    let declined = four.run(&["rebalance", "rollback", &id]);
    assert_eq!(declined.code, 4, "{declined:?}");
    let dry = four.run(&["rebalance", "rollback", &id, "--dry-run"]);
    assert!(
        dry.stdout
            .contains("2 partitions to where they were before"),
        "{dry:?}"
    );
    let back = four.run(&["rebalance", "rollback", &id, "--yes"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(
        (replicas(four, 0), replicas(four, 1)),
        (before.to_vec(), led)
    );
    let paused = four.run(&["rebalance", "pause", &id, "--yes", "-o", "json"]);
    assert_eq!(paused.refusal(), (1, "NOT_FOUND".to_owned()));
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

/// Begins what a file says, and does not wait for it. Returns the operation.
fn begin(four: &Three, file: &str, throttle: &str) -> String {
    let begun = four.data(&[
        "rebalance",
        "apply",
        file,
        "--throttle",
        throttle,
        "--yes",
        "--no-wait",
        "-o",
        "json",
    ]);
    begun["operations"][0]["operation_id"].to_string()
}

/// Begins moves of partitions, each from some replicas to others. Returns the operation.
fn moves(four: &Three, wanted: &[(usize, Vec<u64>, Vec<u64>)]) -> String {
    let moves = wanted.iter().map(|(partition, from, to)| {
        serde_json::json!({ "group": format!("{TOPIC}/{partition}"), "from": from, "to": to })
    });
    let moves = format!("moves={}", moves.collect::<Value>());
    let begun = four.run(&["api", "post", "placement/apply", &moves, "--yes"]);
    assert_eq!(begun.code, 0, "{begun:?}");
    begun.json()["operation_id"].to_string()
}

fn await_done(four: &Three, id: &str) {
    let done = four.run(&["rebalance", "wait", id, "-o", "json"]).data();
    let done = &done["operations"][0];
    assert_eq!(done["done"], done["partitions"], "{done}");
}

fn operation(four: &Three, id: &str) -> Value {
    let status = four.data(&["rebalance", "status", id, "-o", "json"]);
    status["operations"][0].clone()
}

/// No node sends more than the throttle allows, and the status says so. Nobody else waits for that: the load goes on.
fn crawls(four: &Three, id: &str) {
    const RATE: f64 = (64 << 10) as f64;
    /// A message that is as long as messages may be, and what may leave at once.
    const LARGEST_BURST: f64 = (1 << 20) as f64 + RATE;
    let since = Instant::now();
    let before = ALL.map(|node| copied_from(four, node));
    wait::until(
        "something that waits for the throttle",
        CHANGE_BOUND,
        || {
            let operation = operation(four, id);
            let mut moves = operation["moves"].as_array().unwrap().iter();
            moves
                .any(|one| {
                    one["waits_for"]
                        .as_str()
                        .unwrap()
                        .starts_with("the throttle of node")
                })
                .then_some(())
        },
    )
    .unwrap();
    let status = four.data(&["rebalance", "status", "-o", "json"]);
    assert_eq!(status["throttle_bytes_per_second"], 64 << 10, "{status}");
    assert!(
        !status["senders"].as_array().unwrap().is_empty(),
        "{status}"
    );
    wait::until("some bytes from every node", CHANGE_BOUND, || {
        let pairs = ALL.iter().zip(before);
        let mut sent = pairs.map(|(node, before)| copied_from(four, *node) - before);
        sent.all(|bytes| bytes > 0).then_some(())
    })
    .unwrap();
    for (node, before) in ALL.into_iter().zip(before) {
        let sent = (copied_from(four, node) - before) as f64;
        let most = RATE * since.elapsed().as_secs_f64() + LARGEST_BURST;
        assert!(sent <= most, "node {node} sent {sent} of {most} bytes");
    }
}

/// What a node has sent to replicas on the move.
fn copied_from(four: &Three, node: usize) -> u64 {
    let admin = four
        .cluster
        .node(node)
        .admin_address()
        .expect("an admin door");
    let (_, page) = probe::http(admin, "/metrics").expect("metrics");
    let name = "chronik_raft_catch_up_bytes_total ";
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.expect("a counter").parse().expect("a number")
}

/// A paused operation copies nothing and finishes nothing, whoever leads and whatever starts again.
fn stands_still(four: &mut Three, id: &str) {
    let dry = four.run(&["rebalance", "pause", id, "--dry-run"]);
    assert!(dry.stdout.contains("until it is resumed"), "{dry:?}");
    let paused = four.run(&["rebalance", "pause", id, "--yes"]);
    assert_eq!(paused.code, 0, "{paused:?}");
    assert!(
        paused.stdout.contains("known to node 1,2,3,4"),
        "{paused:?}"
    );
    let figures = |operation: &Value| {
        let figure = |name: &str| operation[name].as_u64().unwrap();
        (
            figure("done"),
            figure("entries_done"),
            figure("entries_total"),
        )
    };
    // What was under way arrives. From then on, logs grow and copies do not.
    let mut seen = figures(&operation(four, id));
    let mut grows = |four: &Three, what: &'static str| {
        wait::until(what, CHANGE_BOUND, || {
            let now = figures(&operation(four, id));
            let stood = (now.0, now.1) == (seen.0, seen.1);
            if !stood {
                seen = now;
            }
            (stood && now.2 > seen.2 + 200).then_some(now)
        })
        .unwrap()
    };
    let (done, copied, _) = grows(four, "copies that do not grow any more");
    assert_eq!(
        operation(four, id)["moves"][0]["waits_for"],
        format!("operation {id} is paused")
    );
    let group = operation(four, id)["moves"][0]["group"]
        .as_str()
        .unwrap()
        .to_owned();
    for group in ["meta", &group] {
        let moved = four.run(&["raft", "step-down", "--group", group, "--yes"]);
        assert_eq!(moved.code, 0, "{moved:?}");
    }
    four.cluster.node_mut(2).stop().unwrap();
    four.cluster.node_mut(2).begin().unwrap();
    four.cluster.await_ready(&ALL).unwrap();
    let (done_later, copied_later, _) = grows(four, "logs that grow under other leaders");
    assert_eq!((done_later, copied_later), (done, copied));
}

/// Everything goes back to where it was, comes again, is brought back half-way, and comes for good.
fn goes_back_and_comes_again(four: &Three, file: &str, id: &str, reorders: &Value) {
    let verify = ["rebalance", "verify", file, "-o", "json"];
    assert_eq!(four.run(&verify).code, 0);
    let diff = four.run(&["rebalance", "diff", file, "-o", "json"]);
    assert_eq!(
        (diff.code, &diff.json()["data"]["fits"]),
        (NO, &Value::Bool(false))
    );
    let back = four.run(&["rebalance", "rollback", id, "--yes", "-o", "json"]);
    assert_eq!(back.code, 0, "{back:?}");
    let twice = four.run(&["rebalance", "rollback", id, "--yes", "-o", "json"]);
    assert_eq!(twice.refusal(), (1, "NOT_FOUND".to_owned()));
    is_back(four, file);

    let id = begin(four, file, "64KiB/s");
    wait::until("what needs no copy", CHANGE_BOUND, || {
        (operation(four, &id)["done"] == *reorders).then_some(())
    })
    .unwrap();
    let cancelled = four.run(&["rebalance", "cancel", &id, "--yes"]);
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    // What had arrived stayed.
    if *reorders != 0 {
        let rest = four.run(&["rebalance", "rollback", &id, "--yes"]);
        assert_eq!(rest.code, 0, "{rest:?}");
    }
    is_back(four, file);
    let id = begin(four, file, "none");
    await_done(four, &id);
    assert_eq!(four.run(&verify).code, 0);
}

/// Everything is where a plan found it, and the same plan would be made again.
fn is_back(four: &Three, file: &str) {
    let verified = four.run(&["rebalance", "verify", file, "-o", "json"]);
    assert_eq!(verified.code, NO, "{verified:?}");
    let verified = verified.json();
    for one in verified["data"]["moves"].as_array().unwrap() {
        assert_eq!(one["state"], "pending", "{one}");
        assert_eq!(one["present"], one["from"], "{one}");
    }
    let diff = four.run(&["rebalance", "diff", file, "-o", "json"]);
    assert_eq!(diff.code, 0, "{diff:?}");
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

fn replicas(four: &Three, partition: usize) -> Vec<u64> {
    let topic = four.run(&["api", "get", "topics/describe", "name=moving"]);
    let topic = topic.json();
    let replicas = topic["partitions"][partition]["replicas"]
        .as_array()
        .unwrap();
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
