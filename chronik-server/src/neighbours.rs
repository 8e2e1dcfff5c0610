//! What other nodes ask of this one, besides the messages of groups: how it stands, to take part, to propose.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use chronik_core::catalog::Proposal;
use chronik_core::ids::{GroupUid, NodeId};
use chronik_core::wire::{Reader, WireError, Writer};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::admin::Desk;
use crate::broker::{Broker, Quorum, QuorumMember};
use crate::metrics::Metrics;
use crate::peer::{GroupMessage, Inbox, Liveness};
use crate::raft::{CleanLog, Leads, ShardHandle};

/// A random number of a data directory: it tells a wiped node from the one that it was.
pub type Directory = [u8; 16];

/// What a node with an empty directory needs to know of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It belongs to nothing yet.
    Empty { directory: Directory },
    /// It founds a cluster with those who were empty when it looked.
    Founding { seen: Vec<(NodeId, Directory)> },
    /// It belongs to a cluster.
    Member { cluster_id: Arc<str> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// How do you stand? `peers` stands for whom the asking node is configured with.
    Probe { peers: u64 },
    /// May I take part, with this empty directory?
    Join { directory: Directory },
    /// For the leader of the metadata group.
    Propose(Proposal),
    /// What this node leads, as far as it is news.
    Leads(Vec<Leads>),
    /// How far the compacted logs are clean that this node holds.
    Clean(Vec<CleanLog>),
    /// Let these nodes lead these groups, which this node leads.
    HandTo(Vec<(GroupUid, NodeId)>),
    /// How does the metadata group stand, which this node leads?
    Quorum,
    /// What an operator wants to know, or wants done.
    Admin(Bytes),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Standing(Standing),
    /// The number of the life that the node begins, and where.
    Admitted {
        incarnation: u64,
        cluster_id: Arc<str>,
    },
    /// It is on its way into the log.
    Taken,
    /// Ask this node instead, if any is known.
    NotLeader(Option<NodeId>),
    Refused(String),
    Quorum(Quorum),
    /// For the desk that asked.
    Admin(Bytes),
}

/// The door for other nodes' requests and messages. What needs rooms that do not exist yet is refused.
pub struct Neighbours {
    standing: watch::Receiver<Standing>,
    /// For whom this node is configured.
    peers: u64,
    rooms: OnceLock<Rooms>,
    /// What became known of others before there was anybody to tell.
    early: Mutex<BTreeMap<NodeId, Liveness>>,
    metrics: Arc<Metrics>,
}

struct Rooms {
    shard: ShardHandle,
    broker: Broker,
    desk: Arc<Desk>,
}

impl Neighbours {
    pub fn new(
        standing: watch::Receiver<Standing>,
        peers: u64,
        metrics: Arc<Metrics>,
    ) -> Neighbours {
        Neighbours {
            standing,
            peers,
            rooms: OnceLock::new(),
            early: Mutex::default(),
            metrics,
        }
    }

    /// From here on groups are reached and proposals taken.
    pub(crate) fn open(&self, shard: ShardHandle, broker: Broker, desk: Arc<Desk>) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *early)
            .into_values()
            .for_each(|change| shard.liveness(change));
        // Rooms are built once in the life of a process.
        _ = self.rooms.set(Rooms {
            shard,
            broker,
            desk,
        });
    }

    fn standing(&self, peers: u64) -> Reply {
        // Who founds a cluster must agree on its nodes; whoever joins one may be new to all of them.
        let is_member = matches!(*self.standing.borrow(), Standing::Member { .. });
        if peers != self.peers && !is_member {
            return Reply::Refused(
                "`cluster.peers` differs between the nodes: write the same list everywhere"
                    .to_owned(),
            );
        }
        Reply::Standing(self.standing.borrow().clone())
    }
}

impl Inbox for Neighbours {
    fn messages(&self, from: NodeId, mut messages: Vec<GroupMessage>) {
        if let Some(rooms) = self.rooms.get() {
            rooms.shard.receive(from, &mut messages, &self.metrics);
        }
    }

    fn call(&self, from: NodeId, request: Bytes) -> BoxFuture<'static, Result<Bytes, String>> {
        let request = match Request::decode(&request) {
            Ok(request) => request,
            Err(error) => {
                let refusal = format!("a request that cannot be read: {error}");
                return std::future::ready(Err(refusal)).boxed();
            }
        };
        if let Request::Probe { peers } = request {
            return std::future::ready(Ok(self.standing(peers).encode())).boxed();
        }
        let Some(rooms) = self.rooms.get() else {
            let early = Reply::NotLeader(None).encode();
            return std::future::ready(Ok(early)).boxed();
        };
        let (broker, shard) = (rooms.broker.clone(), rooms.shard.clone());
        let desk = rooms.desk.clone();
        async move {
            let reply = match request {
                Request::Probe { .. } => unreachable!("it is answered above"),
                Request::Leads(news) => {
                    shard.hear(from, news);
                    Reply::Taken
                }
                Request::Clean(logs) => {
                    shard.hear_clean(from, logs);
                    Reply::Taken
                }
                Request::Join { directory } => broker.admit(from, directory).await,
                Request::Propose(proposal) => broker.take(proposal).await,
                Request::HandTo(wanted) => {
                    shard.hand_to(wanted);
                    Reply::Taken
                }
                Request::Quorum => match broker.quorum_here().await {
                    Some(quorum) => Reply::Quorum(quorum),
                    None => Reply::NotLeader(None),
                },
                Request::Admin(question) => Reply::Admin(desk.answer(&question).await.into()),
            };
            Ok(reply.encode())
        }
        .boxed()
    }

    fn liveness(&self, change: Liveness) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.rooms.get(), change) {
            (Some(rooms), change) => rooms.shard.liveness(change),
            (None, Liveness::Alive { node, .. } | Liveness::Suspect { node, .. }) => {
                early.insert(node, change);
            }
            (None, Liveness::Unreachable(_)) => {}
        }
    }
}

