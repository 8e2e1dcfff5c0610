//! The cluster under test: real processes, each on a host and, where a scenario asks for it, a disk of its own.

mod attach;
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
use chronik_local::{LocalError, free_port};
use serde::{Deserialize, Serialize};

pub(crate) use attach::{AttachFault, Attachment};
pub(crate) use mutant::{Mutant, become_mutant};
pub(crate) use node::Node;

use crate::contain::enter::DISKS;
use crate::disk::Layers;
use crate::net::address_of;
use crate::scenario::ClusterSpec;

/// The file beside a node's data that says by how much its clock is wrong.
pub(crate) const CLOCK_OFFSET: &str = "clock-offset";
/// Where a server that was built to be broken is told of it.
const CLOCK_OFFSET_VARIABLE: &str = "CHRONIK_CLOCK_OFFSET_FILE";

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
    /// Somebody else's cluster.
    Attached(Attachment),
}

impl TargetKind {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            TargetKind::Chronik { .. } => "chronik",
            TargetKind::Kafka { .. } => "kafka",
            TargetKind::Attached(_) => "attached",
        }
    }

    pub(crate) fn contract(&self) -> Contract {
        match self {
            TargetKind::Chronik { .. } => Contract::Chronik,
            // Less is promised by all that speak this protocol.
            TargetKind::Kafka { .. } | TargetKind::Attached(_) => Contract::Kafka,
        }
    }

    /// Whether any replica can be read by anybody, so that all of them can be compared.
    pub(crate) fn followers_serve(&self) -> bool {
        matches!(self, TargetKind::Chronik { .. })
    }

    /// From the start of a process to its first answer.
    pub(crate) fn serve_bound(&self) -> Duration {
        match self {
            TargetKind::Chronik { .. } => Duration::from_secs(60),
            // A JVM on a busy machine.
            TargetKind::Kafka { .. } | TargetKind::Attached(_) => Duration::from_secs(120),
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

/// Where nodes listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// Each on a host of its own.
    Hosts,
    /// All on a host that nobody else is on.
    OneHost,
    /// On this machine's own network, beside everybody else.
    Outside,
}

/// What nodes get besides a folder and addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outfit {
    /// File systems of their own.
    pub(crate) has_disks: bool,
    /// Clocks of their own, which only a server that was built to be broken looks at.
    pub(crate) has_clocks: bool,
    pub(crate) mutant: Option<Mutant>,
}

/// All nodes of a run, numbered from 1.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) kind: TargetKind,
    pub(crate) nodes: Vec<Node>,
    mutant: Option<Mutant>,
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
    #[error(
        "node {node} does not say that it has the bug `{mutant}`; build the server with `cargo build --profile chaos -p chronik-server --features chaos` and name it with --server"
    )]
    NoMutant { node: u32, mutant: Mutant },
    #[error(transparent)]
    Attach(#[from] AttachFault),
    #[error(transparent)]
    Local(#[from] LocalError),
}

impl Target {
    /// Finds the nodes of a cluster that runs already.
    pub(crate) fn attach(attachment: &Attachment) -> Result<Target, TargetFault> {
        let found = attachment.nodes()?.into_iter();
        let nodes = (1..).zip(found);
        Ok(Target {
            kind: TargetKind::Attached(attachment.clone()),
            nodes: nodes
                .map(|(number, (kafka, foreign))| Node::theirs(number, kafka, foreign))
                .collect(),
            mutant: None,
        })
    }

    /// Prepares all nodes without starting one.
    pub(crate) fn prepare(
        kind: TargetKind,
        cluster: &ClusterSpec,
        run_dir: &Path,
        place: Whereabouts,
        outfit: Outfit,
    ) -> Result<Target, TargetFault> {
        let addresses = (1..=cluster.nodes)
            .map(|node| place.addresses(node))
            .collect::<Result<Vec<Addresses>, LocalError>>()?;
        let mut nodes = Vec::new();
        for number in 1..=cluster.nodes {
            let dir = run_dir.join("nodes").join(number.to_string());
            fs::create_dir_all(&dir).map_err(|source| TargetFault::Dir {
                path: dir.clone(),
                source,
            })?;
            let disk = if outfit.has_disks {
                Some(disk_of(number, run_dir, &dir)?)
            } else {
                None
            };
            let launch = match &kind {
                TargetKind::Chronik { server } => {
                    chronik::launch(server, &dir, number, &addresses, cluster)?
                }
                TargetKind::Attached(attachment) => return Target::attach(attachment),
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
            let mut launch = match outfit.mutant {
                Some(mutant) => mutant.plant(launch).map_err(TargetFault::Mutant)?,
                None => launch,
            };
            if outfit.has_clocks {
                let file = dir.join(CLOCK_OFFSET).display().to_string();
                let variable = (CLOCK_OFFSET_VARIABLE.to_owned(), file);
                launch.environment.push(variable);
            }
            let place = addresses[number as usize - 1];
            nodes.push(Node::ours(number, launch, place, disk));
        }
        Ok(Target {
            kind,
            nodes,
            mutant: outfit.mutant,
        })
    }

    pub(crate) fn node(&mut self, number: u32) -> &mut Node {
        &mut self.nodes[number as usize - 1]
    }

    /// Whether every node that runs has the bug that it is meant to have.
    pub(crate) fn check_mutant(&self) -> Result<(), TargetFault> {
        let Some(mutant) = self.mutant else {
            return Ok(());
        };
        for node in &self.nodes {
            let is_admitted = node.log().map(|log| mutant.is_admitted(log));
            if !is_admitted
                .unwrap_or(Ok(false))
                .map_err(TargetFault::Mutant)?
            {
                let node = node.number;
                return Err(TargetFault::NoMutant { node, mutant });
            }
        }
        Ok(())
    }

    pub(crate) fn bootstrap(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.kafka).collect()
    }
}

impl Whereabouts {
    fn addresses(self, node: u32) -> Result<Addresses, LocalError> {
        let ip = match self {
            Whereabouts::Hosts => address_of(node),
            Whereabouts::OneHost | Whereabouts::Outside => Ipv4Addr::LOCALHOST,
        };
        let place = |port: u16| -> Result<SocketAddr, LocalError> {
            let port = match self {
                Whereabouts::Hosts => port,
                // On one host ports tell the nodes apart.
                Whereabouts::OneHost => {
                    port + u16::try_from(node).expect("a cluster has few nodes")
                }
                Whereabouts::Outside => free_port()?,
            };
            Ok(SocketAddr::from((ip, port)))
        };
        Ok(Addresses {
            kafka: place(9_092)?,
            peer: place(9_192)?,
            admin: place(9_292)?,
        })
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
