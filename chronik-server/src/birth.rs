//! How a node with an empty directory comes to belong to a cluster: it founds one with others that are empty, or joins.
//!
//! Founders take part in their first life, all with the same list of voters, so a node may be one only if nobody can
//! hold it for a node that was wiped. Whoever founds names the directories that it saw empty; a node that finds itself
//! missing there waits for the cluster and joins it with a number of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chronik_core::ids::NodeId;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::Config;
use crate::data_dir::Identity;
use crate::neighbours::{Directory, Reply, Request, Standing};
use crate::peer::Peers;

/// What an empty node is told by the others, and what it tells them.
pub(crate) struct Birth<'a> {
    pub(crate) config: &'a Config,
    pub(crate) peers: &'a Peers,
    pub(crate) standing: &'a watch::Sender<Standing>,
    /// What is waited for, for operators.
    pub(crate) waiting_for: &'a watch::Sender<Option<String>>,
}

/// An answer takes a round trip; a node that is there answers within this.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
/// A proposal to the cluster that is joined takes a commit.
const JOIN_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two looks at nodes that are not there: nobody tells when they start.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A majority waits for the rest so long, so that nodes started together found together.
const WAIT_FOR_ALL: Duration = Duration::from_secs(1);
/// How often the log repeats what is waited for.
const SAY_AGAIN: Duration = Duration::from_secs(10);

