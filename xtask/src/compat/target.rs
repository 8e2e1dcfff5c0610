//! The broker that a suite is run against.

use std::path::{Path, PathBuf};

use chronik_local::{ChronikOptions, Cluster, KafkaOptions};
use clap::ValueEnum;

use super::Options;
use crate::error::XtaskError;
use crate::step;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    Chronik,
    Kafka,
}

/// Starts fresh clusters of one kind.
pub(super) struct Nodes {
    target: Target,
    count: usize,
    server: PathBuf,
}

/// Whether clients that ask for an unknown topic bring it to life.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AutoCreate {
    On,
    Off,
}

impl Nodes {
    pub(super) fn new(options: &Options) -> Result<Self, XtaskError> {
        let server = match (options.target, &options.server) {
            (Target::Kafka, _) => PathBuf::new(),
            (Target::Chronik, named) => step::server(named.as_deref())?,
        };
        Ok(Self {
            target: options.target,
            count: options.nodes,
            server,
        })
    }

    pub(super) fn start(&self, dir: &Path, auto_create: AutoCreate) -> Result<Cluster, XtaskError> {
        let auto_create = match auto_create {
            AutoCreate::On => "true",
            AutoCreate::Off => "false",
        };
        let chronik = || {
            ChronikOptions::new(&self.server, dir)
                .with("topic.auto_create", auto_create)
                .with("topic.default_partitions", "4")
                .with("group.initial_rebalance_delay", "0ms")
        };
        let kafka = || {
            KafkaOptions::new(dir)
                .with("auto.create.topics.enable", auto_create)
                .with("num.partitions", "4")
                .with("group.initial.rebalance.delay.ms", "0")
        };
        let mut cluster = match (self.target, self.count) {
            // Some suites name the first broker of a cluster and expect 0, as Kafka once numbered.
            (Target::Chronik, 1) => return Ok(chronik().with("node.id", "0").start()?.into()),
            (Target::Kafka, 1) => return Ok(kafka().start()?.into()),
            (Target::Chronik, several) => chronik().cluster(several)?,
            (Target::Kafka, several) => kafka().cluster(several)?,
        };
        cluster.start()?;
        Ok(cluster)
    }
}
