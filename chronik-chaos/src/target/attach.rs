//! Somebody else's cluster: found by one address, and broken only as far as a file says how to get at its nodes.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chronik_local::{LocalError, foreign};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::contain::Promise;
use crate::scenario::Fault;
use crate::wire::{Connection, metadata};
use crate::workload::TOPIC;

const ASK_BOUND: Duration = Duration::from_secs(5);

/// Where a cluster is, and how to get at its nodes, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attachment {
    /// `HOST:PORT` of any node.
    pub(crate) bootstrap: String,
    #[serde(default)]
    pub(crate) node: BTreeMap<String, Access>,
}

/// How to get at one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Access {
    pub(crate) pid: Option<u32>,
    /// Ends the node at once; without it its process gets SIGKILL.
    pub(crate) kill_cmd: Option<String>,
    /// Starts it again. A number in the last line of what it prints is the new pid.
    pub(crate) start_cmd: Option<String>,
}

/// Why there is nothing to attach to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachFault {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} does not say where a cluster is")]
    Toml {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    #[error("nobody answers at {0}")]
    Silent(String),
    #[error("the nodes have the numbers {0:?}; this tool needs them counted from 1")]
    Numbers(Vec<i32>),
    #[error("the file names node {0}, which the cluster does not have")]
    NoSuchNode(String),
}

impl Attachment {
    /// A file, or just an address.
    pub(crate) fn find(text: &str) -> Result<Attachment, AttachFault> {
        let path = Path::new(text);
        if !path.is_file() {
            return Ok(Attachment {
                bootstrap: text.to_owned(),
                ..Attachment::default()
            });
        }
        let content = fs::read_to_string(path).map_err(|source| AttachFault::Read {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&content).map_err(|source| AttachFault::Toml {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// The addresses of all nodes, in the order of their numbers.
    pub(super) fn nodes(&self) -> Result<Vec<(SocketAddr, Foreign)>, AttachFault> {
        let addresses = self.bootstrap.to_socket_addrs();
        let mut addresses = addresses.into_iter().flatten();
        let view = addresses.find_map(|address| {
            let mut connection = Connection::open(address, ASK_BOUND).ok()?;
            metadata(&mut connection, TOPIC, ASK_BOUND).ok()
        });
        let mut brokers = view
            .ok_or_else(|| AttachFault::Silent(self.bootstrap.clone()))?
            .brokers;
        brokers.sort_by_key(|broker| broker.id);
        let numbers: Vec<i32> = brokers.iter().map(|broker| broker.id).collect();
        if !numbers.iter().copied().eq((1..).take(numbers.len())) {
            return Err(AttachFault::Numbers(numbers));
        }
        let known = |name: &&String| numbers.iter().any(|number| number.to_string() == **name);
        if let Some(stranger) = self.node.keys().find(|name| !known(name)) {
            return Err(AttachFault::NoSuchNode(stranger.clone()));
        }
        let nodes = brokers.into_iter().map(|broker| {
            let access = self.node.get(&broker.id.to_string()).cloned();
            let silent = || AttachFault::Silent(format!("node {}", broker.id));
            let address = broker.address().ok_or_else(silent)?;
            Ok((address, Foreign::new(access.unwrap_or_default())))
        });
        nodes.collect()
    }
}

/// A node that somebody else started.
#[derive(Debug)]
pub(super) struct Foreign {
    access: Access,
    is_down: bool,
}

impl Foreign {
    fn new(access: Access) -> Foreign {
        Foreign {
            access,
            is_down: false,
        }
    }

    /// What is missing to bring a fault.
    pub(super) fn lacks(&self, fault: Fault) -> Option<&'static str> {
        let Access {
            pid,
            kill_cmd,
            start_cmd,
        } = &self.access;
        match fault {
            Fault::Storm => None,
            Fault::Pause if pid.is_some() => None,
            Fault::Pause => Some("`pid` of the node in the target's file"),
            Fault::Kill | Fault::Stop | Fault::Restart
                if start_cmd.is_some() && (pid.is_some() || kill_cmd.is_some()) =>
            {
                None
            }
            Fault::Kill | Fault::Stop | Fault::Restart => {
                Some("`start_cmd`, and `pid` or `kill_cmd`, of the node in the target's file")
            }
            _ => Some("a node that this tool started"),
        }
    }

    /// What takes this fault back when nobody else does.
    pub(super) fn way_back(&self, fault: Fault) -> Option<Promise> {
        match fault {
            Fault::Pause => self.pid().map(Promise::Resume),
            Fault::Kill | Fault::Stop | Fault::Restart => {
                self.access.start_cmd.clone().map(Promise::Run)
            }
            _ => None,
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.access.pid.filter(|_| !self.is_down)
    }

    pub(super) fn is_down(&self) -> bool {
        self.is_down
    }

    pub(super) fn start(&mut self) -> Result<(), LocalError> {
        let Some(command) = self.access.start_cmd.as_ref().filter(|_| self.is_down) else {
            return Ok(());
        };
        let said = shell(command)?;
        let last = said.lines().last().unwrap_or_default();
        // The last life's number may be somebody else's by now.
        self.access.pid = last.trim().parse().ok();
        self.is_down = false;
        Ok(())
    }

    pub(super) fn kill(&mut self) -> Result<String, LocalError> {
        let how = match (&self.access.kill_cmd, self.access.pid) {
            (Some(command), _) => shell(command).map(|_| command.clone())?,
            (None, Some(pid)) => signal(pid, Signal::KILL).map(|()| format!("SIGKILL to {pid}"))?,
            (None, None) => return Ok("nothing was done".into()),
        };
        self.is_down = true;
        Ok(how)
    }

    /// SIGTERM where its process is known.
    pub(super) fn stop(&mut self) -> Result<String, LocalError> {
        let Some(pid) = self.access.pid else {
            return self.kill();
        };
        chronik_local::terminate(pid, STOP_BOUND)?;
        self.is_down = true;
        Ok(format!("{pid} ended in order"))
    }
}

const STOP_BOUND: Duration = Duration::from_secs(60);

fn shell(command: &str) -> Result<String, LocalError> {
    foreign::run(command, Command::new("sh").args(["-c", command]))
}

pub(super) fn signal(pid: u32, signal: Signal) -> Result<(), LocalError> {
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let sent = target.map_or(Err(rustix::io::Errno::SRCH), |target| {
        kill_process(target, signal)
    });
    sent.map_err(|error| LocalError::Signal {
        pid,
        source: error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_how_to_get_at_nodes_and_an_address_says_nothing_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("target.toml");
        let text = "bootstrap = \"localhost:1\"\nnode.1 = { pid = 7, start_cmd = \"true\" }\n";
        fs::write(&path, text).unwrap();
        let attachment = Attachment::find(&path.display().to_string()).unwrap();
        let foreign = Foreign::new(attachment.node["1"].clone());
        assert_eq!(foreign.lacks(Fault::Kill), None);
        assert_eq!(foreign.lacks(Fault::Pause), None);
        assert!(foreign.lacks(Fault::PowerLoss).is_some());
        let bare = Attachment::find("localhost:1").unwrap();
        assert_eq!(bare.bootstrap, "localhost:1");
        let foreign = Foreign::new(Access::default());
        assert_eq!(foreign.lacks(Fault::Storm), None);
        assert!(foreign.lacks(Fault::Kill).is_some());
    }
}
