//! The broker that a suite is run against.

use std::path::{Path, PathBuf};

use chronik_local::{ChronikOptions, KafkaOptions, Node};
use clap::ValueEnum;

use crate::error::XtaskError;
use crate::step;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    Chronik,
    Kafka,
}

/// Starts fresh nodes of one kind.
pub(super) struct Nodes {
    target: Target,
    server: PathBuf,
}

/// Whether clients that ask for an unknown topic bring it to life.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AutoCreate {
    On,
    Off,
}

impl Nodes {
    pub(super) fn new(target: Target) -> Result<Self, XtaskError> {
        let server = match target {
            Target::Chronik => step::release_server()?,
            Target::Kafka => PathBuf::new(),
        };
        Ok(Self { target, server })
    }

    pub(super) fn start(&self, dir: &Path, auto_create: AutoCreate) -> Result<Node, XtaskError> {
        let auto_create = match auto_create {
            AutoCreate::On => "true",
            AutoCreate::Off => "false",
        };
        let node = match self.target {
            Target::Chronik => ChronikOptions::new(&self.server, dir)
                .with("topic.auto_create", auto_create)
                // Some suites name the first broker of a cluster and expect 0, as Kafka once numbered.
                .with("node.id", "0")
                .with("topic.default_partitions", "4")
                .with("group.initial_rebalance_delay", "0ms")
                .start(),
            Target::Kafka => KafkaOptions::new(dir)
                .with("auto.create.topics.enable", auto_create)
                .with("num.partitions", "4")
                .with("group.initial.rebalance.delay.ms", "0")
                .start(),
        };
        Ok(node?)
    }
}
