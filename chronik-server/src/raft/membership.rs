//! Which replicas this node holds, how they begin, and how groups get from the members they have to those they should.

use bytes::Bytes;
use chronik_core::catalog::Topic;
use chronik_core::group::{Group, Lag, Settings as GroupSettings, Stored};
use chronik_core::ids::{GroupUid, NodeId, ReplicaId, TopicId};
use chronik_core::partition::Restore;
use chronik_core::plan::membership;
use chronik_core::wire::{Reader, WireError, Writer};
use chronik_wal::{Kind, Record, Task, Trim};

use super::Token;
use super::meta::Meta;
use super::records::Records;
use super::replica::{Replica, State};
use super::shard::Shard;

/// What a group's `GroupCreate` says, so that it can be built before the catalog is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Birth {
    pub(super) topic: TopicId,
    pub(super) partition: u32,
    /// The number of this node's replica.
    pub(super) replica: ReplicaId,
    /// In the order of preference. Without voters the replica joins a group that exists.
    pub(super) voters: Vec<ReplicaId>,
}

const BIRTH_VERSION: u8 = 2;

impl Shard {
    /// Begins the replicas of a topic that belong to this node and are not here yet, all in one cycle.
    pub(super) fn host(&mut self, topic: &Topic, first: usize) {
        let Some(me) = self.belong.as_ref().map(|belong| belong.replica) else {
            return;
        };
        for (number, partition) in topic.partitions.iter().enumerate().skip(first) {
            let group = partition.group;
            if !partition.replicas.contains(&self.settings.node) {
                self.statuses.entry(group).or_default();
                continue;
            }
            if let Some(replica) = self.replicas.get_mut(&group) {
                replica.preference.clone_from(&partition.replicas);
                continue;
            }
            let is_founder = partition.born.contains(&me);
            let birth = Birth {
                topic: topic.id,
                partition: number as u32,
                replica: me,
                voters: match is_founder {
                    true => partition.born.clone(),
                    false => Vec::new(),
                },
            };
            self.begin_replica(group, &birth, partition.replicas.clone());
        }
    }

    /// Begins a replica: its creation is in the log before anything of it.
    pub(super) fn begin_replica(
        &mut self,
        group: GroupUid,
        birth: &Birth,
        preference: Vec<NodeId>,
    ) {
        let start = match birth.voters.is_empty() {
            true => Trim::default(),
            false => Trim {
                index: 1,
                term: 1,
                offset: 0,
            },
        };
        let record = Record {
            index: start.index,
            term: start.term,
            ..Record::new(Kind::GroupCreate, group.0, birth.encode())
        };
        self.tasks.push(Task {
            records: vec![record],
            token: Token::Noted,
        });
        self.index.reset(group.0, start);
        let voters: Vec<u64> = birth.voters.iter().map(|voter| voter.0).collect();
        let settings = self.settings.of_group(group, birth.replica);
        let state = match group {
            GroupUid::META => {
                let stored = match voters.is_empty() {
                    true => Stored::empty(),
                    false => Stored::new(voters),
                };
                let applied = stored.applied.max(stored.trim.index);
                let group = Group::new(&settings, stored);
                State::Meta(Box::new(Meta::new(group, Default::default(), applied)))
            }
            _ => {
                let restore = match voters.is_empty() {
                    true => Restore::joining(),
                    false => Restore::born(voters),
                };
                State::Records(Box::new(Records::new(restore.into_replica(&settings))))
            }
        };
        let mut replica = Replica::new(state, preference);
        replica.status = self.statuses.entry(group).or_default().clone();
        self.replicas.insert(group, replica);
        self.touch(group);
        self.elect_newborn(group);
        self.deliver_held(group);
    }

    pub(super) fn destroy_group(&mut self, group: GroupUid) {
        let Some(mut replica) = self.replicas.remove(&group) else {
            return;
        };
        if let Some(records) = replica.records() {
            records.wake_all();
        }
        self.starting.remove(&group);
        self.index.remove(group.0);
        let records = vec![Record::new(Kind::GroupDestroy, group.0, Bytes::new())];
        self.tasks.push(Task {
            records,
            token: Token::Noted,
        });
        self.group_has_leader(group);
    }

    /// Every group that this node leads takes one step towards the members that it should have.
    pub(super) fn reconcile_members(&mut self) {
        if self.is_single() {
            return;
        }
        let Some(meta) = self.meta() else {
            return;
        };
        let catalog = meta.catalog.clone();
        let mut changed = Vec::new();
        for (uid, replica) in &mut self.replicas {
            if !replica.serves() {
                continue;
            }
            let nodes = match *uid {
                GroupUid::META => &catalog.meta_voters,
                _ => &replica.preference,
            };
            let wanted: Vec<u64> = nodes
                .iter()
                .map(|node| catalog.replica_on(*node).0)
                .collect();
            let members = replica.group().members();
            let is_right = members.learners.is_empty()
                && !members.is_joint()
                && members.voters.len() == wanted.len()
                && wanted.iter().all(|voter| members.voters.contains(voter));
            if is_right {
                continue;
            }
            let group = replica.group();
            let step = membership::next_step(&members, &wanted, &group.peers(), group.committed());
            let Some(changes) = step else {
                continue;
            };
            if replica.change_members(&changes).is_ok() {
                tracing::info!(group = %uid, ?changes, "members change");
                changed.push(*uid);
            }
        }
        changed.into_iter().for_each(|group| self.touch(group));
    }
}

impl super::shard::Settings {
    pub(super) fn of_group(&self, group: GroupUid, replica: ReplicaId) -> GroupSettings {
        let spread = (replica.node().0 + group.0) % self.election_ticks as u64;
        GroupSettings {
            uid: group,
            replica: replica.0,
            boot: self.boot,
            // Different on the voters of a group, as long as their nodes have neighbouring numbers.
            election_ticks: self.election_ticks + spread as usize,
            heartbeat_ticks: self.heartbeat_ticks,
            applies_entries: group == GroupUid::META,
            lag: Lag {
                most_ticks: self.lag_ticks,
                return_ticks: self.lag_return_ticks,
            },
        }
    }
}

impl Birth {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u8(BIRTH_VERSION)
            .raw(&self.topic.0)
            .u32(self.partition)
            .u64(self.replica.0)
            .count(self.voters.len());
        self.voters.iter().for_each(|voter| _ = out.u64(voter.0));
        out.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Birth, WireError> {
        let mut input = Reader::new(bytes);
        match input.u8()? {
            BIRTH_VERSION => {}
            other => return Err(input.unknown("group birth version", other.into())),
        }
        let topic = TopicId(input.array()?);
        let partition = input.u32()?;
        let replica = ReplicaId(input.u64()?);
        let voters = (0..input.count(8)?)
            .map(|_| Ok(ReplicaId(input.u64()?)))
            .collect::<Result<_, _>>()?;
        input.end()?;
        Ok(Birth {
            topic,
            partition,
            replica,
            voters,
        })
    }

    /// Whom to prefer as leader, until the catalog says it.
    pub(super) fn preference(&self) -> Vec<NodeId> {
        self.voters.iter().map(|voter| voter.node()).collect()
    }
}
