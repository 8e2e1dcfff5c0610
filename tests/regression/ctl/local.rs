//! Clusters that the tool starts itself.

use std::fs;

use serde_json::Value;

use super::{command, run};
use crate::support::test_dir;

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
