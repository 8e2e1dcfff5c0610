//! The metadata group: proposals of any node come in, every node applies them in the same order, and who made one is
//! answered where it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use chronik_core::catalog::{Catalog, Command, Origin, Outcome, Proposal, Topic, TopicOutcome};
use chronik_core::group::eraftpb::Entry;
use chronik_core::group::{Action, Group, Install};
use chronik_core::ids::{GroupUid, NodeId, ReplicaId};
use chronik_core::partition::Order;
use chronik_core::wire::Writer;
use tokio::sync::oneshot;
use tracing::info;

use super::event::ProposeError;
use super::records::Ticket;
use super::recovery::{Belong, MetaBirth};
use super::replica::State;
use super::shard::Shard;
use crate::broker::view::View;
use crate::metrics::TopicPhase;

/// The metadata group's replica and what its entries made.
pub(super) struct Meta {
    pub(super) group: Group,
    pub(super) catalog: Catalog,
    pub(super) applied: u64,
    actions: Vec<Action>,
}

/// What this node proposed and waits for.
#[derive(Default)]
pub(super) struct Proposals {
    waiting: BTreeMap<u64, Waiting>,
    /// Creations that are applied, but whose groups do not all have a leader yet.
    creations: Vec<Creation>,
    producer_ids: Range<i64>,
    /// The cluster was founded from here, or is about to be.
    has_founded: bool,
}

struct Waiting {
    reply: oneshot::Sender<Outcome>,
    asked_at: Instant,
}

struct Creation {
    missing: BTreeSet<GroupUid>,
    outcome: Outcome,
    waiting: Waiting,
}

const META_STATE_VERSION: u8 = 2;
/// Applied entries that stay in memory for nodes that lag a little.
const KEPT_ENTRIES: u64 = 256;

impl Meta {
    pub(super) fn new(group: Group, catalog: Catalog, applied: u64) -> Meta {
        Meta {
            group,
            catalog,
            applied,
            actions: Vec::new(),
        }
    }

    pub(super) fn drain(&mut self, out: &mut Vec<Order<Ticket>>) {
        loop {
            let mut actions = std::mem::take(&mut self.actions);
            self.group.drain(&mut actions);
            let offers = self.hand_on(&mut actions, out);
            self.actions = actions;
            if !offers {
                return;
            }
        }
    }

    pub(super) fn persisted(&mut self, number: u64, out: &mut Vec<Order<Ticket>>) {
        let mut actions = std::mem::take(&mut self.actions);
        self.group.persisted(number, &mut actions);
        self.hand_on(&mut actions, out);
        self.actions = actions;
    }

    /// The whole state, for a checkpoint.
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u8(META_STATE_VERSION)
            .u64(self.applied)
            .blob(&self.catalog.encode());
        self.group.stored().encode(&mut out);
        out.finish()
    }

    /// What a snapshot of another node says replaces everything.
    fn install(&mut self, install: &Install) {
        self.catalog =
            Catalog::decode(&install.state).expect("a leader of this version wrote this snapshot");
        self.applied = install.trim.index;
    }

    /// Says whether a snapshot was offered, which lets the group go on.
    fn hand_on(&mut self, actions: &mut Vec<Action>, out: &mut Vec<Order<Ticket>>) -> bool {
        let mut offers = false;
        for action in actions.drain(..) {
            match action {
                Action::Committed { .. } => {}
                Action::SnapshotWanted => {
                    self.group
                        .offer_snapshot(self.applied, self.catalog.encode());
                    offers = true;
                }
                Action::Persist(persist) => {
                    if let Some(install) = &persist.install {
                        self.install(install);
                    }
                    out.push(Order::Group(Action::Persist(persist)));
                }
                action => out.push(Order::Group(action)),
            }
        }
        offers
    }
}

/// Reads what [`Meta::encode`] wrote, up to the group's own part.
pub(super) fn decode_state(
    input: &mut chronik_core::wire::Reader<'_>,
) -> Result<(u64, Catalog), chronik_core::wire::WireError> {
    match input.u8()? {
        META_STATE_VERSION => {}
        other => return Err(input.unknown("metadata state version", other.into())),
    }
    let applied = input.u64()?;
    Ok((applied, Catalog::decode(input.blob()?)?))
}

impl Shard {
    /// Remembers who waits for a proposal of this node.
    pub(super) fn await_proposal(&mut self, number: u64, reply: oneshot::Sender<Outcome>) {
        let waiting = Waiting {
            reply,
            asked_at: Instant::now(),
        };
        self.proposals.waiting.insert(number, waiting);
    }

    /// Takes a proposal if this node leads the metadata group.
    pub(super) fn propose(&mut self, proposal: &Proposal) -> Result<(), ProposeError> {
        // What frees space is taken as long as there is any.
        let grows = matches!(
            proposal.command,
            Command::CreateTopics(_) | Command::AddPartitions { .. }
        );
        if self.disk_full && grows {
            return Err(ProposeError::DiskFull);
        }
        let leader = self.leader_of_meta();
        let Some(meta) = self.meta_mut() else {
            return Err(ProposeError::NotLeader(leader));
        };
        match meta.group.propose([proposal.encode()]) {
            Ok(_) => {
                self.touch(GroupUid::META);
                Ok(())
            }
            Err(_) => Err(ProposeError::NotLeader(leader)),
        }
    }

