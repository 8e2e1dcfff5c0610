//! `chronik-server` as the one who knows the format: of snapshots in files, and of data directories.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chronik_admin::v1::{Restoration, SnapshotContent, SnapshotVerification};
use chronik_admin::{AdminError, Code};
use serde::de::DeserializeOwned;

use super::name::{self, Name};
use crate::commands::cluster;
use crate::exit::Failure;
use crate::session::Session;

/// Which program that is.
#[derive(Debug, clap::Args)]
pub(crate) struct Program {
    /// The server's program, instead of the one beside this program or on the PATH
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// A snapshot on a node, or in a file on this machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Anywhere {
    /// NODE/NUMBER as in `snapshot list`, or a file
    #[arg(value_parser = name::parse)]
    pub(super) snapshot: Name,
    #[command(flatten)]
    pub(super) program: Program,
}

impl Program {
    pub(super) async fn inspect(
        &self,
        session: &Session,
        file: &Path,
    ) -> Result<SnapshotContent, Failure> {
        self.ask(session, ["snapshot".into(), "inspect".into(), file.into()])
            .await
    }

    pub(super) async fn verify(
        &self,
        session: &Session,
        file: &Path,
    ) -> Result<SnapshotVerification, Failure> {
        self.ask(session, ["snapshot".into(), "verify".into(), file.into()])
            .await
    }

    pub(super) async fn restore(
        &self,
        session: &Session,
        arguments: Vec<OsString>,
    ) -> Result<Restoration, Failure> {
        self.ask(session, arguments).await
    }

    /// What it says is an answer, or a refusal; or it says neither, and somebody has to read why.
    async fn ask<T: DeserializeOwned>(
        &self,
        session: &Session,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<T, Failure> {
        let program = cluster::server_program(session, self.program.as_deref())?;
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::null());
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        let said = ran.expect("waiting does not panic").map_err(|error| {
            let message = format!("cannot run {}: {error}", program.display());
            Failure::new(Code::Internal, message)
        })?;
        if let Ok(refusal) = serde_json::from_slice::<AdminError>(&said.stdout) {
            return Err(refusal.into());
        }
        serde_json::from_slice(&said.stdout).map_err(|_| {
            let why = String::from_utf8_lossy(&said.stderr);
            let message = format!("{} failed: {}", program.display(), why.trim());
            // It was the line, or what it is configured with.
            Failure::new(Code::InvalidArgument, message)
        })
    }
}
