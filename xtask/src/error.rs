//! Why a command ended badly.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use chronik_local::LocalError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum XtaskError {
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error("{step} failed ({status})")]
    Step { step: String, status: ExitStatus },
    #[error("{0}")]
    Refused(String),
    #[error("cannot {action} {path}")]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot run {program}")]
    Spawn {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("unexpected output of {tool}: {text}")]
    Unreadable { tool: &'static str, text: String },
}

impl XtaskError {
    /// Wraps an I/O error with the path it happened on, for use with `map_err`.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
