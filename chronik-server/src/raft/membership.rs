//! Which replicas this node holds, how they begin, and how groups get from the members they have to those they should.

use std::sync::Arc;

use bytes::Bytes;
use chronik_core::catalog::{Catalog, Command, Origin, Partition, Proposal, Topic};
use chronik_core::group::{Change, Group, Lag, Settings as GroupSettings, Stored};
use chronik_core::ids::{GroupUid, NodeId, ReplicaId, TopicId};
use chronik_core::partition::Restore;
use chronik_core::plan::membership;
use chronik_core::wire::{Reader, WireError, Writer};
use chronik_wal::{Kind, Record, Task, Trim};

use super::Token;
use super::gossip::Leads;
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

/// A replica that begins, and what the log says of it.
pub(super) struct Begun {
    pub(super) state: State,
    /// Where its log begins.
    pub(super) start: Trim,
    /// What stands behind its creation, if more than that is known.
    pub(super) records: Vec<Record>,
}

const BIRTH_VERSION: u8 = 2;
/// Groups with a replica that catches up, of those that one node leads: moves wait for each other, so that clients do
/// not wait for moves.
const MOST_LEARNING: usize = 16;

impl Shard {
    /// Begins the replicas of a topic that belong to this node and are not here yet, all in one cycle.
    pub(super) fn host(&mut self, topic: &Topic, first: usize) {
        let Some(me) = self.belong.as_ref().map(|belong| belong.replica) else {
            return;
        };
        let node = self.settings.node;
        for (number, partition) in topic.partitions.iter().enumerate().skip(first) {
            let group = partition.group;
            let me = me.again(partition.times_left(node));
            // One that left the group has nothing to say in it any more. This catalog may be older than the replica,
            // as after a restart: only what it says to have left is destroyed.
            let is_stale = |replica: &Replica| {
                ReplicaId(replica.group().replica()).times() < partition.times_left(node)
            };
            if self.replicas.get(&group).is_some_and(is_stale) {
                tracing::info!(%group, "a replica that moved away is destroyed");
                self.destroy_group(group);
            }
            if let Some(replica) = self.replicas.get_mut(&group) {
                replica.follow(topic, partition);
                continue;
            }
            let is_founder = partition.born.contains(&me);
            // A new cluster begins with one node that has everything, until the others are there.
            let has_all_of_it = is_founder && self.seeds.has(group);
            if !partition.replicas.contains(&node) && !has_all_of_it {
                self.statuses.entry(group).or_default();
                continue;
            }
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
            if let Some(replica) = self.replicas.get_mut(&group) {
                replica.follow(topic, partition);
            }
        }
    }

    /// Begins a replica: its creation is in the log before anything of it.
    pub(super) fn begin_replica(
        &mut self,
        group: GroupUid,
        birth: &Birth,
        preference: Vec<NodeId>,
    ) {
        let settings = self.settings.of_group(group, birth.replica);
        let begun = self.seeds.take(group, &settings);
        let begun = begun.unwrap_or_else(|| birth.begin(&settings));
        let created_at = match begun.records.is_empty() {
            true => begun.start,
            // What follows says where the log begins.
            false => Trim::default(),
        };
        let created = Record {
            index: created_at.index,
            term: created_at.term,
            ..Record::new(Kind::GroupCreate, group.0, birth.encode())
        };
        self.tasks.push(Task {
            records: std::iter::once(created).chain(begun.records).collect(),
            token: Token::Noted,
        });
        self.index.reset(group.0, begun.start);
        let mut replica = Replica::new(begun.state, preference);
        replica.status = self.statuses.entry(group).or_default().clone();
        self.replicas.insert(group, replica);
        self.touch(group);
        self.elect_newborn(group);
        self.deliver_held(group);
    }

    /// Whoever reads the destruction in the log finds before it that the metadata group had committed the reason for it:
    /// a catalog that is older would begin the replica again, empty, with a number that has voted.
    pub(super) fn destroy_group(&mut self, group: GroupUid) {
        let Some(mut replica) = self.replicas.remove(&group) else {
            return;
        };
        if let Some(records) = replica.records() {
            records.wake_all();
        }
        self.starting.remove(&group);
        self.index.remove(group.0);
        self.compaction.forget(group);
        let meta = self.meta().map(|meta| meta.group.hard_state().encode());
        let reason = meta.map(|state| Record::new(Kind::HardState, GroupUid::META.0, state));
        let end = Record::new(Kind::GroupDestroy, group.0, Bytes::new());
        let records = reason.into_iter().chain([end]).collect();
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
        self.pace_moves();
        let mut learning = self.learning();
        let mut steps = Vec::new();
        for (uid, replica) in &self.replicas {
            if !replica.serves() || replica.is_as_it_should_be(&catalog) {
                continue;
            }
            let group = replica.group();
            let (voters, learners) = replica.wanted(&catalog);
            let (peers, committed) = (group.peers(), group.committed());
            let members = group.members();
            let step = membership::next_step(&members, &voters, &learners, &peers, committed);
            // A vote is not throttled: whoever has one gets all that it lacks at once.
            let waits = |change: &Change| matches!(change, Change::Voter(replica) if group.waits_for_release(*replica));
            if step.iter().flatten().any(waits) {
                continue;
            }
            let begins = step
                .iter()
                .flatten()
                .any(|change| matches!(change, Change::Learner(_)));
            if begins && *uid != GroupUid::META {
                if learning >= MOST_LEARNING {
                    continue;
                }
                learning += 1;
            }
            if let Some(changes) = step {
                steps.push((*uid, changes));
            }
        }
        steps
            .into_iter()
            .for_each(|(group, changes)| self.take_step(group, changes));
    }