impl Birth<'_> {
    /// Waits until this node belongs to a cluster, and returns what it is there.
    pub(crate) async fn belong(&self, identity: Identity) -> Identity {
        let mut majority_since = None;
        let mut said_at: Option<Instant> = None;
        loop {
            let answers = self.ask_all().await;
            if let Some(joined) = self.try_join(&identity, &answers).await {
                return joined;
            }
            match self.may_found(&identity, &answers) {
                Founding::Now => return self.found(identity, &answers),
                Founding::OnceAllHadTime => {
                    let since = *majority_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= WAIT_FOR_ALL {
                        return self.found(identity, &answers);
                    }
                }
                Founding::Not => majority_since = None,
            }
            let reason = self.what_is_missing(&identity, &answers);
            if said_at.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
                info!("{reason}");
                said_at = Some(Instant::now());
            }
            self.waiting_for.send_replace(Some(reason));
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn others(&self) -> impl Iterator<Item = NodeId> {
        let me = self.config.node.id;
        let peers = self.config.cluster.peers.iter();
        peers
            .filter(move |peer| peer.id != me)
            .map(|peer| NodeId(peer.id.into()))
    }

    async fn ask_all(&self) -> BTreeMap<NodeId, Standing> {
        let probe = Request::Probe {
            peers: peers_hash(self.config),
        };
        let probe = &probe;
        let asked = self.others().map(|node| async move {
            let answer = ask(self.peers, node, probe, ASK_TIMEOUT).await;
            (node, answer)
        });
        let mut standings = BTreeMap::new();
        for (node, answer) in futures_util::future::join_all(asked).await {
            match answer {
                Some(Reply::Standing(standing)) => _ = standings.insert(node, standing),
                Some(Reply::Refused(reason)) => warn!(%node, "{reason}"),
                _ => {}
            }
        }
        standings
    }

    /// Whoever belongs to a cluster lets this node in, with the number of a new life.
    async fn try_join(
        &self,
        identity: &Identity,
        answers: &BTreeMap<NodeId, Standing>,
    ) -> Option<Identity> {
        let members = answers
            .iter()
            .filter_map(|(node, standing)| match standing {
                Standing::Member { cluster_id } => Some((*node, cluster_id)),
                _ => None,
            });
        let members: Vec<(NodeId, &Arc<str>)> = members.collect();
        let (_, id) = members.first()?;
        if let Some((node, other)) = members.iter().find(|(_, other)| other != id) {
            warn!(%node, "two clusters meet here, {id} and {other}: this node joins neither");
            return None;
        }
        if let Some(configured) = &self.config.cluster.id
            && **configured != ***id
        {
            warn!(
                "`cluster.id` is {configured}, but the nodes of `cluster.peers` belong to {id}: this node does not join"
            );
            return None;
        }
        if identity.is_expected() && identity.cluster_id != ***id {
            let own = &identity.cluster_id;
            warn!(
                "this node was restored for cluster {own}, but the nodes of `cluster.peers` belong to {id}: it does not join"
            );
            return None;
        }
        let join = Request::Join {
            directory: identity.node_uuid,
        };
        for (node, _) in &members {
            match ask(self.peers, *node, &join, JOIN_TIMEOUT).await {
                Some(Reply::Admitted {
                    incarnation,
                    cluster_id,
                }) => {
                    info!(cluster = %cluster_id, incarnation, "this node joins a cluster");
                    return Some(Identity {
                        cluster_id: cluster_id.to_string(),
                        incarnation,
                        founders: Vec::new(),
                        ..identity.clone()
                    });
                }
                Some(Reply::Refused(reason)) => warn!(%node, "not admitted: {reason}"),
                _ => {}
            }
        }
        None
    }

    fn may_found(&self, identity: &Identity, answers: &BTreeMap<NodeId, Standing>) -> Founding {
        let me = (NodeId(self.config.node.id.into()), identity.node_uuid);
        let founders: Vec<&Vec<(NodeId, Directory)>> = answers
            .values()
            .filter_map(|standing| match standing {
                Standing::Founding { seen } => Some(seen),
                _ => None,
            })
            .collect();
        let is_member = |standing: &Standing| matches!(standing, Standing::Member { .. });
        if identity.is_expected()
            || answers.values().any(is_member)
            || founders.iter().any(|seen| !seen.contains(&me))
        {
            return Founding::Not;
        }
        let nodes = self.config.cluster.nodes();
        let present = answers.len() + 1;
        match present > nodes / 2 {
            // Somebody began and counts on this node.
            _ if !founders.is_empty() => Founding::Now,
            true if present == nodes => Founding::Now,
            true => Founding::OnceAllHadTime,
            false => Founding::Not,
        }
    }

    fn found(&self, identity: Identity, answers: &BTreeMap<NodeId, Standing>) -> Identity {
        let empty = answers
            .iter()
            .filter_map(|(node, standing)| match standing {
                Standing::Empty { directory } => Some((*node, *directory)),
                _ => None,
            });
        let seen: Vec<_> = empty.collect();
        info!(with = ?seen.iter().map(|(node, _)| node.0).collect::<Vec<_>>(), "this node founds a cluster");
        self.standing
            .send_replace(Standing::Founding { seen: seen.clone() });
        let mut founders: Vec<u32> = self
            .config
            .cluster
            .peers
            .iter()
            .map(|peer| peer.id)
            .collect();
        founders.sort_unstable();
        Identity {
            cluster_id: String::new(),
            incarnation: 1,
            founders,
            seen: seen
                .into_iter()
                .filter_map(|(node, directory)| Some((u32::try_from(node.0).ok()?, directory)))
                .collect(),
            ..identity
        }
    }

    fn what_is_missing(&self, identity: &Identity, answers: &BTreeMap<NodeId, Standing>) -> String {
        if identity.is_expected() {
            return format!(
                "the node was restored from a snapshot of cluster {} and waits until a majority of it lets it in; if all nodes are lost, restore it with --new-cluster",
                identity.cluster_id
            );
        }
        let silent: Vec<String> = self
            .others()
            .filter(|node| !answers.contains_key(node))
            .map(|node| node.to_string())
            .collect();
        match silent.is_empty() {
            true => "the node waits for its cluster: the others are about to found it, or have no majority to let it in".to_owned(),
            false => format!(
                "the node has no data and waits for its cluster: no answer from node {} of `cluster.peers`",
                silent.join(" and ")
            ),
        }
    }
}

enum Founding {
    Now,
    OnceAllHadTime,
    Not,
}

/// Stands for the list of peers, so that nodes with different lists do not found different clusters.
pub(crate) fn peers_hash(config: &Config) -> u64 {
    let mut ids: Vec<u32> = config.cluster.peers.iter().map(|peer| peer.id).collect();
    ids.sort_unstable();
    // FNV-1a: the same everywhere, and nobody attacks it.
    ids.into_iter()
        .flat_map(u32::to_be_bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

async fn ask(peers: &Peers, node: NodeId, request: &Request, deadline: Duration) -> Option<Reply> {
    let answer = peers.call(node, request.encode(), deadline).await.ok()?;
    Reply::decode(&answer).ok()
}
