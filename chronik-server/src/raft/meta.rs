//! The metadata group's commands: proposed here, applied here, and answered when their groups can be used.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chronik_core::catalog::{Command, Outcome, Topic, TopicOutcome};
use chronik_core::group::eraftpb::Entry;
use chronik_core::group::{Group, Settings as GroupSettings, Stored};
use chronik_core::ids::{GroupUid, TopicId};
use chronik_core::wire::{Reader, WireError, Writer};
use chronik_wal::{Kind, Record, Task, Trim};
use tokio::sync::oneshot;
use tracing::info;

use super::Token;
use super::event::ProposeError;
use super::replica::{MetaState, Replica, State};
use super::shard::Shard;
use crate::broker::view::View;
use crate::metrics::{CatalogMetrics, TopicPhase};

type Answer<T> = oneshot::Sender<Result<T, ProposeError>>;

/// Commands that are on their way, and who waits for what.
#[derive(Default)]
pub(super) struct Proposals {
    by_index: BTreeMap<u64, Proposer>,
    /// Creations that are applied, but whose groups do not all lead yet.
    creations: Vec<Creation>,
    producer_ids: Range<i64>,
    producer_id_waiters: Vec<Answer<i64>>,
}

/// Who made a proposal.
pub(super) enum Proposer {
    Client {
        reply: Answer<Outcome>,
        asked_at: Instant,
    },
    /// The shard itself wants more producer ids.
    ProducerIds,
    Nobody,
}

struct Creation {
    missing: BTreeSet<GroupUid>,
    outcome: Outcome,
    proposer: Proposer,
}

/// What a group's `GroupCreate` says, so that it can be built before the catalog is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Birth {
    pub(super) topic: TopicId,
    pub(super) partition: u32,
    pub(super) voters: Vec<u64>,
}

/// One proposal buys this many producer ids.
const PRODUCER_ID_BLOCK: u32 = 1000;
const BIRTH_VERSION: u8 = 1;

impl Shard {
    pub(super) fn propose(&mut self, command: Command, proposer: Proposer) {
        // What frees space is taken as long as there is any.
        let grows = matches!(
            command,
            Command::CreateTopics(_) | Command::AddPartitions { .. }
        );
        if self.disk_full && grows {
            proposer.answer(Err(ProposeError::DiskFull));
            return;
        }
        let proposed = match self.replicas.get_mut(&GroupUid::META) {
            Some(replica) => replica.group.propose([command.encode()]).ok(),
            None => None,
        };
        match proposed {
            Some(index) => {
                self.proposals.by_index.insert(index, proposer);
                self.touch(GroupUid::META);
            }
            None => proposer.answer(Err(ProposeError::NotLeader)),
        }
    }

    pub(super) fn producer_id(&mut self, reply: Answer<i64>) {
        if let Some(id) = self.proposals.producer_ids.next() {
            let _ = reply.send(Ok(id));
            return;
        }
        self.proposals.producer_id_waiters.push(reply);
        if self.proposals.producer_id_waiters.len() == 1 {
            let command = Command::TakeProducerIds {
                count: PRODUCER_ID_BLOCK,
            };
            self.propose(command, Proposer::ProducerIds);
            if !self
                .proposals
                .by_index
                .values()
                .any(|proposer| matches!(proposer, Proposer::ProducerIds))
            {
                self.proposals.refuse_producer_ids();
            }
        }
    }

    /// Applies committed commands in order, publishes the result, and only then answers.
    pub(super) fn apply(&mut self, group: GroupUid, entries: Vec<Entry>) {
        assert_eq!(group, GroupUid::META, "records are not applied");
        let mut outcomes = Vec::with_capacity(entries.len());
        for entry in entries {
            let outcome = self.apply_one(&entry);
            let proposer = self
                .proposals
                .by_index
                .remove(&entry.index)
                .unwrap_or(Proposer::Nobody);
            outcomes.extend(outcome.map(|outcome| (outcome, proposer)));
        }
        self.publish_view();
        for (outcome, proposer) in outcomes {
            self.answer(outcome, proposer);
        }
        self.note_started();
    }

