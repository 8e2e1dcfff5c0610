//! Stops the node that `up` started; its data stays.

use std::fs;
use std::time::Duration;

use chronik_local::terminate;

use crate::error::XtaskError;
use crate::{Outcome, output, up};

/// The server's own drain is shorter.
const STOP_BOUND: Duration = Duration::from_secs(60);

pub(crate) fn run() -> Outcome {
    let Some(pid) = up::running_pid() else {
        output::line("no node is up");
        return Ok(());
    };
    terminate(pid, STOP_BOUND)?;
    let pid_file = up::pid_file();
    fs::remove_file(&pid_file).map_err(XtaskError::file("remove", &pid_file))?;
    output::line(&format!(
        "process {pid} stopped; its data stays in .chronik"
    ));
    Ok(())
}
