//! Forms of answers, schemas, contexts, and words that make no sense.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::process::Stdio;

use serde_json::Value;

use super::{RUN_BOUND, Three, command, run};
use crate::support::test_dir;
use chronik_local::wait;

#[test]
fn answers_have_the_form_that_their_schema_says() {
    let three = Three::with_topic("orders");
    let file = three.dir.path().join("plan.json");
    let file = file.to_str().unwrap().to_owned();
    let saved = three.run(&["rebalance", "plan", "--save", &file]);
    assert_eq!(saved.code, 0, "{saved:?}");
    let lines = [
        &["status"][..],
        &["health"],
        &["raft", "status", "--all"],
        &["raft", "step-down", "--group", "orders/0", "--dry-run"],
        &["raft", "step-down", "--group", "orders/0", "--yes"],
        &["raft", "history"],
        &["leaders", "show"],
        &["partition", "list"],
        &["partition", "moves"],
        &["rebalance", "status"],
        &["rebalance", "throttle", "50MiB/s", "--dry-run"],
        &["rebalance", "throttle", "50MiB/s", "--yes"],
        &["rebalance", "throttle", "1B/s", "--yes"],
        &["rebalance", "pause", "7", "--yes"],
        &["rebalance", "resume", "7", "--yes"],
        &["rebalance", "rollback", "7", "--yes"],
        &["rebalance", "verify", &file],
        &["rebalance", "diff", &file],
        &["leaders", "balance", "--dry-run"],
        &["journal"],
        &[
            "topic",
            "add-partitions",
            "orders",
            "--total",
            "3",
            "--dry-run",
        ],
        &["node", "list"],
        &["node", "describe", "2"],
        &["node", "log-level", "2", "info", "--yes"],
        &["topic", "list"],
        &["topic", "describe", "orders"],
        &["snapshot", "create", "--yes"],
        &["raft", "snapshot", "--group", "meta", "--yes"],
        &["snapshot", "list"],
        &["snapshot", "inspect", "1/7"],
        &["topic", "create", "more", "--yes"],
        &["config", "get", "--topic", "orders"],
        &["config", "get", "--node", "2"],
        &["config", "diff", "--all"],
        &["node", "restart-check", "2"],
        &["doctor"],
        &["topic", "describe", "nothing"],
        &["group", "list"],
        &["context", "list"],
        &["context", "show"],
        &["version", "--nodes"],
    ];
    let mut schemas: BTreeMap<String, jsonschema::Validator> = BTreeMap::new();
    for line in lines {
        let json = three.run(&[line, &["-o", "json"]].concat());
        let answer = json.json();
        let kind = answer["kind"].as_str().expect("a kind").to_owned();
        let validator = schemas.entry(kind.clone()).or_insert_with(|| {
            let schema = three.run(&["schema", &kind]);
            jsonschema::validator_for(&schema.json()).expect("a schema")
        });
        let errors: Vec<String> = validator
            .iter_errors(&answer)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{line:?}: {errors:?}");
        for form in ["table", "wide", "jsonl", "yaml", "tsv"] {
            let other = three.run(&[line, &["-o", form]].concat());
            let repeated = line.contains(&"create");
            assert!(
                other.code == json.code || repeated,
                "{line:?} -o {form}: {other:?}"
            );
        }
    }
    three.finish();
}

