//! The commands that change a catalog, and their bytes in the metadata group's log.

use bytes::Bytes;

use super::Node;
use crate::ids::{NodeId, TopicId};
use crate::wire::{Reader, WireError, Writer};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Gives the cluster its id, once.
    Found {
        cluster_id: String,
        /// Who votes in the metadata group.
        voters: Vec<NodeId>,
    },
    /// A node with an empty data directory wants to take part.
    Admit {
        node: NodeId,
        directory: [u8; 16],
    },
    /// Tells where a node can be reached; repeated whenever that changes.
    RegisterNode(Node),
    CreateTopics(Vec<NewTopic>),
    DeleteTopics(Vec<TopicId>),
    /// Brings a topic to `total` partitions; `replicas` places the new ones.
    AddPartitions {
        topic: TopicId,
        total: u32,
        replicas: Vec<Vec<NodeId>>,
    },
    /// A value sets a key, none brings back its default.
    SetConfigs {
        topic: TopicId,
        changes: Vec<(String, Option<String>)>,
    },
    TakeProducerIds {
        count: u32,
    },
    MoveReplicas(Order),
    /// Said by the leader of the metadata group once the partition's leader has changed its members.
    FinishMove {
        topic: TopicId,
        partition: u32,
        moved_at: u64,
    },
    /// The node leaves for good.
    RemoveNode(NodeId),
    /// So many bytes in a second each node sends to replicas on the move; none is no limit.
    SetThrottle {
        limit: Option<u64>,
        /// Refused if another limit is in effect than this one.
        expected: Option<Option<u64>>,
    },
    /// The moves of an operation stand still, or go on.
    PauseMoves {
        operation: u64,
        is_paused: bool,
    },
    /// Others vote in the metadata group, if `present` do now.
    SetMetaVoters {
        present: Vec<NodeId>,
        wanted: Vec<NodeId>,
    },
}

/// Moves that begin together. Those that were planned for a layout begin only if all of them meet it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub moves: Vec<Move>,
    /// Set or cleared with them.
    pub mark: Option<DrainMark>,
    /// The throttle from then on, if it is another one.
    pub throttle: Option<Option<u64>>,
    /// In logs of before partitions had a home: nobody is to know of one that not everybody knows of.
    pub is_homeless: bool,
}

/// Who shall hold a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub topic: TopicId,
    pub partition: u32,
    pub to: Destination,
    pub expected: Expected,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The first of them shall lead.
    Nodes(Vec<NodeId>),
    /// Where it stood still last, before the move that is under way.
    Back,
    /// The same, also if the newest move has arrived.
    Home,
}

/// What must still be so for a move to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Anything,
    /// The partition is on these nodes, in this order, and does not move.
    At(Vec<NodeId>),
    /// No move of it is newer than the one that began with this version of the catalog.
    Moving {
        since: u64,
    },
}

/// Whether a node is to be without replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainMark {
    pub node: NodeId,
    pub is_drained: bool,
}

/// A topic as its creator wants it. Its group uids are given by the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    pub id: TopicId,
    pub internal: bool,
    pub partitions: Vec<Vec<NodeId>>,
    pub configs: Vec<(String, String)>,
}

/// Where a proposal came from, so that its proposer knows it again whoever leads and however often it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// One life of a process.
    pub boot: u64,
    pub number: u64,
}

/// What the log of the metadata group consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub origin: Origin,
    pub command: Command,
}

const VERSION: u8 = 2;

impl Proposal {
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u64(self.origin.boot)
            .u64(self.origin.number)
            .raw(&self.command.encode());
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Proposal, WireError> {
        let mut input = Reader::new(bytes);
        let origin = Origin {
            boot: input.u64()?,
            number: input.u64()?,
        };
        let command = Command::decode(&bytes[input.position()..])?;
        Ok(Proposal { origin, command })
    }
}