    /// Builds a partition's group, unless a replayed command finds it here already.
    fn create_group(&mut self, topic: &Topic, partition: usize) {
        let group = topic.partitions[partition].group;
        if self.replicas.contains_key(&group) {
            return;
        }
        let birth = Birth {
            topic: topic.id,
            partition: partition as u32,
            voters: vec![self.settings.replica],
        };
        self.birth(group, birth.encode(), State::Records(Box::default()));
    }

    /// Begins a group: its creation is in the log before anything of it.
    pub(super) fn birth(&mut self, group: GroupUid, birth: Bytes, state: State) {
        let record = Record {
            index: 1,
            term: 1,
            ..Record::new(Kind::GroupCreate, group.0, birth)
        };
        self.tasks.push(Task {
            records: vec![record],
            token: Token::Noted,
        });
        self.index.reset(
            group.0,
            Trim {
                index: 1,
                term: 1,
                offset: 0,
            },
        );
        let stored = Stored::new(vec![self.settings.replica]);
        let settings = self.group_settings(group);
        let mut replica = Replica::new(Group::new(&settings, stored), state);
        replica.group.campaign();
        self.statuses.insert(group, replica.status.clone());
        self.replicas.insert(group, replica);
        self.touch(group);
    }

    pub(super) fn group_settings(&self, group: GroupUid) -> GroupSettings {
        GroupSettings {
            uid: group,
            replica: self.settings.replica,
            // The only voter asks nobody, so nobody could answer an earlier life.
            boot: 0,
            election_ticks: self.settings.election_ticks,
            heartbeat_ticks: self.settings.heartbeat_ticks,
            applies_entries: group == GroupUid::META,
        }
    }

    pub(super) fn meta(&self) -> Option<&MetaState> {
        match &self.replicas.get(&GroupUid::META)?.state {
            State::Meta(meta) => Some(meta),
            State::Records(_) => None,
        }
    }

    pub(super) fn publish_view(&mut self) {
        let Some(meta) = self.meta() else {
            return;
        };
        let catalog = meta.catalog.clone();
        let groups = self.statuses.clone();
        self.view.send_replace(Arc::new(View { catalog, groups }));
    }

    fn apply_one(&mut self, entry: &Entry) -> Option<Outcome> {
        let replica = self
            .replicas
            .get_mut(&GroupUid::META)
            .expect("the metadata group applies");
        let State::Meta(meta) = &mut replica.state else {
            unreachable!("the metadata group has the catalog");
        };
        meta.applied = entry.index;
        replica.dirty = true;
        let outcome = (!entry.data.is_empty()).then(|| {
            let command = Command::decode(&entry.data)
                .expect("a committed command was encoded by this format");
            meta.catalog.apply(command)
        });
        replica.group.applied(entry.index);
        replica.group.evict(entry.index);
        self.touch(GroupUid::META);
        if let Some(Outcome::Topics(topics)) = &outcome {
            topics.iter().for_each(|topic| self.follow(topic));
        }
        outcome
    }

    /// Makes the groups of this node match what happened to a topic.
    fn follow(&mut self, outcome: &TopicOutcome) {
        match outcome {
            TopicOutcome::Created(topic) => self.create_groups(topic, 0),
            TopicOutcome::Extended { topic, first } => self.create_groups(topic, *first),
            TopicOutcome::Deleted(topic) => {
                info!(topic = &*topic.name, "topic deleted");
                topic
                    .partitions
                    .iter()
                    .for_each(|partition| self.destroy_group(partition.group));
            }
            TopicOutcome::Refused(_) => {}
        }
    }

    fn create_groups(&mut self, topic: &Topic, first: usize) {
        info!(
            topic = &*topic.name,
            partitions = topic.partitions.len(),
            first,
            "topic partitions created"
        );
        (first..topic.partitions.len()).for_each(|partition| self.create_group(topic, partition));
    }

