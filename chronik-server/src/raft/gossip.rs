//! What leaders tell all nodes of their groups: who leads, and who keeps up.
//!
//! Nodes with a replica learn leaders by Raft; the others, and everybody about replicas that lag, learn them here.

use std::collections::BTreeMap;

use chronik_core::ids::{GroupUid, NodeId};
use chronik_core::wire::{Reader, WireError, Writer};

use super::compaction::CleanLog;
use super::shard::Shard;

/// One group as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leads {
    pub(crate) group: GroupUid,
    pub(crate) epoch: i32,
    /// Nodes that hold it and do not keep up.
    pub(crate) lagging: Vec<NodeId>,
    /// The version of the catalog in which the move began that came to its end; 0 if none did.
    pub(crate) settled: u64,
}

/// What one node tells all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Leads(Vec<Leads>),
    /// How far the compacted logs are clean that it holds.
    Clean(Vec<CleanLog>),
}

/// What was told last, and when everything has to be told again.
#[derive(Default)]
pub(super) struct Gossip {
    told: BTreeMap<GroupUid, Leads>,
    rounds: u32,
}

/// Every so many rounds everything is told: somebody may have missed something.
const TELL_ALL_EVERY: u32 = 10;

impl Shard {
    /// Tells what changed of the groups that this node leads.
    pub(super) fn gossip(&mut self) {
        if self.is_single() {
            return;
        }
        self.gossip.rounds += 1;
        let tells_all = self.gossip.rounds.is_multiple_of(TELL_ALL_EVERY);
        let Some(catalog) = self.meta().map(|meta| meta.catalog.clone()) else {
            return;
        };
        let mut leads = BTreeMap::new();
        for (uid, replica) in &self.replicas {
            if !replica.serves() || *uid == GroupUid::META {
                continue;
            }
            let group = replica.group();
            let members = group.members();
            // A node that was wiped keeps up once its new replica votes, whatever the old one had.
            let keeps_up = |node: &NodeId| {
                let present = replica.number_of(*node, &catalog).0;
                members.voters.contains(&present) && group.is_in_sync(present)
            };
            let nodes = replica.preference.iter().copied();
            let lagging = nodes.filter(|node| !keeps_up(node)).collect();
            let settled = replica.moving.filter(|_| replica.has_arrived(&catalog));
            let told = Leads {
                group: *uid,
                epoch: replica.epoch(),
                lagging,
                settled: settled.unwrap_or(0),
            };
            replica.status.set_lagging(&told.lagging);
            leads.insert(*uid, told);
        }
        let settled: Vec<Leads> = leads
            .values()
            .filter(|told| told.settled != 0)
            .cloned()
            .collect();
        self.finish_moves(&settled);
        let is_news = |told: &&Leads| tells_all || self.gossip.told.get(&told.group) != Some(told);
        let news: Vec<Leads> = leads.values().filter(is_news).cloned().collect();
        self.gossip.told = leads;
        if !news.is_empty() {
            // Whoever carries it is busy: the next round that tells all makes up for it.
            let _ = self.news.try_send(News::Leads(news));
        }
        if tells_all {
            let logs = self.clean_logs();
            if !logs.is_empty() {
                let _ = self.news.try_send(News::Clean(logs));
            }
        }
    }

    /// A node came in a new life: it keeps up nowhere until leaders say so.
    pub(super) fn note_new_life(&mut self, node: NodeId) {
        let Some(meta) = self.meta() else {
            return;
        };
        let topics = meta.catalog.topics.values();
        let partitions = topics.flat_map(|topic| &topic.partitions);
        for partition in partitions.filter(|partition| partition.replicas.contains(&node)) {
            if let Some(status) = self.statuses.get(&partition.group) {
                status.add_lagging(node);
            }
        }
    }

    /// What another node says of the groups that it leads.
    pub(super) fn hear(&mut self, from: NodeId, news: Vec<Leads>) {
        self.finish_moves(&news);
        for Leads {
            group,
            epoch,
            lagging,
            settled: _,
        } in news
        {
            let Some(status) = self.statuses.get(&group).cloned() else {
                continue;
            };
            let known = status.leader();
            let is_hosted = self.replicas.contains_key(&group);
            if !is_hosted && epoch >= known.epoch {
                status.publish(epoch, Some(from));
                if known.node != Some(from) {
                    self.leader_changes.send_modify(|changes| *changes += 1);
                }
                self.group_has_leader(group);
            }
            if epoch >= known.epoch {
                status.set_lagging(&lagging);
            }
        }
    }
}

impl Leads {
    pub(crate) fn write(&self, out: &mut Writer) {
        out.u64(self.group.0)
            .i32(self.epoch)
            .count(self.lagging.len());
        self.lagging.iter().for_each(|node| _ = out.u64(node.0));
        out.u64(self.settled);
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Leads, WireError> {
        Ok(Leads {
            group: GroupUid(input.u64()?),
            epoch: input.i32()?,
            lagging: (0..input.count(8)?)
                .map(|_| Ok(NodeId(input.u64()?)))
                .collect::<Result<_, _>>()?,
            settled: input.u64()?,
        })
    }
}
