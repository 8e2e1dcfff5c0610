//! A suite as it is written down: who is loaded, and with what.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use chronik_local::contender::Kind;
use clap::Parser;
use serde::{Deserialize, Serialize};

use crate::cli::{Cli, LoadArguments};
use crate::commands::run::{Part, parts};
use crate::error::BenchError;

const BUILTIN: &str = "builtin:";
const BUILTINS: [(&str, &str); 9] = [
    ("smoke", include_str!("../../../suites/smoke.toml")),
    ("modes", include_str!("../../../suites/modes.toml")),
    ("baseline", include_str!("../../../suites/baseline.toml")),
    ("fanout", include_str!("../../../suites/fanout.toml")),
    ("cold-read", include_str!("../../../suites/cold-read.toml")),
    ("txn", include_str!("../../../suites/txn.toml")),
    (
        "10k-partitions",
        include_str!("../../../suites/10k-partitions.toml"),
    ),
    (
        "cluster-vs-standalone",
        include_str!("../../../suites/cluster-vs-standalone.toml"),
    ),
    (
        "side-by-side",
        include_str!("../../../suites/side-by-side.toml"),
    ),
];

/// Targets take turns; each of them runs all workloads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Suite {
    pub(super) name: String,
    /// A sentence or two for the report.
    pub(super) about: String,
    pub(super) targets: Vec<Target>,
    pub(super) workloads: Vec<Workload>,
}

/// A cluster to start, or one that is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub(super) name: String,
    /// What to start; none for a cluster that is there.
    pub(super) kind: Option<Kind>,
    #[serde(default = "one")]
    pub(super) nodes: usize,
    /// Another build than the usual one, of Chronik.
    pub(super) server: Option<PathBuf>,
    /// Settings of the brokers beside their defaults.
    #[serde(default)]
    pub(super) settings: BTreeMap<String, String>,
    /// Where a cluster is that is there.
    pub(super) bootstrap: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workload {
    pub(super) name: String,
    /// As on the command line.
    pub(super) arguments: String,
    /// It is run before anything counts, and not reported.
    #[serde(default)]
    pub(super) warms_up: bool,
}

impl Suite {
    /// Of a file, or one that comes with the program.
    pub(super) fn read(name: &str) -> Result<Self, BenchError> {
        let plain = name.strip_prefix(BUILTIN).unwrap_or(name);
        let builtin = BUILTINS.iter().find(|(known, _)| *known == plain);
        let text = match builtin {
            Some((_, text)) => (*text).to_owned(),
            None if name.starts_with(BUILTIN) => return Err(unknown(name)),
            None => fs::read_to_string(name).map_err(BenchError::file("read", name))?,
        };
        let suite: Self =
            toml::from_str(&text).map_err(|wrong| BenchError::Usage(format!("{name}: {wrong}")))?;
        suite.checked()
    }

    fn checked(self) -> Result<Self, BenchError> {
        let usage = |text: String| Err(BenchError::Usage(text));
        if self.targets.is_empty() || self.workloads.is_empty() {
            return usage(format!(
                "suite {} has no targets or no workloads",
                self.name
            ));
        }
        for target in &self.targets {
            if target.kind.is_some() == target.bootstrap.is_some() {
                return usage(format!(
                    "target {} needs a kind to start or a bootstrap of a cluster that is there",
                    target.name
                ));
            }
        }
        for workload in &self.workloads {
            workload.parts("localhost:1", 0)?;
        }
        Ok(self)
    }

    /// What is reported, in order: loads of several parts have a name for each.
    pub(super) fn reported(&self) -> Result<Vec<(String, &Workload)>, BenchError> {
        let mut names = Vec::new();
        for workload in self.workloads.iter().filter(|workload| !workload.warms_up) {
            for part in workload.parts("localhost:1", 0)? {
                names.push((part.name(&workload.name), workload));
            }
        }
        Ok(names)
    }
}

impl Workload {
    /// The loads of this workload; `number` gives it a topic of its own.
    pub(super) fn parts(&self, bootstrap: &str, number: usize) -> Result<Vec<Part>, BenchError> {
        parts(&self.load(bootstrap, number)?)
    }

    fn load(&self, bootstrap: &str, number: usize) -> Result<LoadArguments, BenchError> {
        let topic = match self.arguments.contains("--topic ") {
            true => String::new(),
            false => format!("--topic suite-{number}"),
        };
        let text = format!(
            "chronik-bench --bootstrap-servers {bootstrap} {topic} {}",
            self.arguments
        );
        let cli = Cli::try_parse_from(text.split_whitespace())
            .map_err(|wrong| BenchError::Usage(format!("workload {}: {wrong}", self.name)))?;
        Ok(cli.run.load)
    }
}

fn unknown(name: &str) -> BenchError {
    let known: Vec<String> = BUILTINS
        .iter()
        .map(|(known, _)| format!("{BUILTIN}{known}"))
        .collect();
    BenchError::Usage(format!("{name} is none of {}", known.join(", ")))
}

fn one() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_suites_are_valid_down_to_their_arguments() {
        for (name, _) in BUILTINS {
            let suite = Suite::read(&format!("{BUILTIN}{name}")).unwrap();
            assert_eq!(suite.name, name);
            assert!(!suite.reported().unwrap().is_empty());
        }
    }

    #[test]
    fn a_load_of_several_parts_is_reported_in_parts() {
        let suite = Suite::read("builtin:cold-read").unwrap();
        let names = suite.reported().unwrap();
        assert!(names.iter().any(|(name, _)| name.ends_with("-drain")));
    }

    #[test]
    fn a_wrong_name_lists_the_right_ones() {
        let refused = Suite::read("builtin:fast").unwrap_err().to_string();
        assert!(refused.contains("builtin:side-by-side"), "{refused}");
    }
}