    fn destroy_group(&mut self, group: GroupUid) {
        let Some(mut replica) = self.replicas.remove(&group) else {
            return;
        };
        if let Some(records) = replica.records() {
            records.leadership_lost();
        }
        self.statuses.remove(&group);
        self.index.remove(group.0);
        let records = vec![Record::new(Kind::GroupDestroy, group.0, Bytes::new())];
        self.tasks.push(Task {
            records,
            token: Token::Noted,
        });
    }

    fn answer(&mut self, outcome: Outcome, proposer: Proposer) {
        let metrics = &self.metrics.catalog;
        match (proposer, &outcome) {
            (Proposer::ProducerIds, Outcome::ProducerIds { first }) => {
                self.proposals.took_producer_ids(*first)
            }
            (proposer, Outcome::Topics(topics)) => {
                let created: Vec<_> = topics.iter().flat_map(new_groups).collect();
                let creates = !created.is_empty();
                if creates {
                    proposer.note_phase(TopicPhase::Commit, metrics);
                }
                let leads = |group: &GroupUid| self.replicas.get(group).is_none_or(Replica::leads);
                let is_missing = |group: &GroupUid| !leads(group);
                let missing: BTreeSet<_> = created.into_iter().filter(is_missing).collect();
                match missing.is_empty() {
                    true => {
                        if creates {
                            proposer.note_phase(TopicPhase::Total, metrics);
                        }
                        proposer.answer(Ok(outcome));
                    }
                    false => self.proposals.creations.push(Creation {
                        missing,
                        outcome,
                        proposer,
                    }),
                }
            }
            (proposer, _) => proposer.answer(Ok(outcome)),
        }
    }
}

impl Proposals {
    pub(super) fn group_is_ready(&mut self, group: GroupUid, metrics: &CatalogMetrics) {
        self.creations
            .iter_mut()
            .for_each(|creation| _ = creation.missing.remove(&group));
        for creation in self
            .creations
            .extract_if(.., |creation| creation.missing.is_empty())
        {
            creation.proposer.note_phase(TopicPhase::Total, metrics);
            creation.proposer.answer(Ok(creation.outcome));
        }
    }

    fn took_producer_ids(&mut self, first: i64) {
        self.producer_ids = first..first + i64::from(PRODUCER_ID_BLOCK);
        for waiter in self.producer_id_waiters.drain(..) {
            let id = self.producer_ids.next().ok_or(ProposeError::TimedOut);
            let _ = waiter.send(id);
        }
    }

    fn refuse_producer_ids(&mut self) {
        self.producer_id_waiters
            .drain(..)
            .for_each(|waiter| _ = waiter.send(Err(ProposeError::NotLeader)));
    }
}

impl Proposer {
    fn answer(self, result: Result<Outcome, ProposeError>) {
        if let Proposer::Client { reply, .. } = self {
            let _ = reply.send(result);
        }
    }

    fn note_phase(&self, phase: TopicPhase, metrics: &CatalogMetrics) {
        if let Proposer::Client { asked_at, .. } = self {
            metrics.topic_creation.at(phase).observe(asked_at.elapsed());
        }
    }
}

impl From<Answer<Outcome>> for Proposer {
    fn from(reply: Answer<Outcome>) -> Proposer {
        Proposer::Client {
            reply,
            asked_at: Instant::now(),
        }
    }
}

impl Birth {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u8(BIRTH_VERSION)
            .raw(&self.topic.0)
            .u32(self.partition)
            .count(self.voters.len());
        self.voters.iter().for_each(|voter| _ = out.u64(*voter));
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
        let voters = (0..input.count(8)?)
            .map(|_| input.u64())
            .collect::<Result<_, _>>()?;
        input.end()?;
        Ok(Birth {
            topic,
            partition,
            voters,
        })
    }
}

fn new_groups(outcome: &TopicOutcome) -> Vec<GroupUid> {
    let (topic, first) = match outcome {
        TopicOutcome::Created(topic) => (topic, 0),
        TopicOutcome::Extended { topic, first } => (topic, *first),
        TopicOutcome::Deleted(_) | TopicOutcome::Refused(_) => return Vec::new(),
    };
    topic.partitions[first..]
        .iter()
        .map(|partition| partition.group)
        .collect()
}
