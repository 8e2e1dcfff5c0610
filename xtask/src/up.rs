//! Builds what a user would run, and lets the operators' tool start nodes on localhost, which it leaves running.

use std::path::PathBuf;
use std::process::Command;

use chronik_local::{target_dir, workspace_dir};
use clap::Args;

use crate::{Outcome, output, step};

#[derive(Args)]
pub(crate) struct Options {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let program = step::release("chronik-server")?;
    step::release("chronikctl")?;
    let nodes = options.nodes.to_string();
    let mut up = tool();
    up.args(["cluster", "up", "--nodes", &nodes, "--program"])
        .arg(program)
        .arg("--dir")
        .arg(root_dir().join(format!("nodes-{nodes}")));
    step::run("start the nodes", &mut up)?;
    let programs = target_dir().join("release");
    output::line(&format!(
        "\nIn this shell, so that chronikctl is found: export PATH=\"$PATH:{}\"",
        programs.display()
    ));
    Ok(())
}

/// The operators' tool as a user would run it.
pub(crate) fn tool() -> Command {
    Command::new(target_dir().join("release/chronikctl"))
}

/// Where clusters of this checkout keep their data, each number of nodes in a folder of its own.
pub(crate) fn root_dir() -> PathBuf {
    workspace_dir().join(".chronik")
}
