//! What is loaded: one node of Chronik, unless `CHRONIK_TEST_TARGET` and `CHRONIK_TEST_NODES` say otherwise.

use std::collections::BTreeMap;
use std::path::Path;

use chronik_local::Cluster;
use chronik_local::contender::{Contender, Kind};
use tempfile::TempDir;

use crate::support::{choice, is_kafka_the_target, server, test_dir};

/// A running cluster in a folder of its own.
pub(super) struct Ground {
    contender: Contender,
    cluster: Cluster,
    dir: TempDir,
}

impl Ground {
    pub(super) fn start() -> Self {
        let (kind, delay) = match is_kafka_the_target() {
            true => (Kind::Kafka, ("group.initial.rebalance.delay.ms", "0")),
            false => (Kind::Chronik, ("group.initial_rebalance_delay", "0ms")),
        };
        let contender = Contender {
            kind,
            nodes: choice("CHRONIK_TEST_NODES")
                .map_or(1, |nodes| nodes.parse().expect("a number of nodes")),
        };
        let dir = test_dir();
        let settings = BTreeMap::from([(delay.0.to_owned(), delay.1.to_owned())]);
        let (cluster, _) = contender
            .start(&server(), dir.path(), &settings)
            .expect("a cluster");
        Self {
            contender,
            cluster,
            dir,
        }
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn bootstrap(&self) -> String {
        self.cluster.bootstrap()
    }

    pub(super) fn is_alone(&self) -> bool {
        self.contender.nodes == 1
    }

    /// Stops all nodes, as a machine does that is out of breath.
    pub(super) fn pause(&self) {
        for id in self.cluster.ids() {
            self.cluster.node(id).pause().expect("SIGSTOP arrives");
        }
    }

    pub(super) fn resume(&self) {
        for id in self.cluster.ids() {
            self.cluster.node(id).resume().expect("SIGCONT arrives");
        }
    }

    /// SIGKILL to one of the nodes.
    pub(super) fn kill_one(&mut self) {
        let node = self.cluster.node_mut(1);
        node.kill().expect("SIGKILL ends the broker");
    }

    /// Stops in order and fails on error lines that nobody announced.
    pub(super) fn finish(mut self) {
        self.cluster.stop().expect("an orderly end");
        if self.contender.kind == Kind::Chronik {
            let offences = self.cluster.unannounced_errors(&[]);
            assert_eq!(offences.expect("readable logs"), Vec::<String>::new());
        }
    }
}
