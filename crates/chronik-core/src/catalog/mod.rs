//! The replicated state of the metadata group: one command for one intent, applied the same way on every node.
//!
//! Cloning a [`Catalog`] is cheap (the maps share their parts), so that every change can be published whole.

pub mod command;
mod moves;
pub mod name;
mod reborn;
pub mod topic_config;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use imbl::{OrdMap, OrdSet};

use crate::ids::{GroupUid, NodeId, ReplicaId, TopicId};
use crate::wire::{Reader, WireError, Writer};
pub use command::{
    Command, Destination, DrainMark, Expected, Move, NewTopic, Order, Origin, Proposal,
};

/// What the metadata group knows. `version` rises with every applied command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    pub version: u64,
    /// Empty until the cluster is born.
    pub cluster_id: Arc<str>,
    pub nodes: OrdMap<NodeId, Arc<Node>>,
    pub topics: OrdMap<Arc<str>, Arc<Topic>>,
    names: OrdMap<TopicId, Arc<str>>,
    /// Who votes in the metadata group.
    pub meta_voters: Vec<NodeId>,
    /// Nodes that give their replicas away, and get none.
    pub drained: OrdSet<NodeId>,
    /// So many bytes in a second each node sends to replicas on the move; none is no limit.
    pub throttle: Option<u64>,
    /// Operations whose moves stand still, by the version of the catalog in which they began.
    pub paused: OrdSet<u64>,
    /// The newest life of each node that ever was here.
    lives: OrdMap<NodeId, Life>,
    next_uid: u64,
    next_producer_id: i64,
}

/// One life of a node, from an empty data directory to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    incarnation: u64,
    /// Of the data directory; zero for those who founded the cluster.
    directory: [u8; 16],
    /// The node was removed: it comes back only with an empty directory.
    has_ended: bool,
}

/// A node as clients and other nodes are told to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: NodeId,
    pub incarnation: u64,
    /// Where other nodes reach it, as `HOST:PORT`.
    pub peer_address: String,
    pub kafka_host: String,
    pub kafka_port: u16,
    pub rack: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub id: TopicId,
    pub name: Arc<str>,
    /// Kept by the cluster for itself, like `__consumer_offsets`.
    pub internal: bool,
    pub partitions: Vec<Partition>,
    /// What was set on this topic, by Kafka's names; anything else has its default.
    pub configs: OrdMap<Arc<str>, Arc<str>>,
}

/// One partition's group and the nodes that hold it, the preferred leader first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub group: GroupUid,
    pub replicas: Vec<NodeId>,
    /// The voters that it began with: a node that was wiped since then has another number.
    pub born: Vec<ReplicaId>,
    /// Who held it before the move that is under way; empty when there is none.
    pub before: Vec<NodeId>,
    /// Where it stood still last before the newest move; empty if that was never known.
    pub home: Vec<NodeId>,
    /// The version of the catalog in which the newest move began.
    pub moved_at: u64,
    /// Nodes whose replicas of this group were destroyed, and how often.
    pub left: Vec<(NodeId, u32)>,
}