#[test]
fn scripts_choose_columns_and_readers_may_leave() {
    let three = Three::start();
    let nodes = three.run(&[
        "node",
        "list",
        "-o",
        "tsv",
        "--columns",
        "node,state",
        "--no-headers",
    ]);
    assert_eq!(nodes.stdout, "1\tready\n2\tready\n3\tready\n");
    let unknown = three.run(&["node", "list", "--columns", "colour"]);
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("--columns node,state"),
        "{unknown:?}"
    );
    let painted = three.run(&["status", "--color", "always"]);
    assert!(painted.stdout.contains("\x1b["));
    assert!(!three.run(&["status"]).stdout.contains('\x1b'));
    // The reader takes one line of an endless answer and goes.
    let mut child = three
        .command()
        .args(["--admin", &three.admin(1), "status", "--watch=10ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 20]).unwrap();
    drop(out);
    let ended = wait::until("the end of a watch", RUN_BOUND, || {
        child.try_wait().unwrap()
    });
    assert_eq!(ended.unwrap().code(), Some(0));
    three.finish();
}

#[test]
fn words_that_make_no_sense_end_with_two() {
    let dir = test_dir();
    let lines = [
        &["stats"][..],
        &["raft"],
        &["raft", "step-down"],
        &["status", "-w", "-o", "json"],
        &["raft", "step-down", "--group", "meta", "-w"],
        &["health", "--wait=soon"],
        &["schema", "Colour"],
        &["-c", "nothing", "status"],
        &["-c", "nothing", "topic", "list"],
        &["context", "use", "nothing"],
        &["context", "add", "empty"],
        &["--server", "127.0.0.1:1", "raft", "status"],
        &["api", "get", "raft/status", "group"],
        &["rebalance", "throttle", "fast"],
        &["rebalance", "apply", "plan.json", "--throttle", "50"],
        &["rebalance", "pause"],
        &["rebalance", "verify", "no-such-plan.json"],
        &["rebalance", "diff", "no-such-plan.json"],
        &["snapshot", "delete", "backup.snap"],
        &["snapshot", "restore", "backup.snap", "--data-dir", "d"],
    ];
    for line in lines {
        let ended = run(command(&dir).args(line), &dir);
        assert_eq!(ended.code, 2, "{line:?}: {ended:?}");
        assert!(
            ended.stdout.is_empty() != ended.stderr.is_empty(),
            "{line:?}: {ended:?}"
        );
    }
    let both = run(
        command(&dir)
            .env("CHRONIKCTL_ADMIN", "127.0.0.1:1")
            .args(["-c", "a", "status"]),
        &dir,
    );
    assert_eq!(both.code, 2);
    assert!(both.stderr.contains("unset CHRONIKCTL_ADMIN"), "{both:?}");
}

#[test]
fn contexts_pin_their_cluster_and_protect_it() {
    let three = Three::with_topic("orders");
    let (admin, bootstrap) = (three.admin(1), three.cluster.bootstrap());
    let ctl = |line: &[&str]| run(three.command().args(line), &three.dir);
    let add = [
        "context",
        "add",
        "production",
        "--protect",
        "--admin",
        &admin,
        "--server",
        &bootstrap,
    ];
    assert_eq!(ctl(&add).code, 0);
    let status = ctl(&["status", "-o", "json"]);
    assert_eq!(status.code, 0, "{status:?}");
    let shown: Value = ctl(&["context", "show", "-o", "json"]).data();
    assert_eq!(
        shown["cluster_id"],
        status.json()["cluster_id"],
        "it is pinned at first use"
    );
    let order = ["raft", "step-down", "--group", "meta"];
    assert_eq!(ctl(&[&order[..], &["--yes"]].concat()).code, 11);
    assert_eq!(
        ctl(&[&order[..], &["--confirm", "staging"]].concat()).code,
        11
    );
    let confirmed = ctl(&[&order[..], &["--confirm", "production"]].concat());
    assert_eq!(confirmed.code, 0, "{confirmed:?}");
    let journal = three.dir.path().join(".local/state/chronik/journal.jsonl");
    let journal = fs::read_to_string(journal).unwrap();
    let entry: Value = serde_json::from_str(journal.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&entry["context"], &entry["outcome"]),
        (&Value::from("production"), &Value::from("exit 0"))
    );
    let file = three.dir.path().join(".config/chronik/config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let id = status.json()["cluster_id"].as_str().unwrap().to_owned();
    fs::write(&file, text.replace(&id, "another-cluster")).unwrap();
    let wrong = ctl(&["status", "-o", "json"]);
    assert_eq!(wrong.refusal(), (11, "WRONG_CLUSTER".to_owned()));
    let kafka = ["context", "add", "plain", "--kafka", "--server", &bootstrap];
    assert_eq!(ctl(&kafka).code, 0);
    let topics = ctl(&[
        "-c",
        "plain",
        "topic",
        "list",
        "-o",
        "tsv",
        "--columns",
        "topic",
        "--no-headers",
    ]);
    assert_eq!(topics.stdout, "orders\n");
    assert_eq!(ctl(&["-c", "plain", "raft", "status"]).code, 2);
    three.finish();
}
