//! Stops the nodes that `up` started; their data stays.

use std::fs;

use crate::{Outcome, output, step, up};

pub(crate) fn run() -> Outcome {
    let folders = fs::read_dir(up::root_dir()).into_iter().flatten().flatten();
    let is_cluster = |folder: &std::path::PathBuf| folder.join("cluster.json").is_file();
    let clusters: Vec<_> = folders
        .map(|folder| folder.path())
        .filter(is_cluster)
        .collect();
    if clusters.is_empty() {
        output::line("no node is up");
        return Ok(());
    }
    for cluster in clusters {
        let mut down = up::tool();
        down.args(["cluster", "down", "--dir"]).arg(&cluster);
        step::run(
            &format!("stop the nodes in {}", cluster.display()),
            &mut down,
        )?;
    }
    Ok(())
}