/// What became of a command. The groups to create or destroy are named, so that nobody compares catalogs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Topics(Vec<TopicOutcome>),
    /// The first id of the block that was taken.
    ProducerIds {
        first: i64,
    },
    /// The life that a node begins in this cluster.
    Admitted {
        incarnation: u64,
    },
    Refused(Refused),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicOutcome {
    Created(Arc<Topic>),
    /// The partitions from `first` on are new.
    Extended {
        topic: Arc<Topic>,
        first: usize,
    },
    Deleted(Arc<Topic>),
    /// One of its partitions is to be held by other nodes, or is held by those that it should be.
    Moved(Arc<Topic>),
    Refused(Refused),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("topic {0} exists already")]
    TopicExists(Arc<str>),
    #[error(
        "topic name collides with {0}: names that differ only in '.' and '_' share their metric names"
    )]
    NameCollides(Arc<str>),
    #[error("there is no such topic")]
    UnknownTopic,
    #[error("the topic has {present} partitions, {wanted} are not more")]
    NotMorePartitions { present: usize, wanted: usize },
    #[error("the cluster has the id {0} already")]
    AlreadyBorn(Arc<str>),
    #[error("there is no such partition")]
    UnknownPartition,
    #[error("replicas are distinct nodes of the cluster, and at least one")]
    Placement,
    #[error("the partition does not move")]
    NoMove,
    #[error("it is not known where {topic}/{partition} was before")]
    NoHome { topic: Arc<str>, partition: u32 },
    #[error("no partition of operation {0} is under way")]
    NoOperation(u64),
    #[error("somebody else has changed the throttle meanwhile")]
    OtherThrottle,
    #[error("{topic}/{partition} is not on the nodes any more that the plan was made for")]
    Elsewhere { topic: Arc<str>, partition: u32 },
    #[error("{topic}/{partition} moves already")]
    MovesAlready { topic: Arc<str>, partition: u32 },
    #[error("node {0} is drained: it gets no replicas")]
    Drained(NodeId),
    #[error("there is no node {0}")]
    UnknownNode(NodeId),
    #[error("node {node} still holds {partitions} partitions: move them to other nodes first")]
    StillHolds { node: NodeId, partitions: usize },
    #[error("other nodes vote in the metadata group by now")]
    OtherVoters,
    #[error("incarnation {got} of node {node} has ended: {newest} is its newest")]
    EndedLife { node: NodeId, got: u64, newest: u64 },
}

const SNAPSHOT_VERSION: u8 = 5;
/// Before partitions had a home, and moves a throttle and pauses.
const SNAPSHOT_WITHOUT_HOMES: u8 = 4;
/// Before nodes could be marked as drained.
const SNAPSHOT_WITHOUT_DRAINED: u8 = 3;
/// Before partitions could move.
const SNAPSHOT_WITHOUT_MOVES: u8 = 2;

impl Default for Catalog {
    fn default() -> Self {
        Catalog {
            version: 0,
            cluster_id: "".into(),
            nodes: OrdMap::new(),
            topics: OrdMap::new(),
            names: OrdMap::new(),
            meta_voters: Vec::new(),
            drained: OrdSet::new(),
            throttle: None,
            paused: OrdSet::new(),
            lives: OrdMap::new(),
            next_uid: GroupUid::FIRST_PARTITION.0,
            next_producer_id: 1,
        }
    }
}