const VERSION: u8 = 1;

impl Request {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u8(VERSION);
        match self {
            Request::Probe { peers } => out.u8(1).u64(*peers),
            Request::Join { directory } => out.u8(2).raw(directory),
            Request::Propose(proposal) => out.u8(3).raw(&proposal.encode()),
            Request::Leads(news) => {
                out.u8(4).count(news.len());
                news.iter().for_each(|leads| leads.write(&mut out));
                &mut out
            }
            Request::HandTo(wanted) => {
                out.u8(6).count(wanted.len());
                for (group, node) in wanted {
                    out.u64(group.0).u64(node.0);
                }
                &mut out
            }
            Request::Quorum => out.u8(7),
            Request::Clean(logs) => {
                out.u8(8).count(logs.len());
                logs.iter().for_each(|log| log.write(&mut out));
                &mut out
            }
            Request::Admin(question) => out.u8(5).blob(question),
        };
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Request, WireError> {
        let mut input = Reader::new(bytes);
        version(&mut input)?;
        let request = match input.u8()? {
            1 => Request::Probe {
                peers: input.u64()?,
            },
            2 => Request::Join {
                directory: input.array()?,
            },
            3 => {
                return Ok(Request::Propose(Proposal::decode(
                    &bytes[input.position()..],
                )?));
            }
            4 => Request::Leads(
                (0..input.count(16)?)
                    .map(|_| Leads::read(&mut input))
                    .collect::<Result<_, _>>()?,
            ),
            6 => Request::HandTo(
                (0..input.count(16)?)
                    .map(|_| Ok((GroupUid(input.u64()?), NodeId(input.u64()?))))
                    .collect::<Result<_, _>>()?,
            ),
            7 => Request::Quorum,
            8 => Request::Clean(
                (0..input.count(32)?)
                    .map(|_| CleanLog::read(&mut input))
                    .collect::<Result<_, _>>()?,
            ),
            5 => Request::Admin(Bytes::copy_from_slice(input.blob()?)),
            other => return Err(input.unknown("request of a node", other.into())),
        };
        input.end()?;
        Ok(request)
    }
}

impl Reply {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u8(VERSION);
        match self {
            Reply::Standing(Standing::Empty { directory }) => _ = out.u8(1).raw(directory),
            Reply::Standing(Standing::Founding { seen }) => {
                out.u8(2).count(seen.len());
                for (node, directory) in seen {
                    out.u64(node.0).raw(directory);
                }
            }
            Reply::Standing(Standing::Member { cluster_id }) => _ = out.u8(3).text(cluster_id),
            Reply::Admitted {
                incarnation,
                cluster_id,
            } => _ = out.u8(4).u64(*incarnation).text(cluster_id),
            Reply::Taken => _ = out.u8(5),
            // No node has the number of all ones.
            Reply::NotLeader(leader) => {
                _ = out.u8(6).u64(leader.map_or(u64::MAX, |leader| leader.0));
            }
            Reply::Refused(reason) => _ = out.u8(7).text(reason),
            Reply::Quorum(quorum) => write_quorum(out.u8(9), quorum),
            Reply::Admin(answer) => _ = out.u8(8).blob(answer),
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Reply, WireError> {
        let mut input = Reader::new(bytes);
        version(&mut input)?;
        let reply = match input.u8()? {
            1 => Reply::Standing(Standing::Empty {
                directory: input.array()?,
            }),
            2 => {
                let seen = (0..input.count(24)?)
                    .map(|_| Ok((NodeId(input.u64()?), input.array()?)))
                    .collect::<Result<_, _>>()?;
                Reply::Standing(Standing::Founding { seen })
            }
            3 => Reply::Standing(Standing::Member {
                cluster_id: input.text()?.into(),
            }),
            4 => Reply::Admitted {
                incarnation: input.u64()?,
                cluster_id: input.text()?.into(),
            },
            5 => Reply::Taken,
            6 => {
                let leader = input.u64()?;
                Reply::NotLeader((leader != u64::MAX).then_some(NodeId(leader)))
            }
            7 => Reply::Refused(input.text()?),
            9 => Reply::Quorum(read_quorum(&mut input)?),
            8 => Reply::Admin(Bytes::copy_from_slice(input.blob()?)),
            other => return Err(input.unknown("reply of a node", other.into())),
        };
        input.end()?;
        Ok(reply)
    }
}

fn write_quorum(out: &mut Writer, quorum: &Quorum) {
    out.u64(quorum.leader.0)
        .i32(quorum.epoch)
        .u64(quorum.committed)
        .count(quorum.members.len());
    for member in &quorum.members {
        out.u64(member.node.0)
            .u8(member.votes.into())
            .u64(member.matched);
    }
}

fn read_quorum(input: &mut Reader<'_>) -> Result<Quorum, WireError> {
    Ok(Quorum {
        leader: NodeId(input.u64()?),
        epoch: input.i32()?,
        committed: input.u64()?,
        members: (0..input.count(17)?)
            .map(|_| {
                Ok(QuorumMember {
                    node: NodeId(input.u64()?),
                    votes: input.u8()? != 0,
                    matched: input.u64()?,
                })
            })
            .collect::<Result<_, _>>()?,
    })
}

fn version(input: &mut Reader<'_>) -> Result<(), WireError> {
    match input.u8()? {
        VERSION => Ok(()),
        other => Err(input.unknown("version of a request", other.into())),
    }
}

#[cfg(test)]
mod tests;
