//! Nodes that belong together, each a process with a data directory of its own.

use std::time::Duration;

use crate::error::LocalError;
use crate::node::Node;
use crate::probe::{self, Metadata};
use crate::wait;

/// A cold cluster of JVMs on a busy two-core machine; Chronik needs seconds.
const READY_BOUND: Duration = Duration::from_secs(120);

/// A cluster of either kind. Its nodes are numbered from 1; dropping it kills them all and leaves their data.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
}

/// A node that runs already, as a cluster of one.
impl From<Node> for Cluster {
    fn from(node: Node) -> Self {
        Self { nodes: vec![node] }
    }
}

impl Cluster {
    /// The node with the number 1 comes first. None of them runs yet.
    pub(crate) fn new(nodes: Vec<Node>) -> Self {
        Self { nodes }
    }

    /// The numbers of all nodes.
    pub fn ids(&self) -> Vec<usize> {
        (1..=self.nodes.len()).collect()
    }

    pub fn node(&self, id: usize) -> &Node {
        &self.nodes[id - 1]
    }

    pub fn node_mut(&mut self, id: usize) -> &mut Node {
        &mut self.nodes[id - 1]
    }

    /// What clients call `bootstrap.servers`: every node, running or not.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(Node::bootstrap).collect();
        addresses.join(",")
    }

    /// Starts nodes in this order, as fast as processes can be started, and waits for nothing.
    pub fn spawn(&mut self, ids: &[usize]) -> Result<(), LocalError> {
        ids.iter().try_for_each(|id| self.node_mut(*id).spawn())
    }

    /// Waits until every one of these nodes answers Kafka requests, ready or not.
    pub fn await_listening(&mut self, ids: &[usize]) -> Result<(), LocalError> {
        ids.iter()
            .try_for_each(|id| self.node_mut(*id).await_listening())
    }

    /// Waits until every one of these nodes says that it is ready.
    pub fn await_ready(&mut self, ids: &[usize]) -> Result<(), LocalError> {
        ids.iter()
            .try_for_each(|id| self.node_mut(*id).await_ready())
    }

    /// Starts all nodes at once and waits until all are ready.
    pub fn start(&mut self) -> Result<(), LocalError> {
        let ids = self.ids();
        self.spawn(&ids)?;
        self.await_ready(&ids)
    }

    /// The cluster as a running node sees it.
    pub fn metadata(&self, id: usize, topics: Option<&[&str]>) -> Option<Metadata> {
        probe::metadata(self.node(id).kafka_address(), topics).ok()
    }

    /// Waits until the metadata that a node tells satisfies a condition, and returns it.
    pub fn await_metadata(
        &self,
        id: usize,
        condition: &'static str,
        is_met: impl Fn(&Metadata) -> bool,
    ) -> Result<Metadata, LocalError> {
        let found = wait::until(condition, READY_BOUND, || {
            self.metadata(id, None).filter(&is_met)
        });
        Ok(found?)
    }

    /// Waits until a node tells the leader of a partition, and it is one of `candidates`.
    pub fn await_leader(
        &self,
        asked: usize,
        topic: &str,
        partition: usize,
        candidates: &[usize],
    ) -> Result<usize, LocalError> {
        let leader = |metadata: &Metadata| {
            let leader = metadata.partitions(topic).get(partition)?.leader?;
            let leader = usize::try_from(leader).ok()?;
            candidates.contains(&leader).then_some(leader)
        };
        let found = wait::until("a leader of the partition", READY_BOUND, || {
            leader(&self.metadata(asked, Some(&[topic]))?)
        });
        Ok(found?)
    }

    /// Waits until nodes tell that the first replica of every partition leads it, so that nobody hands it over later.
    pub fn await_first_leaders(&self, asked: &[usize], topic: &str) -> Result<(), LocalError> {
        let is_settled = |metadata: Metadata| {
            let partitions = metadata.partitions(topic);
            let mut known = partitions.iter();
            !partitions.is_empty()
                && known
                    .all(|one| one.leader.is_some() && one.leader == one.replicas.first().copied())
        };
        wait::until("the first replicas to lead", READY_BOUND, || {
            let mut views = asked.iter().map(|id| self.metadata(*id, Some(&[topic])));
            views.all(|view| view.is_some_and(is_settled)).then_some(())
        })?;
        Ok(())
    }

    /// SIGTERM to all running nodes at once, and an orderly end of each.
    pub fn stop(&mut self) -> Result<(), LocalError> {
        self.nodes.iter().try_for_each(Node::ask_to_stop)?;
        self.nodes
            .iter_mut()
            .try_for_each(|node| node.await_stopped().map(drop))
    }

    /// Error and panic lines of all nodes that `announced` does not excuse.
    pub fn unannounced_errors(&self, announced: &[&str]) -> Result<Vec<String>, LocalError> {
        let mut offences = Vec::new();
        for (position, node) in self.nodes.iter().enumerate() {
            if !node.log().exists() {
                // It never ran.
                continue;
            }
            let lines = node.unannounced_errors(announced)?.into_iter();
            offences.extend(lines.map(|line| format!("node {}: {line}", position + 1)));
        }
        Ok(offences)
    }
}
