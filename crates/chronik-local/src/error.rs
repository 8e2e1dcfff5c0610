//! What can go wrong between this machine and the processes started on it.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Every failure names the thing that failed and, where there is one, the next step.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("cannot {action} {path}")]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot start {program}")]
    Spawn {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{program} is not there; build it first: {next_step}")]
    NotBuilt {
        program: PathBuf,
        next_step: &'static str,
    },
    #[error("{tool} is missing; install it: {next_step}")]
    MissingTool {
        tool: &'static str,
        next_step: &'static str,
    },
    #[error("{what} failed with {status}:\n{output}")]
    Command {
        what: String,
        status: ExitStatus,
        output: String,
    },
    #[error("waited {bound:?} for {condition}; end of {log}:\n{tail}")]
    NotReady {
        condition: &'static str,
        bound: Duration,
        log: PathBuf,
        tail: String,
    },
    #[error("{name} ended with {status} while {condition} was awaited; end of {log}:\n{tail}")]
    Died {
        name: String,
        condition: &'static str,
        status: ExitStatus,
        log: PathBuf,
        tail: String,
    },
    #[error(transparent)]
    TimedOut(#[from] crate::wait::TimedOut),
    #[error("no free port between {first} and {last}")]
    NoFreePort { first: u16, last: u16 },
    #[error("{path} holds no result of this version; remove it, or do without --resume")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("process {pid} cannot be inspected")]
    Inspect {
        pid: u32,
        #[source]
        source: io::Error,
    },
    #[error("signal to process {pid} failed")]
    Signal {
        pid: u32,
        #[source]
        source: io::Error,
    },
}

impl LocalError {
    /// Wraps an I/O error with the path it happened on, for use with `map_err`.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
