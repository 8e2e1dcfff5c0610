//! `heal`: undoes what a killed run left behind; normally its janitor did.

use std::fs;
use std::path::{Path, PathBuf};

use super::{CommandFault, Done};
use crate::contain::UndoLog;
use crate::contain::enter::{DISKS, remove_disks};
use crate::output;

const RUNS: &str = ".chronik/chaos";

pub(crate) fn heal(run: Option<&Path>) -> Done {
    let runs: Vec<PathBuf> = match run {
        Some(run) => vec![run.to_owned()],
        None => all_runs(Path::new(RUNS)),
    };
    let mut undone = 0;
    let mut failed = None;
    for run in runs {
        match UndoLog::of(&run).finish() {
            Ok(done) => {
                undone += done.len();
                done.into_iter().for_each(output::line);
            }
            // One that cannot be healed is no excuse for the others.
            Err(error) => {
                let fault = CommandFault::file("undo", &run)(error);
                output::complain(output::chain(&fault));
                failed = Some(fault);
            }
        }
        // Namespaces took mounts and devices with them; images are plain files.
        let disks = run.join(DISKS);
        if disks.is_dir() {
            remove_disks(&run).map_err(CommandFault::file("remove", &disks))?;
            output::line(format!("removed {}", disks.display()));
            undone += 1;
        }
    }
    if let Some(fault) = failed {
        return Err(fault);
    }
    if undone == 0 {
        output::line("nothing was left behind");
    }
    Ok(0)
}

fn all_runs(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}