impl Command {
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u8(VERSION);
        match self {
            Command::Found { cluster_id, voters } => {
                write_replicas(out.u8(1).text(cluster_id), voters);
            }
            Command::Admit { node, directory } => {
                out.u8(8).u64(node.0).raw(directory);
            }
            Command::RegisterNode(node) => {
                out.u8(2);
                write_node(&mut out, node);
            }
            Command::CreateTopics(topics) => {
                out.u8(3).count(topics.len());
                topics
                    .iter()
                    .for_each(|topic| write_new_topic(&mut out, topic));
            }
            Command::DeleteTopics(ids) => {
                out.u8(4).count(ids.len());
                ids.iter().for_each(|id| _ = out.raw(&id.0));
            }
            Command::AddPartitions {
                topic,
                total,
                replicas,
            } => {
                out.u8(5).raw(&topic.0).u32(*total);
                write_placement(&mut out, replicas);
            }
            Command::SetConfigs { topic, changes } => {
                out.u8(6).raw(&topic.0).count(changes.len());
                for (key, value) in changes {
                    write_option(out.text(key), value.as_deref());
                }
            }
            Command::TakeProducerIds { count } => {
                out.u8(7).u32(*count);
            }
            Command::MoveReplicas(order) => {
                assert!(!order.is_homeless, "only old logs have such orders");
                write_order(out.u8(13), order);
            }
            Command::FinishMove {
                topic,
                partition,
                moved_at,
            } => {
                out.u8(10).raw(&topic.0).u32(*partition).u64(*moved_at);
            }
            Command::RemoveNode(node) => {
                out.u8(11).u64(node.0);
            }
            Command::SetThrottle { limit, expected } => {
                write_limit(out.u8(14), *limit);
                write_optional_limit(&mut out, *expected);
            }
            Command::PauseMoves {
                operation,
                is_paused,
            } => {
                out.u8(15).u64(*operation).u8((*is_paused).into());
            }
            Command::SetMetaVoters { present, wanted } => {
                write_replicas(out.u8(16), present);
                write_replicas(&mut out, wanted);
            }
        }
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Command, WireError> {
        let mut input = Reader::new(bytes);
        match input.u8()? {
            VERSION => {}
            other => return Err(input.unknown("command version", other.into())),
        }
        let command = match input.u8()? {
            1 => Command::Found {
                cluster_id: input.text()?,
                voters: read_replicas(&mut input)?,
            },
            8 => Command::Admit {
                node: NodeId(input.u64()?),
                directory: input.array()?,
            },
            2 => Command::RegisterNode(read_node(&mut input)?),
            3 => Command::CreateTopics(read_all(&mut input, 26, read_new_topic)?),
            4 => Command::DeleteTopics(read_all(&mut input, 16, |input| {
                Ok(TopicId(input.array()?))
            })?),
            5 => Command::AddPartitions {
                topic: TopicId(input.array()?),
                total: input.u32()?,
                replicas: read_all(&mut input, 4, read_replicas)?,
            },
            6 => Command::SetConfigs {
                topic: TopicId(input.array()?),
                changes: read_all(&mut input, 5, |input| {
                    Ok((input.text()?, read_option(input)?))
                })?,
            },
            7 => Command::TakeProducerIds {
                count: input.u32()?,
            },
            // Before moves said what they expect.
            9 => Command::MoveReplicas(Order {
                moves: read_all(&mut input, 21, read_bare_move)?,
                is_homeless: true,
                ..Order::default()
            }),
            10 => Command::FinishMove {
                topic: TopicId(input.array()?),
                partition: input.u32()?,
                moved_at: input.u64()?,
            },
            11 => Command::RemoveNode(NodeId(input.u64()?)),
            // Before partitions had a home.
            12 => Command::MoveReplicas(Order {
                moves: read_all(&mut input, 22, read_move)?,
                mark: read_mark(&mut input)?,
                is_homeless: true,
                ..Order::default()
            }),
            13 => Command::MoveReplicas(read_order(&mut input)?),
            14 => Command::SetThrottle {
                limit: read_limit(&mut input)?,
                expected: read_optional_limit(&mut input)?,
            },
            15 => Command::PauseMoves {
                operation: input.u64()?,
                is_paused: input.u8()? != 0,
            },
            16 => Command::SetMetaVoters {
                present: read_replicas(&mut input)?,
                wanted: read_replicas(&mut input)?,
            },
            other => return Err(input.unknown("command", other.into())),
        };
        input.end()?;
        Ok(command)
    }
}

pub(super) fn write_node(out: &mut Writer, node: &Node) {
    out.u64(node.id.0)
        .u64(node.incarnation)
        .text(&node.peer_address)
        .text(&node.kafka_host)
        .u16(node.kafka_port);
    write_option(out, node.rack.as_deref());
}

pub(super) fn read_node(input: &mut Reader<'_>) -> Result<Node, WireError> {
    Ok(Node {
        id: NodeId(input.u64()?),
        incarnation: input.u64()?,
        peer_address: input.text()?,
        kafka_host: input.text()?,
        kafka_port: input.u16()?,
        rack: read_option(input)?,
    })
}

pub(super) fn write_replicas(out: &mut Writer, replicas: &[NodeId]) {
    out.count(replicas.len());
    replicas.iter().for_each(|node| _ = out.u64(node.0));
}

pub(super) fn read_replicas(input: &mut Reader<'_>) -> Result<Vec<NodeId>, WireError> {
    read_all(input, 8, |input| Ok(NodeId(input.u64()?)))
}

fn write_new_topic(out: &mut Writer, topic: &NewTopic) {
    out.text(&topic.name)
        .raw(&topic.id.0)
        .u8(topic.internal.into());
    write_placement(out, &topic.partitions);
    out.count(topic.configs.len());
    for (key, value) in &topic.configs {
        out.text(key).text(value);
    }
}

