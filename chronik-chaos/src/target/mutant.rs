//! Bugs that can be planted into a server, to show that a scenario would find them.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use chronik_fault::{Fault, UnknownFault};
use chronik_local::Launch;
use serde::{Deserialize, Serialize};

use crate::contain::enter::MUTANT;
use crate::sys;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Mutant {
    /// Flushes to the disk succeed without happening: any server becomes one that forgot to flush.
    FlushLies,
    /// A mistake inside of a server that was built to be broken, with the feature `chaos`.
    Inside(Fault),
}

const FLUSH_LIES: &str = "flush-lies";
/// Where a server that was built to be broken looks for the name of its mistake.
const VARIABLE: &str = "CHRONIK_CHAOS_MUTANT";

impl Mutant {
    /// The same command line with the bug planted; by way of this program, where the server cannot do it itself.
    pub(super) fn plant(self, mut launch: Launch) -> io::Result<Launch> {
        match self {
            Mutant::Inside(fault) => {
                let variable = (VARIABLE.to_owned(), fault.name().to_owned());
                launch.environment.push(variable);
                Ok(launch)
            }
            Mutant::FlushLies => {
                let mut args: Vec<OsString> = vec![MUTANT.into()];
                args.push(launch.program.into());
                args.extend(launch.args);
                Ok(Launch {
                    program: std::env::current_exe()?,
                    args,
                    ..launch
                })
            }
        }
    }

    /// What a server with it does.
    pub(crate) fn says(self) -> &'static str {
        match self {
            Mutant::FlushLies => "flushes succeed without happening, by a filter of system calls",
            Mutant::Inside(fault) => fault.says(),
        }
    }

    /// Whether the server says that it has the bug. A build that cannot be broken ignores what it does not know, and
    /// a scenario that such a server passes would say nothing.
    pub(super) fn is_admitted(self, log: &Path) -> io::Result<bool> {
        match self {
            Mutant::FlushLies => Ok(true),
            Mutant::Inside(fault) => {
                let text = fs::read_to_string(log)?;
                Ok(text.contains(&format!("\"planted\":\"{}\"", fault.name())))
            }
        }
    }
}

impl FromStr for Mutant {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Mutant, UnknownFault> {
        match name {
            FLUSH_LIES => Ok(Mutant::FlushLies),
            name => name.parse().map(Mutant::Inside),
        }
    }
}

impl TryFrom<String> for Mutant {
    type Error = UnknownFault;

    fn try_from(name: String) -> Result<Mutant, UnknownFault> {
        name.parse()
    }
}

impl From<Mutant> for String {
    fn from(mutant: Mutant) -> String {
        mutant.to_string()
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mutant::FlushLies => FLUSH_LIES,
            Mutant::Inside(fault) => fault.name(),
        })
    }
}

/// Plants the bug into this process and becomes the server; returns only when that fails.
pub(crate) fn become_mutant(command: &[OsString]) -> io::Error {
    let Some((program, args)) = command.split_first() else {
        return io::ErrorKind::InvalidInput.into();
    };
    if let Err(error) = sys::lie_about_flushes() {
        return error;
    }
    Command::new(program).args(args).exec()
}
