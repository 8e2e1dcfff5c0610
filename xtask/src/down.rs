//! Stops the nodes that `up` started; their data stays.

use std::fs;
use std::time::Duration;

use chronik_local::terminate;

use crate::error::XtaskError;
use crate::{Outcome, output, up};

/// The server's own drain is shorter.
const STOP_BOUND: Duration = Duration::from_secs(60);

pub(crate) fn run() -> Outcome {
    let pids = up::running_pids();
    if pids.is_empty() {
        output::line("no node is up");
        return Ok(());
    }
    for pid in &pids {
        terminate(*pid, STOP_BOUND)?;
    }
    let pid_file = up::pid_file();
    fs::remove_file(&pid_file).map_err(XtaskError::file("remove", &pid_file))?;
    output::line(&format!(
        "stopped {}; the data stays in .chronik",
        up::processes(&pids)
    ));
    Ok(())
}