impl Catalog {
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(self.names.get(&id)?)
    }

    /// The topic that makes `name` unusable because both would have the same metric name.
    pub fn collision(&self, name: &str) -> Option<&Arc<str>> {
        if !name.contains(['.', '_']) {
            return None;
        }
        let flat = name.replace('.', "_");
        self.topics
            .keys()
            .find(|other| &***other != name && other.replace('.', "_") == flat)
    }

    pub fn partition_count(&self) -> usize {
        self.topics
            .values()
            .map(|topic| topic.partitions.len())
            .sum()
    }

    /// The newest life of a node; one that nobody heard of begins with its first.
    pub fn incarnation(&self, node: NodeId) -> u64 {
        self.lives.get(&node).map_or(1, |life| life.incarnation)
    }

    /// What takes part in Raft groups for a node, as of now.
    pub fn replica_on(&self, node: NodeId) -> ReplicaId {
        ReplicaId::new(node, self.incarnation(node))
    }

    /// What holds a partition's group on a node, as of now.
    pub fn replica_in(&self, partition: &Partition, node: NodeId) -> ReplicaId {
        self.replica_on(node).again(partition.times_left(node))
    }

    /// Nodes that were let in and do not vote in the metadata group: they learn what it decides.
    pub fn meta_learners(&self) -> impl Iterator<Item = NodeId> {
        let learns = |node: &NodeId| !self.meta_voters.contains(node);
        let is_there = |(node, life): (&NodeId, &Life)| (!life.has_ended).then_some(*node);
        self.lives.iter().filter_map(is_there).filter(learns)
    }

    /// Partitions whose replicas are on their way to other nodes.
    pub fn moving(&self) -> impl Iterator<Item = (&Arc<Topic>, usize, &Partition)> {
        let partitions = self.topics.values().flat_map(|topic| {
            let numbered = topic.partitions.iter().enumerate();
            numbered.map(move |(number, partition)| (topic, number, partition))
        });
        partitions.filter(|(_, _, partition)| partition.is_moving())
    }

    /// Applies one committed command. The only way to change a catalog.
    pub fn apply(&mut self, command: Command) -> Outcome {
        self.version += 1;
        match command {
            Command::Found { cluster_id, voters } => self.found(cluster_id, voters),
            Command::Admit { node, directory } => self.admit(node, directory),
            Command::RegisterNode(node) => self.register(node),
            Command::CreateTopics(topics) => {
                Outcome::Topics(topics.into_iter().map(|topic| self.create(topic)).collect())
            }
            Command::DeleteTopics(ids) => {
                Outcome::Topics(ids.into_iter().map(|id| self.delete(id)).collect())
            }
            Command::AddPartitions {
                topic,
                total,
                replicas,
            } => Outcome::Topics(vec![self.extend(topic, total as usize, replicas)]),
            Command::SetConfigs { topic, changes } => self.set_configs(topic, changes),
            Command::MoveReplicas(order) => self.move_replicas(order),
            Command::FinishMove {
                topic,
                partition,
                moved_at,
            } => Outcome::Topics(vec![self.finish_move(topic, partition, moved_at)]),
            Command::RemoveNode(node) => self.remove_node(node),
            Command::SetThrottle { limit, expected } => self.set_throttle(limit, expected),
            Command::PauseMoves {
                operation,
                is_paused,
            } => self.pause_moves(operation, is_paused),
            Command::SetMetaVoters { present, wanted } => self.set_meta_voters(&present, wanted),
            Command::TakeProducerIds { count } => {
                let first = self.next_producer_id;
                self.next_producer_id += i64::from(count);
                Outcome::ProducerIds { first }
            }
        }
    }

    /// The whole state, for a snapshot or a checkpoint.
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u8(SNAPSHOT_VERSION)
            .u64(self.version)
            .text(&self.cluster_id);
        out.u64(self.next_uid).i64(self.next_producer_id);
        command::write_replicas(&mut out, &self.meta_voters);
        out.count(self.lives.len());
        for (node, life) in &self.lives {
            out.u64(node.0)
                .u64(life.incarnation)
                .raw(&life.directory)
                .u8(life.has_ended.into());
        }
        out.count(self.nodes.len());
        for node in self.nodes.values() {
            command::write_node(&mut out, node);
        }
        out.count(self.topics.len());
        for topic in self.topics.values() {
            write_topic(&mut out, topic);
        }
        out.count(self.drained.len());
        self.drained.iter().for_each(|node| _ = out.u64(node.0));
        command::write_limit(&mut out, self.throttle);
        out.count(self.paused.len());
        self.paused.iter().for_each(|id| _ = out.u64(*id));
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Catalog, WireError> {
        let mut input = Reader::new(bytes);
        let version = input.u8()?;
        if !(SNAPSHOT_WITHOUT_MOVES..=SNAPSHOT_VERSION).contains(&version) {
            return Err(input.unknown("catalog version", version.into()));
        }
        let knows_moves = version > SNAPSHOT_WITHOUT_MOVES;
        let mut catalog = Catalog {
            version: input.u64()?,
            cluster_id: input.text()?.into(),
            ..Catalog::default()
        };
        catalog.next_uid = input.u64()?;
        catalog.next_producer_id = input.i64()?;
        catalog.meta_voters = command::read_replicas(&mut input)?;
        for _ in 0..input.count(32)? {
            let node = NodeId(input.u64()?);
            let life = Life {
                incarnation: input.u64()?,
                directory: input.array()?,
                has_ended: knows_moves && input.u8()? != 0,
            };
            catalog.lives.insert(node, life);
        }
        for _ in 0..input.count(16)? {
            let node = command::read_node(&mut input)?;
            catalog.nodes.insert(node.id, Arc::new(node));
        }
        for _ in 0..input.count(24)? {
            let topic = Arc::new(read_topic(&mut input, version)?);
            catalog.names.insert(topic.id, topic.name.clone());
            catalog.topics.insert(topic.name.clone(), topic);
        }
        if version > SNAPSHOT_WITHOUT_DRAINED {
            catalog.drained = command::read_replicas(&mut input)?.into_iter().collect();
        }
        if version > SNAPSHOT_WITHOUT_HOMES {
            catalog.throttle = command::read_limit(&mut input)?;
            let paused = command::read_all(&mut input, 8, |input| input.u64())?;
            catalog.paused = paused.into_iter().collect();
        }
        input.end()?;
        Ok(catalog)
    }

    fn found(&mut self, cluster_id: String, voters: Vec<NodeId>) -> Outcome {
        if !self.cluster_id.is_empty() {
            return Outcome::Refused(Refused::AlreadyBorn(self.cluster_id.clone()));
        }
        self.cluster_id = cluster_id.into();
        let first = Life {
            incarnation: 1,
            directory: [0; 16],
            has_ended: false,
        };
        voters
            .iter()
            .for_each(|node| _ = self.lives.insert(*node, first));
        self.meta_voters = voters;
        Outcome::Done
    }

    /// A node with an empty directory begins a new life, once however often it asks.
    fn admit(&mut self, node: NodeId, directory: [u8; 16]) -> Outcome {
        let before = self.lives.get(&node);
        let incarnation = match before {
            Some(life) if life.directory == directory => life.incarnation,
            before => before.map_or(0, |life| life.incarnation) + 1,
        };
        let life = Life {
            incarnation,
            directory,
            has_ended: false,
        };
        self.lives.insert(node, life);
        Outcome::Admitted { incarnation }
    }

    fn register(&mut self, node: Node) -> Outcome {
        let newest = self.incarnation(node.id);
        let has_ended = self.lives.get(&node.id).is_some_and(|life| life.has_ended);
        if node.incarnation != newest || has_ended {
            return Outcome::Refused(Refused::EndedLife {
                node: node.id,
                got: node.incarnation,
                newest,
            });
        }
        self.nodes.insert(node.id, Arc::new(node));
        Outcome::Done
    }

    fn create(&mut self, new: NewTopic) -> TopicOutcome {
        let name: Arc<str> = new.name.into();
        if self.topics.contains_key(&name) {
            return TopicOutcome::Refused(Refused::TopicExists(name));
        }
        if let Some(other) = self.collision(&name) {
            return TopicOutcome::Refused(Refused::NameCollides(other.clone()));
        }
        if let Some(node) = self.drained_among(new.partitions.iter().flatten()) {
            return TopicOutcome::Refused(Refused::Drained(node));
        }
        let partitions = new
            .partitions
            .into_iter()
            .map(|replicas| self.place(replicas))
            .collect();
        let configs = new
            .configs
            .into_iter()
            .map(|(key, value)| (Arc::from(key), Arc::from(value)))
            .collect();
        let topic = Arc::new(Topic {
            id: new.id,
            name: name.clone(),
            internal: new.internal,
            partitions,
            configs,
        });
        self.names.insert(new.id, name.clone());
        self.topics.insert(name, topic.clone());
        TopicOutcome::Created(topic)
    }

    fn delete(&mut self, id: TopicId) -> TopicOutcome {
        match self
            .names
            .remove(&id)
            .and_then(|name| self.topics.remove(&name))
        {
            Some(topic) => {
                self.forget_pauses();
                TopicOutcome::Deleted(topic)
            }
            None => TopicOutcome::Refused(Refused::UnknownTopic),
        }
    }

    fn extend(&mut self, id: TopicId, total: usize, replicas: Vec<Vec<NodeId>>) -> TopicOutcome {
        let Some(topic) = self.topic_by_id(id).cloned() else {
            return TopicOutcome::Refused(Refused::UnknownTopic);
        };
        let first = topic.partitions.len();
        if total <= first || total - first != replicas.len() {
            return TopicOutcome::Refused(Refused::NotMorePartitions {
                present: first,
                wanted: total,
            });
        }
        if let Some(node) = self.drained_among(replicas.iter().flatten()) {
            return TopicOutcome::Refused(Refused::Drained(node));
        }
        let mut topic = (*topic).clone();
        for nodes in replicas {
            let partition = self.place(nodes);
            topic.partitions.push(partition);
        }
        let topic = Arc::new(topic);
        self.topics.insert(topic.name.clone(), topic.clone());
        TopicOutcome::Extended { topic, first }
    }

    fn set_configs(&mut self, id: TopicId, changes: Vec<(String, Option<String>)>) -> Outcome {
        let Some(topic) = self.topic_by_id(id) else {
            return Outcome::Refused(Refused::UnknownTopic);
        };
        let mut topic = (**topic).clone();
        for (key, value) in changes {
            match value {
                Some(value) => topic.configs.insert(key.into(), value.into()),
                None => topic.configs.remove(key.as_str()),
            };
        }
        self.topics.insert(topic.name.clone(), Arc::new(topic));
        Outcome::Done
    }

    fn place(&mut self, replicas: Vec<NodeId>) -> Partition {
        let group = GroupUid(self.next_uid);
        self.next_uid += 1;
        let born = replicas.iter().map(|node| self.replica_on(*node)).collect();
        Partition {
            group,
            replicas,
            born,
            before: Vec::new(),
            home: Vec::new(),
            moved_at: 0,
            left: Vec::new(),
        }
    }
}

