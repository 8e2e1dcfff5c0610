//! Who is compared: a kind of broker with so many nodes, all of them with its defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chronik::ChronikOptions;
use crate::cluster::Cluster;
use crate::error::LocalError;
use crate::kafka::KafkaOptions;
use crate::process::Sample;

/// Replicas of a topic, if there are as many nodes.
const REPLICAS_MAX: usize = 3;

/// The software of a broker. On a command line it is `kafka` or `chronik`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Kafka,
    Chronik,
}

/// A kind of broker with so many nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contender {
    pub kind: Kind,
    pub nodes: usize,
}

/// What the running nodes of a contender have cost so far, summed.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub cpu_seconds: f64,
    pub resident_peak_bytes: u64,
    pub written_bytes: u64,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "Apache Kafka",
            Self::Chronik => "Chronik",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Chronik => "chronik",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Kafka, Self::Chronik];
        let found = known.into_iter().find(|kind| kind.word() == text);
        found.ok_or_else(|| format!("{text:?} is neither kafka nor chronik"))
    }
}

impl Contender {
    pub fn name(self) -> String {
        format!("{} x{}", self.kind.name(), self.nodes)
    }

    /// For names of files.
    pub fn word(self) -> String {
        format!("{}-{}", self.kind, self.nodes)
    }

    pub fn replicas(self) -> usize {
        self.nodes.min(REPLICAS_MAX)
    }

    /// Starts all nodes, with these settings beside the defaults; they end with the returned handle. Also tells how long
    /// the slowest took to serve.
    pub fn start(
        self,
        server: &Path,
        dir: &Path,
        settings: &BTreeMap<String, String>,
    ) -> Result<(Cluster, Duration), LocalError> {
        let settings = settings.iter();
        let mut cluster = match self.kind {
            Kind::Kafka => settings
                .fold(KafkaOptions::new(dir), |options, (key, value)| {
                    options.with(key, value)
                })
                .cluster(self.nodes)?,
            Kind::Chronik => settings
                .fold(ChronikOptions::new(server, dir), |options, (key, value)| {
                    options.with(key, value)
                })
                .cluster(self.nodes)?,
        };
        cluster.start()?;
        let served = cluster.ids().into_iter();
        let slowest = served.map(|id| cluster.node(id).time_to_serve()).max();
        Ok((cluster, slowest.unwrap_or_default()))
    }
}

impl Cost {
    pub fn of(cluster: &Cluster) -> Result<Self, LocalError> {
        let mut sum = Self {
            cpu_seconds: 0.0,
            resident_peak_bytes: 0,
            written_bytes: 0,
        };
        for id in cluster.ids() {
            let Sample {
                cpu_seconds,
                resident_peak_bytes,
                disk_written_bytes,
                ..
            } = cluster.node(id).sample()?;
            sum.cpu_seconds += cpu_seconds;
            sum.resident_peak_bytes += resident_peak_bytes;
            sum.written_bytes += disk_written_bytes;
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in [Kind::Kafka, Kind::Chronik] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("redpanda".parse::<Kind>().is_err());
    }
}
