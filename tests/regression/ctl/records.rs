//! Topics, groups and records, by Kafka's protocol.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{ALL, Three, run};
use chronik_local::KafkaOptions;

use crate::support::{drive, is_kafka_the_target, python, test_dir};

#[test]
fn topics_are_made_changed_described_and_deleted() {
    let three = Three::start();
    let created = three.data(&[
        "topic",
        "create",
        "a",
        "b",
        "-p",
        "2",
        "-r",
        "3",
        "--config",
        "retention.ms=1000000",
        "-y",
        "-o",
        "json",
    ]);
    assert_eq!(
        created["items"],
        json!([{"name": "a", "done": true, "error": null}, {"name": "b", "done": true, "error": null}])
    );
    let again = three.run(&["topic", "create", "a", "c", "-y", "-o", "json"]);
    let items = again.json()["data"]["items"].clone();
    assert_eq!(
        (again.code, &items[0]["done"], &items[1]["done"]),
        (1, &json!(false), &json!(true)),
        "{items}"
    );
    let refused = three.run(&["topic", "create", "a", "-y", "-o", "json"]);
    assert_eq!(refused.refusal(), (1, "ALREADY_EXISTS".to_owned()));
    let set = three.data(&[
        "topic",
        "alter",
        "b",
        "--set",
        "retention.ms=2000000",
        "--reset",
        "cleanup.policy",
        "-y",
        "-o",
        "json",
    ]);
    let retention = set["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|config| config["name"] == "retention.ms")
        .unwrap()
        .clone();
    assert_eq!(
        (&retention["value"], &retention["from"]),
        (&json!("2000000"), &json!("topic"))
    );
    let wrong = three.run(&[
        "topic",
        "alter",
        "b",
        "--set",
        "retention.ms=soon",
        "-y",
        "-o",
        "json",
    ]);
    assert_eq!(wrong.refusal(), (2, "INVALID_ARGUMENT".to_owned()));
    let described = three.data(&["topic", "describe", "a", "-o", "json"]);
    assert_eq!(described["partitions"].as_array().map(Vec::len), Some(2));
    assert_eq!(described["configs"], json!({"retention.ms": "1000000"}));
    let planned = three.data(&["topic", "delete", "a", "--dry-run", "-o", "json"]);
    assert!(planned["changes"][0].as_str().unwrap().contains("for ever"));
    let names = three.run(&[
        "topic",
        "list",
        "-o",
        "tsv",
        "--columns",
        "topic",
        "--no-headers",
    ]);
    assert_eq!(names.stdout, "a\nb\nc\n");
    assert_eq!(
        three.run(&["topic", "delete", "a", "b", "c", "--yes"]).code,
        0
    );
    assert_eq!(
        three
            .run(&["topic", "describe", "a", "-o", "json"])
            .refusal(),
        (1, "NOT_FOUND".to_owned())
    );
    let none = three.run(&["topic", "list"]);
    assert_eq!((none.code, none.stderr.as_str()), (0, "no topics\n"));
    three.finish();
}

#[test]
fn what_is_produced_is_consumed_also_by_foreign_clients_words() {
    let three = Three::with_topic("orders");
    let lines = three.dir.path().join("lines");
    let many: String = (0..2500)
        .map(|number| format!("record {number}\n"))
        .collect();
    fs::write(&lines, &many).unwrap();
    let file = lines.display().to_string();
    let produced = three.data(&[
        "produce", "orders", "-k", "customer", "--file", &file, "-o", "json",
    ]);
    assert_eq!(
        (&produced["records"], &produced["failed"]),
        (&json!(2500), &json!(0))
    );
    let consumed = three.run(&["consume", "orders"]);
    assert_eq!(consumed.stdout, many);
    let some = three.run(&["consume", "orders", "--from", "2499", "-o", "jsonl"]);
    let record: Value = serde_json::from_str(&some.stdout).unwrap();
    assert_eq!(
        (&record["offset"], &record["key"], &record["value"]),
        (&json!(2499), &json!("customer"), &json!("record 2499"))
    );
    assert_eq!(
        three.run(&["consume", "orders", "-n", "2"]).stdout,
        "record 0\nrecord 1\n"
    );
    assert_eq!(
        three.run(&["consume", "orders", "--from", "end"]).stdout,
        ""
    );
    assert_eq!(
        three.run(&["consume", "orders", "-o", "json"]).refusal().0,
        2
    );
    assert_eq!(
        three.run(&["consume", "nothing", "-o", "jsonl"]).refusal(),
        (1, "NOT_FOUND".to_owned())
    );
    // A cluster that makes topics by naming does so for producers only.
    let mut command = three.command();
    command.args([
        "--server",
        &three.cluster.bootstrap(),
        "produce",
        "greetings",
    ]);
    command.stdin(Stdio::from(fs::File::open(&lines).unwrap()));
    assert_eq!(run(&mut command, &three.dir).code, 0);
    three.finish();
}

#[test]
fn folded_records_of_foreign_clients_are_unfolded() {
    let three = Three::with_topic("folded");
    let mut producer = python("produce_folded.py");
    drive(
        "a producer of every codec",
        producer.args([&three.cluster.bootstrap(), "folded"]),
    );
    let consumed = three.run(&["consume", "folded"]);
    let expected: String = ["none", "gzip", "snappy", "lz4", "zstd"]
        .iter()
        .map(|codec| format!("{}\n", codec.repeat(100)))
        .collect();
    assert_eq!(consumed.stdout, expected);
    three.finish();
}

#[test]
fn groups_show_how_far_they_are_behind() {
    let three = Three::with_topic("orders");
    let lines = three.dir.path().join("lines");
    fs::write(&lines, "one\ntwo\nthree\n").unwrap();
    let file = lines.display().to_string();
    assert_eq!(three.run(&["produce", "orders", "--file", &file]).code, 0);
    let mut consumer = python("commit_one.py");
    drive(
        "a consumer that commits one record",
        consumer.args([&three.cluster.bootstrap(), "orders", "billing"]),
    );
    let list = three.data(&["group", "list", "-o", "json"]);
    assert_eq!(list["groups"][0]["group"], "billing", "{list}");
    let lag = three.data(&["group", "lag", "-o", "json"]);
    assert_eq!(lag["groups"][0]["group"], "billing", "{lag}");
    let one = three.data(&["group", "lag", "billing", "-o", "json"]);
    assert_eq!(one["groups"], lag["groups"]);
    let group = three.data(&["group", "describe", "billing", "-o", "json"]);
    assert_eq!(
        (&group["total_lag"], &group["partitions"][0]["committed"]),
        (&json!(2), &json!(1)),
        "{group}"
    );
    let seek = ["group", "seek", "billing", "--to", "end", "-o", "json"];
    let planned = three.data(&[&seek[..], &["--dry-run"]].concat());
    assert_eq!(planned["changes"], json!(["orders/0: 1 -> 3"]));
    assert_eq!(three.run(&[&seek[..], &["--yes"]].concat()).code, 0);
    let group = three.data(&["group", "describe", "billing", "-o", "json"]);
    assert_eq!(group["total_lag"], 0, "{group}");
    assert_eq!(three.run(&["group", "delete", "billing", "--yes"]).code, 0);
    assert_eq!(
        three.data(&["group", "list", "-o", "json"])["groups"],
        json!([])
    );
    let missing = three.run(&["group", "describe", "nobody", "-o", "json"]);
    assert_eq!(missing.refusal(), (1, "NOT_FOUND".to_owned()));
    three.finish();
}

#[test]
fn leaders_and_replicas_go_where_they_are_told() {
    let three = Three::start();
    let created = ["topic", "create", "orders", "-p", "1", "-r", "2", "--yes"];
    assert_eq!(three.run(&created).code, 0);
    let partition = || {
        three.data(&["partition", "list", "--topic", "orders", "-o", "json"])["partitions"][0]
            .clone()
    };
    let nodes: Vec<u64> = partition()["replicas"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    let third = (1..=3).find(|node| !nodes.contains(node)).unwrap();
    let to = format!("{third},{}", nodes[0]);
    let unknown = three.run(&[
        "partition",
        "move",
        "orders/0",
        "--to",
        "8,9",
        "-y",
        "-o",
        "json",
    ]);
    assert_eq!(unknown.refusal(), (11, "BLOCKED".to_owned()));
    let moved = three.data(&[
        "partition",
        "move",
        "orders/0",
        "--to",
        &to,
        "--within",
        "100s",
        "-y",
        "-o",
        "json",
    ]);
    assert_eq!(moved["items"][0]["done"], true, "{moved}");
    assert_eq!(partition()["replicas"], json!([third, nodes[0]]));
    // The cluster gives it to the first replica by itself.
    three.cluster.await_first_leaders(&ALL, "orders").unwrap();
    let displaced = ["raft", "transfer", "--group", "orders/0", "--to"];
    let back = nodes[0].to_string();
    let ended = three.run(&[&displaced[..], &[&back, "--yes"]].concat());
    assert_eq!(ended.code, 0, "{ended:?}");
    let balanced = three.run(&["leaders", "balance", "--yes", "-o", "json"]);
    assert_eq!(balanced.code, 0, "{balanced:?}");
    assert_eq!(partition()["leader"], json!(third));
    three.finish();
}

#[test]
fn a_bundle_has_what_is_on_its_list_and_says_what_is_missing() {
    let mut three = Three::with_topic("orders");
    let file = three.dir.path().join("bundle.tar.gz");
    let to = file.display().to_string();
    let whole = three.data(&["bundle", "create", "--to", &to, "-o", "json"]);
    assert!(
        whole["files"]
            .as_array()
            .unwrap()
            .iter()
            .all(|file| file["error"].is_null()),
        "{whole}"
    );
    let mut tar = std::process::Command::new("tar");
    let listed = drive("the files of the bundle", tar.args(["-tzf", &to]));
    for name in ["manifest.json", "raft-status.json", "node-3/metrics.txt"] {
        assert!(listed.lines().any(|line| line == name), "{listed}");
    }
    three.cluster.node_mut(3).kill().unwrap();
    let partial = three.run(&["bundle", "create", "--to", &to, "-o", "json"]);
    assert_eq!(partial.code, 1, "{partial:?}");
    let files = partial.json()["data"]["files"].clone();
    let of_three = |file: &&Value| file["name"].as_str().unwrap().starts_with("node-3/");
    assert!(
        files
            .as_array()
            .unwrap()
            .iter()
            .filter(of_three)
            .all(|file| file["error"].is_string()),
        "{files}"
    );
}

/// Only where the drivers are proven against Apache Kafka: it takes its time to start.
#[test]
fn contexts_of_type_kafka_work_with_apache_kafka() {
    if !is_kafka_the_target() {
        return;
    }
    let dir = test_dir();
    let mut kafka = KafkaOptions::new(dir.path()).start().expect("a broker");
    let bootstrap = kafka.bootstrap();
    let lines = dir.path().join("lines");
    fs::write(&lines, "one\ntwo\n").unwrap();
    let file = lines.display().to_string();
    let ctl = |line: &[&str]| {
        let mut command = super::command(&dir);
        run(command.args(["--server", &bootstrap]).args(line), &dir)
    };
    let done = |line: &[&str]| {
        let ended = ctl(line);
        assert_eq!(ended.code, 0, "{line:?}: {ended:?}");
        ended.stdout
    };
    done(&["topic", "create", "orders", "-p", "2", "-r", "1", "--yes"]);
    done(&["produce", "orders", "-k", "customer", "--file", &file]);
    assert_eq!(done(&["consume", "orders"]), "one\ntwo\n");
    let mut consumer = python("commit_one.py");
    drive(
        "a consumer that commits one record",
        consumer.args([&bootstrap, "orders", "billing"]),
    );
    assert!(done(&["group", "describe", "billing"]).contains("lag 1"));
    done(&["group", "seek", "billing", "--to", "start", "--yes"]);
    assert!(done(&["group", "describe", "billing"]).contains("lag 2"));
    done(&["group", "list"]);
    done(&["group", "delete", "billing", "--yes"]);
    done(&[
        "topic",
        "alter",
        "orders",
        "--set",
        "retention.ms=1000000",
        "--yes",
    ]);
    done(&["topic", "add-partitions", "orders", "--total", "3", "--yes"]);
    assert!(done(&["topic", "describe", "orders"]).contains("retention.ms=1000000"));
    done(&["partition", "list"]);
    done(&["partition", "moves"]);
    done(&["leaders", "show"]);
    done(&["leaders", "balance", "--yes"]);
    done(&["topic", "delete", "orders", "--yes"]);
    assert_eq!(ctl(&["raft", "status"]).code, 2);
    kafka.stop().expect("an orderly end");
}
