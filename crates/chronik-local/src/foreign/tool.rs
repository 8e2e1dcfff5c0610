//! Runs tools that must be on the machine, and installs things exactly once.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::LocalError;

/// Fails with the command that installs `tool` when it cannot be run.
pub fn require(tool: &'static str, next_step: &'static str) -> Result<(), LocalError> {
    let is_there = Command::new(tool)
        .arg(if tool == "java" {
            "-version"
        } else {
            "--version"
        })
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if is_there {
        Ok(())
    } else {
        Err(LocalError::MissingTool { tool, next_step })
    }
}

/// Runs a command to its end; a failure carries everything it said.
pub fn run(what: &str, command: &mut Command) -> Result<String, LocalError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| LocalError::Spawn {
            program: command.get_program().into(),
            source,
        })?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    Err(LocalError::Command {
        what: what.to_owned(),
        status: output.status,
        output: stdout + &String::from_utf8_lossy(&output.stderr),
    })
}

/// Calls `install` unless `dir` already holds what `recipe` describes.
///
/// The recipe is written last, so an interrupted installation is repeated; a file lock makes processes and threads
/// that want the same thing wait for the first of them.
pub fn install_once(
    dir: &Path,
    recipe: &str,
    install: impl FnOnce() -> Result<(), LocalError>,
) -> Result<(), LocalError> {
    let parent = dir.parent().expect("an installation lies in a folder");
    fs::create_dir_all(parent).map_err(LocalError::file("create", parent))?;
    let lock_path = dir.with_extension("lock");
    let lock = File::create(&lock_path).map_err(LocalError::file("create", &lock_path))?;
    lock.lock().map_err(LocalError::file("lock", &lock_path))?;
    let recipe_path = dir.join("recipe");
    if fs::read_to_string(&recipe_path).is_ok_and(|installed| installed == recipe) {
        return Ok(());
    }
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(LocalError::file("remove", dir))?;
    }
    fs::create_dir_all(dir).map_err(LocalError::file("create", dir))?;
    install()?;
    fs::write(&recipe_path, recipe).map_err(LocalError::file("write", &recipe_path))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn installs_once_per_recipe_and_again_after_a_failure() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("thing");
        let installs = Cell::new(0);
        let install = || {
            installs.set(installs.get() + 1);
            Ok(())
        };
        install_once(&dir, "one", install).unwrap();
        install_once(&dir, "one", install).unwrap();
        assert_eq!(installs.get(), 1);
        let refused = install_once(&dir, "two", || require("no-such-tool", "make it"));
        assert!(refused.unwrap_err().to_string().contains("make it"));
        install_once(&dir, "two", install).unwrap();
        assert_eq!(installs.get(), 2);
    }

    #[test]
    fn a_failing_command_tells_its_output() {
        let failed = run(
            "the shell",
            Command::new("sh").args(["-c", "echo why; exit 3"]),
        );
        assert!(failed.unwrap_err().to_string().contains("why"));
    }
}