fn read_new_topic(input: &mut Reader<'_>) -> Result<NewTopic, WireError> {
    Ok(NewTopic {
        name: input.text()?,
        id: TopicId(input.array()?),
        internal: input.u8()? != 0,
        partitions: read_all(input, 4, read_replicas)?,
        configs: read_all(input, 8, |input| Ok((input.text()?, input.text()?)))?,
    })
}

fn write_order(out: &mut Writer, order: &Order) {
    out.count(order.moves.len());
    order
        .moves
        .iter()
        .for_each(|wanted| write_move(out, wanted));
    match order.mark {
        Some(mark) => _ = out.u8(1).u64(mark.node.0).u8(mark.is_drained.into()),
        None => _ = out.u8(0),
    }
    write_optional_limit(out, order.throttle);
}

fn read_order(input: &mut Reader<'_>) -> Result<Order, WireError> {
    Ok(Order {
        moves: read_all(input, 22, read_move)?,
        mark: read_mark(input)?,
        throttle: read_optional_limit(input)?,
        is_homeless: false,
    })
}

pub(super) fn write_limit(out: &mut Writer, limit: Option<u64>) {
    match limit {
        Some(bytes_per_second) => _ = out.u8(1).u64(bytes_per_second),
        None => _ = out.u8(0),
    }
}

pub(super) fn read_limit(input: &mut Reader<'_>) -> Result<Option<u64>, WireError> {
    match input.u8()? {
        0 => Ok(None),
        1 => Ok(Some(input.u64()?)),
        other => Err(input.unknown("option", other.into())),
    }
}

fn write_optional_limit(out: &mut Writer, limit: Option<Option<u64>>) {
    match limit {
        Some(limit) => write_limit(out.u8(1), limit),
        None => _ = out.u8(0),
    }
}

fn read_optional_limit(input: &mut Reader<'_>) -> Result<Option<Option<u64>>, WireError> {
    match input.u8()? {
        0 => Ok(None),
        1 => Ok(Some(read_limit(input)?)),
        other => Err(input.unknown("option", other.into())),
    }
}

fn write_move(out: &mut Writer, wanted: &Move) {
    out.raw(&wanted.topic.0).u32(wanted.partition);
    match &wanted.to {
        Destination::Back => _ = out.u8(0),
        Destination::Nodes(nodes) => write_replicas(out.u8(1), nodes),
        Destination::Home => _ = out.u8(2),
    }
    match &wanted.expected {
        Expected::Anything => _ = out.u8(0),
        Expected::At(nodes) => write_replicas(out.u8(1), nodes),
        Expected::Moving { since } => _ = out.u8(2).u64(*since),
    }
}

fn read_move(input: &mut Reader<'_>) -> Result<Move, WireError> {
    let bare = read_bare_move(input)?;
    let expected = match input.u8()? {
        0 => Expected::Anything,
        1 => Expected::At(read_replicas(input)?),
        2 => Expected::Moving {
            since: input.u64()?,
        },
        other => return Err(input.unknown("expectation", other.into())),
    };
    Ok(Move { expected, ..bare })
}

fn read_mark(input: &mut Reader<'_>) -> Result<Option<DrainMark>, WireError> {
    match input.u8()? {
        0 => Ok(None),
        1 => Ok(Some(DrainMark {
            node: NodeId(input.u64()?),
            is_drained: input.u8()? != 0,
        })),
        other => Err(input.unknown("option", other.into())),
    }
}

fn read_bare_move(input: &mut Reader<'_>) -> Result<Move, WireError> {
    Ok(Move {
        topic: TopicId(input.array()?),
        partition: input.u32()?,
        to: match input.u8()? {
            0 => Destination::Back,
            1 => Destination::Nodes(read_replicas(input)?),
            2 => Destination::Home,
            other => return Err(input.unknown("destination", other.into())),
        },
        expected: Expected::Anything,
    })
}

fn write_placement(out: &mut Writer, placement: &[Vec<NodeId>]) {
    out.count(placement.len());
    placement
        .iter()
        .for_each(|replicas| write_replicas(out, replicas));
}

fn write_option(out: &mut Writer, value: Option<&str>) {
    match value {
        Some(text) => out.u8(1).text(text),
        None => out.u8(0),
    };
}

fn read_option(input: &mut Reader<'_>) -> Result<Option<String>, WireError> {
    match input.u8()? {
        0 => Ok(None),
        1 => Ok(Some(input.text()?)),
        other => Err(input.unknown("option", other.into())),
    }
}

pub(super) fn read_all<'a, T>(
    input: &mut Reader<'a>,
    least_bytes: usize,
    read: impl Fn(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    (0..input.count(least_bytes)?)
        .map(|_| read(input))
        .collect()
}
