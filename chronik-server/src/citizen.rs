//! What a node owes its cluster all the time: to be known where it is, and to know where the others are.

use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::{Command, Node, Outcome};
use chronik_core::ids::NodeId;
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use crate::broker::{Broker, View};
use crate::data_dir::{DataDir, Identity};
use crate::neighbours::{Request, Standing};
use crate::peer::{Belonging, Member, Peers};
use crate::raft::News;

/// A node in its cluster.
pub(crate) struct Citizen {
    pub(crate) node: Node,
    pub(crate) identity: Identity,
    pub(crate) data_dir: Arc<DataDir>,
    /// The nodes of the configuration, for as long as the catalog does not know better.
    pub(crate) configured: Vec<Member>,
    pub(crate) broker: Broker,
    pub(crate) peers: Peers,
    /// What there is to tell the others of the groups that are led here.
    pub(crate) news: mpsc::Receiver<News>,
    pub(crate) belonging: watch::Sender<Belonging>,
    pub(crate) standing: watch::Sender<Standing>,
}

const SPREAD_TIMEOUT: Duration = Duration::from_millis(500);
const REGISTER_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts to be known, while nobody leads.
const TRY_AGAIN: Duration = Duration::from_millis(100);

impl Citizen {
    /// Follows the catalog until the node stops.
    pub(crate) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut changes = self.broker.view_changes();
        loop {
            let view = changes.borrow_and_update().clone();
            self.follow(&view).await;
            let is_known = self.is_known(&view);
            let news = tokio::select! {
                biased;
                () = stopped(&mut stopping) => return,
                changed = changes.changed() => match changed {
                    Ok(()) => None,
                    Err(_) => return,
                },
                news = self.news.recv() => news,
                () = register(&self.broker, &self.node), if !is_known => None,
            };
            if let Some(news) = news {
                self.spread(&view, news).await;
            }
        }
    }

    /// Learns the cluster's id, once, and where its nodes are.
    async fn follow(&mut self, view: &Arc<View>) {
        let cluster_id = &view.catalog.cluster_id;
        if self.identity.cluster_id.is_empty() && !cluster_id.is_empty() {
            self.identity.cluster_id = cluster_id.to_string();
            self.write_identity().await;
        }
        if !self.identity.cluster_id.is_empty() && self.belonging.borrow().cluster_id.is_none() {
            let cluster_id: Arc<str> = self.identity.cluster_id.as_str().into();
            info!(cluster = %cluster_id, incarnation = self.identity.incarnation, "this node belongs to a cluster");
            self.standing.send_replace(Standing::Member {
                cluster_id: cluster_id.clone(),
            });
            self.belonging.send_replace(Belonging {
                cluster_id: Some(cluster_id),
                incarnation: self.identity.incarnation,
            });
        }
        self.peers.set_members(self.members(view));
    }

    fn members(&self, view: &View) -> Vec<Member> {
        let known = view.catalog.nodes.values().map(|node| Member {
            node: node.id,
            peer_address: node.peer_address.clone(),
        });
        let is_unknown = |member: &&Member| !view.catalog.nodes.contains_key(&member.node);
        let configured = self.configured.iter().filter(is_unknown).cloned();
        known.chain(configured).collect()
    }

    fn is_known(&self, view: &View) -> bool {
        let known = view.catalog.nodes.get(&self.node.id);
        known.is_some_and(|known| **known == self.node)
    }

    /// Tells all nodes at once. Whoever cannot be told now hears it when everything is told again.
    async fn spread(&self, view: &View, news: News) {
        let news = match news {
            News::Leads(leads) => Request::Leads(leads),
            News::Clean(logs) => Request::Clean(logs),
        };
        let news = news.encode();
        let others = view
            .catalog
            .nodes
            .keys()
            .filter(|node| **node != self.node.id);
        let tell = |node: &NodeId| self.peers.call(*node, news.clone(), SPREAD_TIMEOUT);
        futures_util::future::join_all(others.map(tell)).await;
    }

    async fn write_identity(&self) {
        let (data_dir, identity) = (self.data_dir.clone(), self.identity.clone());
        let write = move || data_dir.belongs(&identity);
        let written = tokio::task::spawn_blocking(write).await;
        if let Err(error) = written.expect("writing does not panic") {
            error!(%error, "the cluster's id could not be written down; the next start asks for it again");
        }
    }
}

async fn register(broker: &Broker, node: &Node) {
    let register = Command::RegisterNode(node.clone());
    let outcome = broker.propose(register, REGISTER_TIMEOUT).await;
    // A node that was removed is refused for good, and says no more than the cluster says of it.
    if !matches!(outcome, Ok(Outcome::Done)) {
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

/// Returns once the node stops, or once nobody could tell.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    _ = stopping.wait_for(|stopping| *stopping).await;
}
