//! Waiting until something is so, and asking why it is not.

use std::io::Write;
use std::process::{Command, Stdio};

use chronik_local::wait;
use serde_json::Value;

use super::{ALL, CHANGE_BOUND, Three};

const NO: i32 = 10;

#[test]
fn what_is_awaited_comes_or_is_explained() {
    let mut three = Three::with_topic("orders");
    for line in [
        &["wait", "leader", "orders/0"][..],
        &["wait", "leader", "meta"],
        &["wait", "caught-up", "orders/0", "--within", "30s"],
        &["wait", "healthy", "--within", "30s"],
        &["config", "diff"],
    ] {
        let ended = three.run(line);
        assert_eq!(ended.code, 0, "{line:?} {ended:?}");
    }
    let unknown = three.run(&["wait", "leader", "nothing/0", "-o", "json"]);
    assert_eq!(unknown.refusal(), (1, "NOT_FOUND".to_owned()));
    assert_eq!(
        codes(&three, &["explain", "partition", "orders/0"]),
        [""; 0]
    );
    assert_eq!(codes(&three, &["explain", "node", "3"]), [""; 0]);

    three.cluster.node_mut(3).kill().unwrap();
    await_codes(&three, &["explain", "node", "3"], "NODE_UNREACHABLE");
    let partition = ["explain", "partition", "orders/0"];
    await_codes(&three, &partition, "UNDER_REPLICATED");
    assert!(codes(&three, &partition).contains(&"NODE_UNREACHABLE".to_owned()));
    let late = three.run(&["wait", "caught-up", "--within", "1s"]);
    assert_eq!(late.code, NO, "{late:?}");

    three.cluster.node_mut(2).kill().unwrap();
    await_codes(&three, &partition, "LEADERLESS");
    let why = three.run(&partition);
    let arithmetic = "2 of 3 voters are needed, 1 answer";
    assert!(why.stdout.contains(arithmetic), "{why:?}");
    for id in [2, 3] {
        three.cluster.node_mut(id).begin().unwrap();
    }
    let again = three.run(&["wait", "healthy", "--within", "100s"]);
    assert_eq!(again.code, 0, "{again:?}");
    three.finish();
}

#[test]
fn a_consumer_group_that_nobody_reads_for_says_so() {
    let three = Three::with_topic("orders");
    let mut produce = three.command();
    produce.args(["--server", &three.cluster.bootstrap(), "produce", "orders"]);
    let produce = produce.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut produce = produce.spawn().unwrap();
    let mut lines = produce.stdin.take().unwrap();
    lines.write_all(b"one\ntwo\nthree\n").unwrap();
    drop(lines);
    wait::until("the end of produce", CHANGE_BOUND, || {
        produce.try_wait().unwrap()
    })
    .unwrap();
    let seek = [
        "group", "seek", "billing", "--topic", "orders", "--to", "start", "--yes",
    ];
    let sought = three.run(&seek);
    assert_eq!(sought.code, 0, "{sought:?}");
    let line = ["explain", "group", "billing", "--between", "100ms"];
    assert_eq!(codes(&three, &line), ["NO_MEMBER"]);
    three.finish();
}

#[test]
fn a_shell_completes_what_the_cluster_knows() {
    let three = Three::with_topic("orders");
    let (admin, server) = (three.admin(1), three.cluster.bootstrap());
    let complete = |words: &[&str]| {
        let mut line = vec!["chronikctl", "--admin", &admin, "--server", &server];
        line.extend(words);
        let mut shell: Command = three.command();
        shell.env("CHRONIKCTL_COMPLETE", "bash");
        shell.env("_CLAP_COMPLETE_INDEX", (line.len() - 1).to_string());
        shell.env("_CLAP_IFS", "\n");
        let ended = super::run(shell.arg("--").args(&line), &three.dir);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.stdout
    };
    assert_eq!(complete(&["topic", "describe", "or"]).trim(), "orders");
    assert_eq!(
        complete(&["consume", ""])
            .lines()
            .filter(|word| *word == "orders")
            .count(),
        1
    );
    let partitions = complete(&["explain", "partition", ""]);
    assert!(
        partitions.contains("orders/0") && partitions.contains("meta"),
        "{partitions}"
    );
    let nodes = complete(&["node", "drain", ""]);
    assert!(
        ["1", "2", "3"]
            .iter()
            .all(|node| nodes.lines().any(|line| line == *node)),
        "{nodes}"
    );
    assert!(complete(&["top"]).contains("topic"));
    three.finish();
}

fn codes(three: &Three, line: &[&str]) -> Vec<String> {
    let line: Vec<&str> = line.iter().copied().chain(["-o", "json"]).collect();
    let causes = three.ask(&ALL, &line).data()["causes"].clone();
    let causes = causes.as_array().unwrap().iter();
    let code = |cause: &Value| cause["code"].as_str().unwrap().to_owned();
    causes.map(code).collect()
}

fn await_codes(three: &Three, line: &[&str], code: &'static str) {
    wait::until(code, CHANGE_BOUND, || {
        codes(three, line)
            .iter()
            .any(|found| found == code)
            .then_some(())
    })
    .unwrap();
}
