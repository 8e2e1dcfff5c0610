//! Finds the leader of a partition by asking, and keeps one connection to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::TOPIC;
use crate::scenario::Cluster;
use crate::seed::Stream;
use crate::wire::{CallFailed, Connection, Metadata, PartitionView, find_coordinator, metadata};

/// A node that does not even accept within this is asked again later.
const CONNECT_BOUND: Duration = Duration::from_millis(500);
const METADATA_BOUND: Duration = Duration::from_secs(1);

/// The number of a leader with a connection to it.
pub(crate) type Led<'a> = (i32, &'a mut Connection);

/// One client's idea of where its partition's leader is.
#[derive(Debug)]
pub(crate) struct Router {
    bootstrap: Arc<Vec<SocketAddr>>,
    partition: i32,
    chance: Stream,
    leader: Option<(i32, SocketAddr)>,
    connection: Option<Connection>,
}

impl Router {
    pub(crate) fn new(bootstrap: Arc<Vec<SocketAddr>>, partition: i32, chance: Stream) -> Router {
        Router {
            bootstrap,
            partition,
            chance,
            leader: None,
            connection: None,
        }
    }

    /// A connection to the leader and its number. `None` means that no leader is known now.
    pub(crate) fn connect(&mut self) -> Option<Result<Led<'_>, (i32, CallFailed)>> {
        if self.leader.is_none() {
            self.leader = self.find_leader();
        }
        let (node, address) = self.leader?;
        if self.connection.is_none() {
            match Connection::open(address, CONNECT_BOUND) {
                Ok(connection) => self.connection = Some(connection),
                Err(failed) => {
                    self.leader = None;
                    return Some(Err((node, failed)));
                }
            }
        }
        self.connection
            .as_mut()
            .map(|connection| Ok((node, connection)))
    }

    /// After trouble: asks anew who leads, over a new connection.
    pub(crate) fn forget(&mut self) {
        self.leader = None;
        self.connection = None;
    }

    /// Whether nodes answer and none of them knows the partition.
    pub(crate) fn says_no_such_partition(&self) -> bool {
        let views: Vec<Metadata> = self
            .bootstrap
            .iter()
            .filter_map(|address| ask(*address))
            .collect();
        let knows = |view: &Metadata| {
            view.partitions
                .iter()
                .any(|known| known.index == self.partition)
        };
        !views.is_empty() && !views.iter().any(knows)
    }

    fn find_leader(&mut self) -> Option<(i32, SocketAddr)> {
        let mut order: Vec<SocketAddr> = self.bootstrap.to_vec();
        self.chance.shuffle(&mut order);
        order.into_iter().find_map(|address| {
            let view = ask(address)?;
            let partition = view
                .partitions
                .iter()
                .find(|known| known.index == self.partition)?;
            let broker = view
                .brokers
                .iter()
                .find(|broker| broker.id == partition.leader)?;
            Some((broker.id, broker.address()?))
        })
    }
}

fn ask(address: SocketAddr) -> Option<Metadata> {
    ask_over(&mut None, address)
}

/// Asks over a connection that is kept as long as it works.
pub(super) fn ask_over(kept: &mut Option<Connection>, address: SocketAddr) -> Option<Metadata> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(address, CONNECT_BOUND).ok()?,
    };
    let view = metadata(&mut connection, TOPIC, METADATA_BOUND).ok()?;
    *kept = Some(connection);
    Some(view)
}

/// How many of the topic's replicas should be on a node, by the first node that answers.
pub(crate) fn replicas_on(bootstrap: &[SocketAddr], node: u32) -> Option<usize> {
    let node = i32::try_from(node).ok()?;
    let view = bootstrap.iter().find_map(|address| ask(*address))?;
    let on_it = |partition: &&PartitionView| partition.replicas.contains(&node);
    Some(view.partitions.iter().filter(on_it).count())
}

/// What the cluster looks like from outside, by the first node that answers and knows leaders.
pub(crate) fn cluster_view(
    bootstrap: &[SocketAddr],
    partitions: u32,
    group: Option<&str>,
) -> Cluster {
    let mut cluster = Cluster {
        nodes: u32::try_from(bootstrap.len()).expect("a cluster has few nodes"),
        leaders: vec![None; partitions as usize],
        ..Cluster::default()
    };
    for address in bootstrap {
        let Some(view) = ask(*address) else {
            continue;
        };
        cluster.metadata_leader = u32::try_from(view.controller).ok().filter(|node| *node > 0);
        for partition in &view.partitions {
            let leader = u32::try_from(partition.leader)
                .ok()
                .filter(|node| *node > 0);
            let place = usize::try_from(partition.index)
                .ok()
                .and_then(|index| cluster.leaders.get_mut(index));
            if let (Some(place), Some(leader)) = (place, leader) {
                *place = Some(leader);
            }
        }
        if cluster.leaders.iter().all(Option::is_some) {
            break;
        }
    }
    if let Some(group) = group {
        cluster.coordinator = bootstrap.iter().find_map(|address| {
            let mut connection = Connection::open(*address, CONNECT_BOUND).ok()?;
            let found = find_coordinator(&mut connection, group, METADATA_BOUND).ok()??;
            u32::try_from(found.node).ok()
        });
    }
    cluster
}
