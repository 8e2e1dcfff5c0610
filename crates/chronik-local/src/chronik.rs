//! The command line of a Chronik node.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::LocalError;
use crate::node::Node;
use crate::ports::free_port;
use crate::process::Launch;

/// Recovery of a full disk on a busy machine is the longest thing a start may wait for.
const READY_BOUND: Duration = Duration::from_secs(60);

/// How to start a node: a binary, a folder of its own, and settings by their configuration keys.
#[derive(Clone, Debug)]
pub struct ChronikOptions {
    program: PathBuf,
    dir: PathBuf,
    settings: Vec<(String, String)>,
}

impl ChronikOptions {
    /// `dir` holds the data directory and the log file; it must exist.
    pub fn new(program: impl Into<PathBuf>, dir: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            dir: dir.into(),
            settings: Vec::new(),
        }
    }

    /// Sets a key of the configuration, for example `group.initial_rebalance_delay`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts the node on free loopback ports and waits until it is ready.
    pub fn start(&self) -> Result<Node, LocalError> {
        let kafka = loopback(free_port()?);
        let peer = loopback(free_port()?);
        let admin = loopback(free_port()?);
        let launch = self.launch(kafka, peer, admin)?;
        let data_dir = self.dir.join("data");
        Node::start(launch, kafka, Some(admin), data_dir, READY_BOUND)
    }

    /// The command line alone, for a node that outlives the program that starts it.
    pub fn launch(
        &self,
        kafka: SocketAddr,
        peer: SocketAddr,
        admin: SocketAddr,
    ) -> Result<Launch, LocalError> {
        if !self.program.is_file() {
            return Err(LocalError::NotBuilt {
                program: self.program.clone(),
                next_step: "cargo build -p chronik-server",
            });
        }
        let flag = |name: &str, value: String| [name.into(), value.into()];
        let data_dir = self.dir.join("data");
        let args = [
            flag("--kafka-listen", kafka.to_string()),
            flag("--peer-listen", peer.to_string()),
            flag("--admin-listen", admin.to_string()),
            flag("--node-data-dir", data_dir.display().to_string()),
        ];
        Ok(Launch {
            name: "chronik-server".into(),
            program: self.program.clone(),
            args: args.into_iter().flatten().collect(),
            environment: self
                .settings
                .iter()
                .map(|(key, value)| (environment_name(key), value.clone()))
                .collect(),
            working_dir: self.dir.clone(),
            log: log_path(&self.dir),
        })
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("chronik-server.log")
}

/// `raft.election_ticks` is `CHRONIK_RAFT_ELECTION_TICKS`.
fn environment_name(key: &str) -> String {
    format!("CHRONIK_{}", key.replace('.', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_travel_under_their_documented_names() {
        assert_eq!(
            environment_name("group.initial_rebalance_delay"),
            "CHRONIK_GROUP_INITIAL_REBALANCE_DELAY"
        );
    }

    #[test]
    fn a_missing_binary_names_the_command_that_builds_it() {
        let dir = tempfile::tempdir().unwrap();
        let refused = ChronikOptions::new("/nowhere/chronik-server", dir.path()).start();
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("cargo build -p chronik-server"));
    }
}