fn write_topic(out: &mut Writer, topic: &Topic) {
    out.raw(&topic.id.0)
        .text(&topic.name)
        .u8(topic.internal.into())
        .count(topic.partitions.len());
    for partition in &topic.partitions {
        out.u64(partition.group.0);
        command::write_replicas(out, &partition.replicas);
        out.count(partition.born.len());
        partition.born.iter().for_each(|born| _ = out.u64(born.0));
        command::write_replicas(out, &partition.before);
        command::write_replicas(out, &partition.home);
        out.u64(partition.moved_at).count(partition.left.len());
        for (node, times) in &partition.left {
            out.u64(node.0).u32(*times);
        }
    }
    out.count(topic.configs.len());
    for (key, value) in &topic.configs {
        out.text(key).text(value);
    }
}

fn read_topic(input: &mut Reader<'_>, version: u8) -> Result<Topic, WireError> {
    let id = TopicId(input.array()?);
    let name = input.text()?.into();
    let internal = input.u8()? != 0;
    let mut partitions = Vec::new();
    for _ in 0..input.count(16)? {
        let mut partition = Partition {
            group: GroupUid(input.u64()?),
            replicas: command::read_replicas(input)?,
            born: command::read_all(input, 8, |input| Ok(ReplicaId(input.u64()?)))?,
            before: Vec::new(),
            home: Vec::new(),
            moved_at: 0,
            left: Vec::new(),
        };
        if version > SNAPSHOT_WITHOUT_MOVES {
            partition.before = command::read_replicas(input)?;
            if version > SNAPSHOT_WITHOUT_HOMES {
                partition.home = command::read_replicas(input)?;
            }
            partition.moved_at = input.u64()?;
            partition.left =
                command::read_all(input, 12, |input| Ok((NodeId(input.u64()?), input.u32()?)))?;
        }
        partitions.push(partition);
    }
    let mut configs = OrdMap::new();
    for _ in 0..input.count(8)? {
        configs.insert(input.text()?.into(), input.text()?.into());
    }
    Ok(Topic {
        id,
        name,
        internal,
        partitions,
        configs,
    })
}
