//! Runs other programs as steps of a command.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chronik_local::{target_dir, workspace_dir};

use crate::error::XtaskError;
use crate::output;

/// `cargo` in the root of the checkout, building into the folder this program was built into.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(workspace_dir())
        .env("CARGO_TARGET_DIR", target_dir())
        .args(arguments);
    command
}

/// Runs a program whose output goes straight to the terminal.
pub(crate) fn run(step: &str, command: &mut Command) -> Result<(), XtaskError> {
    output::heading(step);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|source| spawn_error(command, source))?;
    ended(step, status)
}

/// Runs a program, shows its standard output line by line and lets `look` see every line.
pub(crate) fn run_watched(
    step: &str,
    command: &mut Command,
    mut look: impl FnMut(&str),
) -> Result<(), XtaskError> {
    output::heading(step);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| spawn_error(command, source))?;
    let stdout = child.stdout.take().expect("the pipe was asked for");
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(|source| spawn_error(command, source))?;
        output::line(&line);
        look(&line);
    }
    let status = child
        .wait()
        .map_err(|source| spawn_error(command, source))?;
    ended(step, status)
}

/// The server that was named, or this checkout's, built as a user would run it.
pub(crate) fn server(named: Option<&Path>) -> Result<PathBuf, XtaskError> {
    match named {
        // Nodes run in folders of their own.
        Some(server) => fs::canonicalize(server).map_err(XtaskError::file("find", server)),
        None => release("chronik-server"),
    }
}

/// Builds one of our programs as a user would run it.
pub(crate) fn release(program: &str) -> Result<PathBuf, XtaskError> {
    let mut build = cargo(&["build", "--release", "-p", program]);
    run(&format!("build {program} (release)"), &mut build)?;
    Ok(target_dir().join("release").join(program))
}

/// A folder in one of those under the build directory, gone when it is dropped.
pub(crate) fn temp_dir(name: &str) -> Result<tempfile::TempDir, XtaskError> {
    let within = work_dir(name)?;
    tempfile::tempdir_in(&within).map_err(XtaskError::file("make a folder in", &within))
}

/// A folder under the build directory, made if need be.
pub(crate) fn work_dir(name: &str) -> Result<PathBuf, XtaskError> {
    let dir = target_dir().join(name);
    fs::create_dir_all(&dir).map_err(XtaskError::file("create", &dir))?;
    Ok(dir)
}

fn ended(step: &str, status: std::process::ExitStatus) -> Result<(), XtaskError> {
    if status.success() {
        return Ok(());
    }
    Err(XtaskError::Step {
        step: step.to_owned(),
        status,
    })
}

fn spawn_error(command: &Command, source: std::io::Error) -> XtaskError {
    XtaskError::Spawn {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}
