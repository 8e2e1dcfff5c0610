//! Clusters that the tool starts itself.

use std::fs;

use serde_json::Value;

use super::{Ended, command, run};
use crate::support::test_dir;

#[test]
fn a_cluster_of_this_machine_is_looked_at_and_emptied() {
    let dir = test_dir();
    let ctl = |line: &[&str]| run(command(&dir).args(line), &dir);
    let up = ctl(&["cluster", "up", "--nodes", "1"]);
    let id = ctl(&["status", "-o", "json"]).json()["cluster_id"].clone();
    let log = ctl(&["cluster", "logs", "1", "-n", "1000", "-o", "jsonl"]);
    let stranger = ctl(&["cluster", "logs", "9", "-o", "jsonl"]);
    let trial = ctl(&["cluster", "reset", "--dry-run", "-o", "json"]);
    let unasked = ctl(&["cluster", "reset", "-o", "json"]);
    let still = ctl(&["status", "-o", "json"]).json()["cluster_id"].clone();
    let reset = ctl(&["cluster", "reset", "--yes", "-o", "json"]);
    let again = ctl(&["cluster", "up", "--nodes", "1"]);
    let fresh = ctl(&["status", "-o", "json"]).json()["cluster_id"].clone();
    let down = ctl(&["cluster", "down"]);
    // Nothing is left behind, whatever is wrong.
    for ended in [&up, &log, &trial, &reset, &again, &down] {
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    for line in log.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(
            line["node"] == 1 && line["line"]["level"].is_string(),
            "{line}"
        );
    }
    assert!(log.stdout.contains("listening"));
    assert_eq!(stranger.refusal(), (1, "NOT_FOUND".to_owned()));
    assert_eq!(trial.json()["kind"], "Plan");
    assert_eq!(unasked.code, 4, "{unasked:?}");
    assert!(id.is_string() && still == id && fresh.is_string() && fresh != id);
    assert!(up.stdout.contains("chronikctl -c local status"), "{up:?}");
    assert!(down.stdout.contains("the data stays in"), "{down:?}");
    for name in ["down", "reset", "logs"] {
        let missing = ctl(&["cluster", name, "--name", "nothing", "-o", "jsonl"]);
        assert_eq!(missing.refusal(), (1, "NOT_FOUND".to_owned()));
    }
    for answer in [&reset, &trial] {
        fits_its_schema(answer, &ctl);
    }
}

#[test]
fn a_newcomer_has_a_cluster_in_one_line_and_a_second_one_changes_nothing() {
    let dir = test_dir();
    let ctl = |line: &[&str]| run(command(&dir).args(line), &dir);
    let up = ctl(&["cluster", "up", "-o", "json"]);
    let pids = |cluster: &Value| -> Vec<u64> {
        let nodes = cluster["nodes"].as_array().expect("nodes");
        nodes
            .iter()
            .filter_map(|node| node["pid"].as_u64())
            .collect()
    };
    let (first, code) = (pids(&up.json()["data"]), up.code);
    let again = ctl(&["cluster", "up", "-o", "json"]);
    let status = ctl(&["status", "-o", "json"]);
    let other = ctl(&["cluster", "up", "--nodes", "2"]);
    let down = ctl(&["cluster", "down", "-o", "json"]);
    for answer in [&up, &down] {
        fits_its_schema(answer, &ctl);
    }
    // Nothing is left behind, whatever is wrong.
    assert_eq!((code, down.code), (0, 0), "{up:?} {down:?}");
    assert_eq!((first.len(), pids(&again.data())), (3, first));
    assert!(pids(&down.data()).is_empty());
    assert_eq!(status.data()["nodes"].as_array().map(Vec::len), Some(3));
    assert_eq!(other.code, 1, "{other:?}");
    let log = dir
        .path()
        .join(".local/share/chronik/clusters/local/node-1/chronik-server.log");
    assert!(fs::read_to_string(log).unwrap().contains("listening"));
}

fn fits_its_schema(ended: &Ended, ctl: &impl Fn(&[&str]) -> Ended) {
    let answer = ended.json();
    let kind = answer["kind"].as_str().expect("a kind");
    let schema = ctl(&["schema", kind]).json();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors = validator.iter_errors(&answer);
    let errors: Vec<String> = errors.map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{kind}: {errors:?}");
}