    /// Whether this node may begin to copy one more group.
    pub(super) fn has_turns(&self) -> bool {
        self.learning() < MOST_LEARNING
    }

    /// Groups with a replica that catches up, of those that this node leads. One that stands still for an operator takes
    /// no turn from others.
    fn learning(&self) -> usize {
        let catalog = self.meta().map(|meta| &meta.catalog);
        let learns = |replica: &&Replica| {
            let is_paused = catalog.is_some_and(|catalog| replica.is_paused(catalog));
            !is_paused && !replica.group().members().learners.is_empty()
        };
        let led = self.replicas.values().filter(|replica| replica.serves());
        led.filter(learns).count()
    }

    /// A leader that is to leave goes last, and hands over first: whoever waits for it then waits for no election.
    fn take_step(&mut self, group: GroupUid, mut changes: Vec<Change>) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let me = replica.group().replica();
        let leaves = |change: &Change| matches!(change, Change::Remove(replica) if *replica == me);
        let is_last = changes.iter().all(leaves);
        changes.retain(|change| !leaves(change));
        if is_last {
            self.transfer_away(group);
        } else if replica.change_members(&changes).is_ok() {
            tracing::info!(%group, ?changes, "members change");
            self.touch(group);
        }
    }

    /// Moves whose groups have the members that they were to have are over: the leader of the metadata group says so.
    pub(super) fn finish_moves(&mut self, news: &[Leads]) {
        let leads = |meta: &&Meta| meta.group.serves();
        if news.iter().all(|told| told.settled == 0) || self.meta().filter(leads).is_none() {
            return;
        }
        let Some(meta) = self.meta() else {
            return;
        };
        let is_over = |partition: &Partition| {
            let told = news.iter().find(|told| told.group == partition.group);
            told.is_some_and(|told| told.settled == partition.moved_at)
        };
        let moving = meta.catalog.moving();
        let over = moving.filter(|(_, _, partition)| is_over(partition));
        let finish = |(topic, number, partition): (&Arc<Topic>, usize, &Partition)| Proposal {
            // Nobody waits for the answer.
            origin: Origin {
                boot: self.settings.boot,
                number: 0,
            },
            command: Command::FinishMove {
                topic: topic.id,
                partition: number as u32,
                moved_at: partition.moved_at,
            },
        };
        let proposals: Vec<Proposal> = over.map(finish).collect();
        for proposal in proposals {
            // Whoever leads next hears of it again.
            let _ = self.propose(&proposal);
        }
    }
}

impl Replica {
    /// The numbers of those that should vote in the group now, and of those that should only learn.
    fn wanted(&self, catalog: &Catalog) -> (Vec<u64>, Vec<u64>) {
        if self.is_paused(catalog) {
            let present = |number: u64| self.number_of(ReplicaId(number).node(), catalog).0;
            return membership::as_they_are(&self.group().members(), present);
        }
        self.destination(catalog)
    }

    /// Who should vote in the group, and who should only learn, once its move has arrived.
    fn destination(&self, catalog: &Catalog) -> (Vec<u64>, Vec<u64>) {
        let number = |node: NodeId| self.number_of(node, catalog).0;
        match self.uid() {
            GroupUid::META => {
                let voters = catalog.meta_voters.iter().copied();
                let learners = catalog.meta_learners();
                (voters.map(number).collect(), learners.map(number).collect())
            }
            _ => {
                let voters = self.preference.iter().copied();
                (voters.map(number).collect(), Vec::new())
            }
        }
    }

    /// Whether the group has exactly the members that it should have now.
    fn is_as_it_should_be(&self, catalog: &Catalog) -> bool {
        self.has_exactly(self.wanted(catalog))
    }

    /// Whether the group has exactly the members that its move wants.
    pub(super) fn has_arrived(&self, catalog: &Catalog) -> bool {
        self.has_exactly(self.destination(catalog))
    }

    fn has_exactly(&self, (voters, learners): (Vec<u64>, Vec<u64>)) -> bool {
        let is_same = |some: &[u64], others: &[u64]| {
            some.len() == others.len() && some.iter().all(|one| others.contains(one))
        };
        let members = self.group().members();
        !members.is_joint()
            && is_same(&members.voters, &voters)
            && is_same(&members.learners, &learners)
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
            planted: self.planted,
        }
    }
}

impl Birth {
    /// A replica of a group that is born, or one that joins a group.
    fn begin(&self, settings: &GroupSettings) -> Begun {
        let voters: Vec<u64> = self.voters.iter().map(|voter| voter.0).collect();
        let start = match voters.is_empty() {
            true => Trim::default(),
            false => Trim {
                index: 1,
                term: 1,
                offset: 0,
            },
        };
        let state = match settings.uid {
            GroupUid::META => {
                let stored = match voters.is_empty() {
                    true => Stored::empty(),
                    false => Stored::new(voters),
                };
                let applied = stored.applied.max(stored.trim.index);
                let group = Group::new(settings, stored);
                State::Meta(Box::new(Meta::new(group, Catalog::default(), applied)))
            }
            _ => {
                let restore = match voters.is_empty() {
                    true => Restore::joining(),
                    false => Restore::born(voters),
                };
                State::Records(Box::new(Records::new(restore.into_replica(settings))))
            }
        };
        Begun {
            state,
            start,
            records: Vec::new(),
        }
    }

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
