//! Bugs that can be planted into any server from outside, to show that a scenario would find them.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use chronik_local::Launch;
use serde::{Deserialize, Serialize};

use crate::contain::enter::MUTANT;
use crate::sys;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mutant {
    /// Flushes to the disk succeed without happening: a server that forgot to flush.
    FlushLies,
}

impl Mutant {
    /// The same command line, by way of this program, which plants the bug and becomes the server.
    pub(super) fn plant(self, launch: Launch) -> io::Result<Launch> {
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