    /// A producer id of this node's block.
    pub(super) fn producer_id(&mut self) -> Option<i64> {
        self.proposals.producer_ids.next()
    }

    pub(super) fn take_producer_ids(&mut self, ids: Range<i64>) {
        if self.proposals.producer_ids.is_empty() {
            self.proposals.producer_ids = ids;
        }
    }

    /// Applies committed proposals in order, publishes the result, and only then answers.
    pub(super) fn apply(&mut self, group: GroupUid, entries: Vec<Entry>) {
        assert_eq!(group, GroupUid::META, "records are not applied");
        let mut outcomes = Vec::with_capacity(entries.len());
        for entry in entries {
            outcomes.extend(self.apply_one(&entry));
        }
        self.pace_moves();
        self.publish_view();
        for (origin, outcome) in outcomes {
            self.answer(origin, outcome);
        }
        self.note_started();
    }

    /// A snapshot replaced the catalog: groups that were created or deleted meanwhile follow.
    pub(super) fn catalog_replaced(&mut self) {
        let Some(meta) = self.meta() else {
            return;
        };
        let topics: Vec<_> = meta.catalog.topics.values().cloned().collect();
        let known: BTreeSet<GroupUid> = topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|partition| partition.group))
            .collect();
        let is_gone = |group: &GroupUid| *group != GroupUid::META && !known.contains(group);
        let gone: Vec<GroupUid> = self.replicas.keys().copied().filter(is_gone).collect();
        gone.into_iter().for_each(|group| self.destroy_group(group));
        topics.iter().for_each(|topic| self.host(topic, 0));
        self.pace_moves();
        self.publish_view();
        self.note_started();
    }

    /// Whether a replica is of its node's present life. A node that was wiped answers, but not for what it was before.
    pub(super) fn is_of_today(&self, replica: ReplicaId) -> bool {
        let meta = self.meta();
        meta.is_none_or(|meta| meta.catalog.incarnation(replica.node()) == replica.incarnation())
    }

    pub(super) fn meta(&self) -> Option<&Meta> {
        match &self.replicas.get(&GroupUid::META)?.state {
            State::Meta(meta) => Some(meta),
            State::Records(_) => None,
        }
    }

    /// Nobody else is there to hold anything or to be told anything.
    pub(super) fn is_single(&self) -> bool {
        self.meta()
            .is_none_or(|meta| meta.catalog.nodes.len().max(meta.catalog.meta_voters.len()) <= 1)
    }

    pub(super) fn publish_view(&mut self) {
        let Some(meta) = self.meta() else {
            return;
        };
        let catalog = meta.catalog.clone();
        let groups = self.statuses.clone();
        let away = self.elections.away();
        self.view.send_replace(std::sync::Arc::new(View {
            catalog,
            groups,
            away,
        }));
    }

    /// The metadata group leads here: a cluster without an id gets one.
    pub(super) fn found_if_new(&mut self) {
        let is_new = self
            .meta()
            .is_some_and(|meta| meta.catalog.cluster_id.is_empty());
        if !is_new || self.proposals.has_founded {
            return;
        }
        let Some(Belong {
            meta: MetaBirth::Founded(founders),
            cluster_id,
            ..
        }) = self.belong.clone()
        else {
            return;
        };
        let proposal = Proposal {
            origin: Origin {
                boot: self.settings.boot,
                number: 0,
            },
            command: Command::Found {
                cluster_id,
                voters: founders,
            },
        };
        self.proposals.has_founded = self.propose(&proposal).is_ok();
    }

    /// A group has a leader now: topics whose creation waited for it may be told.
    pub(super) fn group_has_leader(&mut self, group: GroupUid) {
        let creations = &mut self.proposals.creations;
        creations
            .iter_mut()
            .for_each(|creation| _ = creation.missing.remove(&group));
        let done: Vec<Creation> = creations
            .extract_if(.., |creation| creation.missing.is_empty())
            .collect();
        for creation in done {
            self.tell(creation.waiting, creation.outcome);
        }
    }

    /// Forgets who no longer waits.
    pub(super) fn sweep_proposals(&mut self) {
        let waits = |waiting: &Waiting| !waiting.reply.is_closed();
        self.proposals.waiting.retain(|_, waiting| waits(waiting));
        self.proposals
            .creations
            .retain(|creation| waits(&creation.waiting));
    }

    pub(super) fn leader_of_meta(&self) -> Option<NodeId> {
        let leader = self.replicas.get(&GroupUid::META)?.group().leadership();
        (leader.leader != 0).then_some(ReplicaId(leader.leader).node())
    }

    fn meta_mut(&mut self) -> Option<&mut Meta> {
        match &mut self.replicas.get_mut(&GroupUid::META)?.state {
            State::Meta(meta) => Some(meta),
            State::Records(_) => None,
        }
    }

    fn apply_one(&mut self, entry: &Entry) -> Option<(Origin, Outcome)> {
        let meta = self.meta_mut().expect("the metadata group applies");
        meta.applied = entry.index;
        let outcome = (!entry.data.is_empty()).then(|| {
            let proposal = Proposal::decode(&entry.data)
                .expect("a committed proposal was encoded by this format");
            let registered = match &proposal.command {
                Command::RegisterNode(node) => {
                    let before = meta.catalog.nodes.get(&node.id);
                    let is_other_life =
                        before.is_some_and(|before| before.incarnation != node.incarnation);
                    Some((node.id, is_other_life))
                }
                _ => None,
            };
            let outcome = meta.catalog.apply(proposal.command);
            (proposal.origin, outcome, registered)
        });
        meta.group.applied(entry.index);
        meta.group.evict(entry.index.saturating_sub(KEPT_ENTRIES));
        if let Some(replica) = self.replicas.get_mut(&GroupUid::META) {
            replica.dirty = true;
        }
        self.touch(GroupUid::META);
        let (origin, outcome, registered) = outcome?;
        if let Outcome::Topics(topics) = &outcome {
            topics.iter().for_each(|topic| self.follow(topic));
        }
        if let Some((node, is_other_life)) = registered {
            if is_other_life {
                self.note_new_life(node);
            }
            if node == self.settings.node {
                self.host_everything();
            }
        }
        Some((origin, outcome))
    }

    /// Makes the groups of this node match what happened to a topic.
    fn follow(&mut self, outcome: &TopicOutcome) {
        match outcome {
            TopicOutcome::Created(topic) => self.host_new(topic, 0),
            TopicOutcome::Extended { topic, first } => self.host_new(topic, *first),
            TopicOutcome::Deleted(topic) => {
                info!(topic = &*topic.name, "topic deleted");
                for partition in &topic.partitions {
                    self.destroy_group(partition.group);
                    self.statuses.remove(&partition.group);
                }
            }
            TopicOutcome::Moved(topic) => self.host(topic, 0),
            TopicOutcome::Refused(_) => {}
        }
    }

    fn host_new(&mut self, topic: &Topic, first: usize) {
        info!(
            topic = &*topic.name,
            partitions = topic.partitions.len(),
            first,
            "topic partitions created"
        );
        self.host(topic, first);
    }

    /// Begins what this node should hold and does not: in another life it has nothing yet.
    pub(super) fn host_everything(&mut self) {
        let Some(meta) = self.meta() else {
            return;
        };
        let topics: Vec<_> = meta.catalog.topics.values().cloned().collect();
        topics.iter().for_each(|topic| self.host(topic, 0));
        self.pace_moves();
    }

    fn answer(&mut self, origin: Origin, outcome: Outcome) {
        if origin.boot != self.settings.boot {
            return;
        }
        let Some(waiting) = self.proposals.waiting.remove(&origin.number) else {
            return;
        };
        let created: Vec<GroupUid> = match &outcome {
            Outcome::Topics(topics) => topics.iter().flat_map(new_groups).collect(),
            _ => Vec::new(),
        };
        if created.is_empty() {
            let _ = waiting.reply.send(outcome);
            return;
        }
        let phases = &self.metrics.catalog.topic_creation;
        phases
            .at(TopicPhase::Commit)
            .observe(waiting.asked_at.elapsed());
        let is_missing = |group: &GroupUid| !self.has_leader(*group);
        let missing: BTreeSet<_> = created.into_iter().filter(is_missing).collect();
        if missing.is_empty() {
            self.tell(waiting, outcome);
        } else {
            self.proposals.creations.push(Creation {
                missing,
                outcome,
                waiting,
            });
        }
    }

    fn tell(&self, waiting: Waiting, outcome: Outcome) {
        let phases = &self.metrics.catalog.topic_creation;
        phases
            .at(TopicPhase::Total)
            .observe(waiting.asked_at.elapsed());
        let _ = waiting.reply.send(outcome);
    }

    /// Whether clients could be sent to a leader of this group, which may be this node.
    pub(super) fn has_leader(&self, group: GroupUid) -> bool {
        match self.replicas.get(&group) {
            Some(replica) if replica.group().is_leader() => replica.serves(),
            Some(replica) => replica.group().leadership().leader != 0,
            None => true,
        }
    }
}

fn new_groups(outcome: &TopicOutcome) -> Vec<GroupUid> {
    let (topic, first) = match outcome {
        TopicOutcome::Created(topic) => (topic, 0),
        TopicOutcome::Extended { topic, first } => (topic, *first),
        TopicOutcome::Deleted(_) | TopicOutcome::Moved(_) | TopicOutcome::Refused(_) => {
            return Vec::new();
        }
    };
    topic.partitions[first..]
        .iter()
        .map(|partition| partition.group)
        .collect()
}
