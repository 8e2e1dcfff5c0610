//! Who is measured: a kind of broker with so many nodes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chronik_local::{ChronikOptions, Cluster, KafkaOptions};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::error::XtaskError;
use crate::step;

/// Replicas of a topic, if there are as many nodes.
const REPLICAS_MAX: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Kafka,
    Chronik,
}

/// A kind of broker with so many nodes, all of them with its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) nodes: usize,
}

/// What the running nodes of a contender have cost so far, summed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_peak_bytes: u64,
    pub(crate) written_bytes: u64,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kafka => "Apache Kafka",
            Self::Chronik => "Chronik",
        }
    }
}

impl Contender {
    pub(crate) fn name(self) -> String {
        format!("{} x{}", self.kind.name(), self.nodes)
    }

    /// For names of files.
    pub(crate) fn word(self) -> String {
        let kind = match self.kind {
            Kind::Kafka => "kafka",
            Kind::Chronik => "chronik",
        };
        format!("{kind}-{}", self.nodes)
    }

    pub(crate) fn replicas(self) -> usize {
        self.nodes.min(REPLICAS_MAX)
    }

    /// Starts all nodes; they end with the returned handle. Also tells how long the slowest took to serve.
    pub(crate) fn start(
        self,
        server: &Path,
        dir: &Path,
    ) -> Result<(Cluster, Duration), XtaskError> {
        let mut cluster = match self.kind {
            Kind::Kafka => KafkaOptions::new(dir).cluster(self.nodes)?,
            Kind::Chronik => ChronikOptions::new(server, dir).cluster(self.nodes)?,
        };
        cluster.start()?;
        let served = cluster.ids().into_iter();
        let slowest = served.map(|id| cluster.node(id).time_to_serve()).max();
        Ok((cluster, slowest.unwrap_or_default()))
    }
}

impl Cost {
    pub(crate) fn of(cluster: &Cluster) -> Result<Self, XtaskError> {
        let mut sum = Self {
            cpu_seconds: 0.0,
            resident_peak_bytes: 0,
            written_bytes: 0,
        };
        for id in cluster.ids() {
            let sample = cluster.node(id).sample()?;
            sum.cpu_seconds += sample.cpu_seconds;
            sum.resident_peak_bytes += sample.resident_peak_bytes;
            sum.written_bytes += sample.disk_written_bytes;
        }
        Ok(sum)
    }
}

/// The server that was named, or this checkout's, built as a user would run it.
pub(crate) fn server(named: Option<&Path>) -> Result<PathBuf, XtaskError> {
    match named {
        Some(server) => Ok(server.to_path_buf()),
        None => step::release_server(),
    }
}
