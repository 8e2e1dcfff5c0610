//! The cluster under test: real processes, each on a host and, where a scenario asks for it, a disk of its own.

mod chronik;
mod kafka;
mod mutant;
mod node;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chronik_check::Contract;
use chronik_local::LocalError;
use serde::{Deserialize, Serialize};

pub(crate) use mutant::{Mutant, become_mutant};
pub(crate) use node::Node;

use crate::contain::enter::DISKS;
use crate::disk::Layers;
use crate::net::{Network, address_of};
use crate::scenario::ClusterSpec;

/// Room for a few small segments and their spares on a disk of its own.
const DISK_BYTES: u64 = 768 << 20;

/// What is broken here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TargetKind {
    /// `chronik-server`, by its path.
    Chronik { server: PathBuf },
    /// Apache Kafka as shipped, by its class path.
    Kafka { class_path: String },
}

impl TargetKind {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            TargetKind::Chronik { .. } => "chronik",
            TargetKind::Kafka { .. } => "kafka",
        }
    }

    pub(crate) fn contract(&self) -> Contract {
        match self {
            TargetKind::Chronik { .. } => Contract::Chronik,
            TargetKind::Kafka { .. } => Contract::Kafka,
        }
    }

    /// From the start of a process to its first answer.
    pub(crate) fn serve_bound(&self) -> Duration {
        match self {
            TargetKind::Chronik { .. } => Duration::from_secs(60),
            // A JVM on a busy machine.
            TargetKind::Kafka { .. } => Duration::from_secs(120),
        }
    }
}

/// Where a node listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) kafka: SocketAddr,
    /// The door for other nodes; Kafka's controllers use it.
    pub(crate) peer: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// All nodes of a run, numbered from 1.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) kind: TargetKind,
    pub(crate) nodes: Vec<Node>,
}

/// Why there is no cluster to break.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetFault {
    #[error("cannot make {path}")]
    Dir {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("node {node} gets no disk of its own; `chronik-chaos doctor` says what is missing")]
    Disk {
        node: u32,
        #[source]
        source: io::Error,
    },
    #[error("the bug cannot be planted")]
    Mutant(#[source] io::Error),
    #[error(transparent)]
    Local(#[from] LocalError),
}

impl Target {
    /// Prepares all nodes without starting one.
    pub(crate) fn prepare(
        kind: TargetKind,
        cluster: &ClusterSpec,
        run_dir: &Path,
        network: Option<&Network>,
        has_disks: bool,
        mutant: Option<Mutant>,
    ) -> Result<Target, TargetFault> {
        let addresses: Vec<Addresses> = (1..=cluster.nodes)
            .map(|node| addresses(node, network.is_some()))
            .collect();
        let mut nodes = Vec::new();
        for number in 1..=cluster.nodes {
            let dir = run_dir.join("nodes").join(number.to_string());
            fs::create_dir_all(&dir).map_err(|source| TargetFault::Dir {
                path: dir.clone(),
                source,
            })?;
            let disk = if has_disks {
                Some(disk_of(number, run_dir, &dir)?)
            } else {
                None
            };
            let launch = match &kind {
                TargetKind::Chronik { server } => {
                    chronik::launch(server, &dir, number, &addresses, cluster)?
                }
                TargetKind::Kafka { class_path } => {
                    kafka::launch(class_path, &dir, number, &addresses, cluster)?
                }
            };
            if let Some(disk) = &disk {
                disk.settle().map_err(|source| TargetFault::Disk {
                    node: number,
                    source,
                })?;
            }
            let launch = match mutant {
                Some(mutant) => mutant.plant(launch).map_err(TargetFault::Mutant)?,
                None => launch,
            };
            let place = addresses[number as usize - 1];
            nodes.push(Node::new(number, launch, place.kafka, disk));
        }
        Ok(Target { kind, nodes })
    }

    pub(crate) fn node(&mut self, number: u32) -> &mut Node {
        &mut self.nodes[number as usize - 1]
    }

    pub(crate) fn bootstrap(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.kafka).collect()
    }
}

fn addresses(node: u32, has_network: bool) -> Addresses {
    let ip = if has_network {
        address_of(node)
    } else {
        Ipv4Addr::LOCALHOST
    };
    // On one host ports tell the nodes apart. Nobody else is in this network namespace.
    let step = if has_network {
        0
    } else {
        u16::try_from(node).expect("a cluster has few nodes")
    };
    let place = |port: u16| SocketAddr::from((ip, port + step));
    Addresses {
        kafka: place(9_092),
        peer: place(9_192),
        admin: place(9_292),
    }
}

fn disk_of(number: u32, run_dir: &Path, node_dir: &Path) -> Result<Layers, TargetFault> {
    let dir = run_dir.join(DISKS).join(number.to_string());
    fs::create_dir_all(&dir).map_err(|source| TargetFault::Dir {
        path: dir.clone(),
        source,
    })?;
    Layers::build(&dir, &node_dir.join("data"), DISK_BYTES).map_err(|source| TargetFault::Disk {
        node: number,
        source,
    })
}
