//! The command line of a Chronik node.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::Cluster;
use crate::error::LocalError;
use crate::host::Host;
use crate::node::Node;
use crate::ports::free_port;
use crate::process::Launch;

/// Recovery of a full disk on a busy machine is the longest thing a start may wait for.
const READY_BOUND: Duration = Duration::from_secs(60);

/// Where a node listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doors {
    pub kafka: SocketAddr,
    pub peer: SocketAddr,
    pub admin: SocketAddr,
}

/// How to start a node: a binary, a folder of its own, and settings by their configuration keys.
#[derive(Clone, Debug)]
pub struct ChronikOptions {
    program: PathBuf,
    dir: PathBuf,
    settings: Vec<(String, String)>,
    /// Keys that differ between the nodes of a cluster, and what stands before the number of the node.
    numbered: Vec<(String, String)>,
}

impl Doors {
    /// Loopback ports that nobody listens on now.
    pub fn free() -> Result<Self, LocalError> {
        Ok(Self {
            kafka: loopback(free_port()?),
            peer: loopback(free_port()?),
            admin: loopback(free_port()?),
        })
    }

    /// All three, in the order kafka, peer, admin.
    pub fn all(&self) -> [SocketAddr; 3] {
        [self.kafka, self.peer, self.admin]
    }
}

impl ChronikOptions {
    /// `dir` holds the data directory and the log file; it must exist.
    pub fn new(program: impl Into<PathBuf>, dir: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            dir: dir.into(),
            settings: Vec::new(),
            numbered: Vec::new(),
        }
    }

    /// Sets a key of the configuration, for example `group.initial_rebalance_delay`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Sets a key on each node of a cluster to this text and the number of the node.
    #[must_use]
    pub fn with_numbered(mut self, key: &str, prefix: &str) -> Self {
        self.numbered.push((key.to_owned(), prefix.to_owned()));
        self
    }

    /// Starts the node on free loopback ports and waits until it is ready.
    pub fn start(&self) -> Result<Node, LocalError> {
        let doors = Doors::free()?;
        let launch = self.launch(doors)?;
        let data_dir = self.dir.join("data");
        let (kafka, admin) = (doors.kafka, Some(doors.admin));
        let mut node = Node::new(launch, kafka, admin, data_dir, READY_BOUND);
        node.begin()?;
        Ok(node)
    }

    /// So many nodes on free loopback ports, with folders `node-1`, `node-2` and so on. None of them runs yet.
    pub fn cluster(&self, nodes: usize) -> Result<Cluster, LocalError> {
        let doors: Result<Vec<Doors>, LocalError> = (0..nodes).map(|_| Doors::free()).collect();
        self.cluster_at(&doors?)
    }

    /// A node for each set of doors, with folders `node-1`, `node-2` and so on. None of them runs yet.
    pub fn cluster_at(&self, doors: &[Doors]) -> Result<Cluster, LocalError> {
        self.cluster_of(doors, doors.len())
    }

    /// A node on each of these hosts, with folders `node-1`, `node-2` and so on. None of them runs yet.
    pub fn cluster_on(&self, hosts: &[Host]) -> Result<Cluster, LocalError> {
        let doors: Vec<Doors> = hosts.iter().map(Host::doors).collect();
        let mut launches = self.launches(&doors)?;
        for (host, launch) in hosts.iter().zip(&mut launches) {
            host.settle(launch);
        }
        Ok(cluster(launches, &doors))
    }

    fn cluster_of(&self, doors: &[Doors], founders: usize) -> Result<Cluster, LocalError> {
        Ok(cluster(self.launches_of(doors, founders)?, doors))
    }

    /// A cluster that so many nodes found, and nodes that may join it later: the founders do not name them.
    pub fn cluster_with_later(&self, founders: usize, later: usize) -> Result<Cluster, LocalError> {
        let doors: Result<Vec<Doors>, LocalError> =
            (0..founders + later).map(|_| Doors::free()).collect();
        self.cluster_of(&doors?, founders)
    }

    /// The command lines of a cluster, for nodes that outlive the program that starts them. Makes their folders.
    pub fn launches(&self, doors: &[Doors]) -> Result<Vec<Launch>, LocalError> {
        self.launches_of(doors, doors.len())
    }

    fn launches_of(&self, doors: &[Doors], founders: usize) -> Result<Vec<Launch>, LocalError> {
        let named = |id: usize| format!("{id}@{}", doors[id - 1].peer);
        let peers_of = |id: usize| {
            let later = (id > founders).then_some(id);
            let ids = (1..=founders).chain(later);
            ids.map(named).collect::<Vec<_>>().join(",")
        };
        let launch = |(doors, id): (&Doors, usize)| {
            let mut options = self.clone();
            options.dir = self.dir.join(format!("node-{id}"));
            fs::create_dir_all(&options.dir).map_err(LocalError::file("create", &options.dir))?;
            for (key, prefix) in &self.numbered {
                options = options.with(key, &format!("{prefix}{id}"));
            }
            let options = options
                .with("node.id", &id.to_string())
                .with("cluster.peers", &peers_of(id));
            let mut launch = options.launch(*doors)?;
            launch.name = format!("chronik-server {id}");
            Ok(launch)
        };
        doors.iter().zip(1..).map(launch).collect()
    }

    /// The command line alone, for a node that outlives the program that starts it.
    pub fn launch(&self, doors: Doors) -> Result<Launch, LocalError> {
        if !self.program.is_file() {
            return Err(LocalError::NotBuilt {
                program: self.program.clone(),
                next_step: "cargo build -p chronik-server",
            });
        }
        let flag = |name: &str, value: String| [name.into(), value.into()];
        let data_dir = self.dir.join("data");
        let args = [
            flag("--kafka-listen", doors.kafka.to_string()),
            flag("--peer-listen", doors.peer.to_string()),
            flag("--admin-listen", doors.admin.to_string()),
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

fn cluster(launches: Vec<Launch>, doors: &[Doors]) -> Cluster {
    let nodes = launches.into_iter().zip(doors).map(|(launch, doors)| {
        let data_dir = launch.working_dir.join("data");
        Node::new(
            launch,
            doors.kafka,
            Some(doors.admin),
            data_dir,
            READY_BOUND,
        )
    });
    Cluster::new(nodes.collect())
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
