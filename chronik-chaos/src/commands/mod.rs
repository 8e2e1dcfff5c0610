//! One file for each verb of the command line.

pub(crate) mod campaign;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod drill;
pub(crate) mod fuzz;
pub(crate) mod heal;
pub(crate) mod hosts;
pub(crate) mod inside;
pub(crate) mod launch;
pub(crate) mod list;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod selftest;
pub(crate) mod shrink;
pub(crate) mod trace;

use std::io;
use std::path::PathBuf;

use chronik_local::LocalError;

use crate::run::RunFault;
use crate::scenario::ScenarioFault;
use crate::verdict::JudgeFault;

/// The command could not do its work; what the cluster did is no error of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandFault {
    #[error(transparent)]
    Scenario(#[from] ScenarioFault),
    #[error("{0}")]
    Usage(String),
    #[error("cannot {action} {path}")]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the processes of a run could not be started")]
    Processes(#[source] io::Error),
    #[error("the run ended without a result; its folder is {0}")]
    NoResult(PathBuf),
    #[error(transparent)]
    Run(#[from] RunFault),
    #[error(transparent)]
    Judge(#[from] JudgeFault),
    #[error(transparent)]
    Local(#[from] LocalError),
}

impl CommandFault {
    /// 2 is the command line's own code; everything else here means that nothing was run.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            CommandFault::Scenario(_) | CommandFault::Usage(_) => 2,
            _ => 3,
        }
    }

    fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| CommandFault::File {
            action,
            path,
            source,
        }
    }
}

/// An exit code, or why there is nothing to say.
pub(crate) type Done = Result<u8, CommandFault>;
