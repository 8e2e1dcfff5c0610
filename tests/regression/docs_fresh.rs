//! The generated references say what the code says.

use std::fs;
use std::process::Command;

use chronik_local::foreign::run;
use chronik_local::workspace_dir;

use crate::support::server;

#[test]
fn the_reference_of_the_configuration_is_fresh() {
    assert_fresh("config", "docs/config.md");
}

#[test]
fn the_reference_of_the_metrics_is_fresh() {
    assert_fresh("metrics", "docs/metrics.md");
}

fn assert_fresh(noun: &str, file: &str) {
    let mut command = Command::new(server());
    let made = run("chronik-server docs", command.args([noun, "docs"])).expect("a reference");
    let kept = fs::read_to_string(workspace_dir().join(file)).expect("a kept reference");
    assert!(
        kept == made,
        "{file} is stale; write it again with: cargo xtask docs"
    );
}
