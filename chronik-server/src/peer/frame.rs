//! What nodes tell each other, one frame at a time.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use chronik_core::ids::NodeId;

use super::Lane;
use super::limits::{CALL_BYTES, FRAME_MESSAGES};
use super::message::{GroupMessage, HEAD_BYTES};
use super::wire::{Reader, WireError};

/// One message of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// The first one in both directions.
    Hello(Hello),
    /// Group messages, in the order in which they were sent.
    Messages(Vec<GroupMessage>),
    /// A sign of life that asks for one.
    Ping(Pulse),
    /// Its answer, with the same echo.
    Pong(Pulse),
    /// A request.
    Ask { id: u64, question: Question },
    /// The answer to the request with this id.
    Answer {
        id: u64,
        outcome: Result<Bytes, String>,
    },
}

/// Who speaks, to whom, and in which versions of this format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub oldest_version: u16,
    pub newest_version: u16,
    pub lane: Lane,
    /// The node that the speaker means to reach.
    pub to: NodeId,
    pub identity: Identity,
}

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub node: NodeId,
    /// None until the node belongs to a cluster.
    pub cluster_id: Option<Arc<str>>,
    /// Which life of the node this is; 0 as long as nobody has counted it.
    pub incarnation: u64,
    /// Different in every life of the process.
    pub boot: u64,
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Chosen by the one who pings.
    pub echo: u64,
    /// Whether the speaker's log takes writes.
    pub wal_ok: bool,
    pub identity: Identity,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who are you? Answered by the transport, so it works before there is a cluster.
    Identity,
    /// Anything else, for the one behind the transport.
    Call(Bytes),
}

/// The newest version that this program speaks, and the oldest one it understands.
pub const NEWEST_VERSION: u16 = 1;
pub const OLDEST_VERSION: u16 = 1;

impl Frame {
    /// How many bytes [`Frame::encode`] writes.
    pub fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Hello(hello) => 4 + 2 + 2 + 1 + 8 + hello.identity.encoded_len(),
            Self::Messages(messages) => {
                4 + messages
                    .iter()
                    .map(GroupMessage::encoded_len)
                    .sum::<usize>()
            }
            Self::Ping(pulse) | Self::Pong(pulse) => 8 + 1 + pulse.identity.encoded_len(),
            Self::Ask { question, .. } => 8 + 1 + question.body().len(),
            Self::Answer { outcome, .. } => {
                8 + 1
                    + match outcome {
                        Ok(body) => body.len(),
                        Err(reason) => reason.len(),
                    }
            }
        }
    }

    /// Appends the frame.
    pub fn encode(&self, out: &mut impl BufMut) {
        match self {
            Self::Hello(hello) => {
                out.put_u8(HELLO);
                out.put_slice(&MAGIC);
                out.put_u16_le(hello.oldest_version);
                out.put_u16_le(hello.newest_version);
                out.put_u8(lane_number(hello.lane));
                out.put_u64_le(hello.to.0);
                hello.identity.encode(out);
            }
            Self::Messages(messages) => {
                out.put_u8(MESSAGES);
                let count = u32::try_from(messages.len()).expect("a frame's messages are bounded");
                out.put_u32_le(count);
                for message in messages {
                    message.encode(out);
                }
            }
            Self::Ping(pulse) => pulse.encode(PING, out),
            Self::Pong(pulse) => pulse.encode(PONG, out),
            Self::Ask { id, question } => {
                out.put_u8(ASK);
                out.put_u64_le(*id);
                out.put_u8(u8::from(matches!(question, Question::Call(_))));
                out.put_slice(question.body());
            }
            Self::Answer { id, outcome } => {
                out.put_u8(ANSWER);
                out.put_u64_le(*id);
                out.put_u8(u8::from(outcome.is_ok()));
                match outcome {
                    Ok(body) => out.put_slice(body),
                    Err(reason) => out.put_slice(reason.as_bytes()),
                }
            }
        }
    }

    /// Reads a frame that was received whole. Payloads share its memory.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let kind = reader.u8()?;
        let frame = match kind {
            HELLO => Self::Hello(hello(&mut reader)?),
            MESSAGES => Self::Messages(messages(&mut reader)?),
            PING => Self::Ping(pulse(&mut reader)?),
            PONG => Self::Pong(pulse(&mut reader)?),
            ASK => ask(&mut reader)?,
            ANSWER => answer(&mut reader)?,
            other => return Err(reader.refuse("the kind of a frame", u64::from(other))),
        };
        reader.end()?;
        Ok(frame)
    }
}

impl Hello {
    /// What the first frame of a stream says.
    pub(super) fn new(lane: Lane, to: NodeId, identity: Identity) -> Self {
        Self {
            oldest_version: OLDEST_VERSION,
            newest_version: NEWEST_VERSION,
            lane,
            to,
            identity,
        }
    }

    /// Why this node and the other one cannot talk, if they cannot; `own` is who reads this.
    pub(super) fn contradiction(&self, own: &Identity) -> Option<String> {
        let (oldest, newest) = (self.oldest_version, self.newest_version);
        if newest < OLDEST_VERSION || oldest > NEWEST_VERSION {
            return Some(format!(
                "node {} speaks the versions {oldest} to {newest} of the protocol between nodes, \
                 node {} speaks {OLDEST_VERSION} to {NEWEST_VERSION}: upgrade the older one in smaller steps",
                self.identity.node, own.node
            ));
        }
        if self.to != own.node {
            return Some(format!(
                "node {} looks for node {} here, but this is node {}: one of them has a wrong `cluster.peers`",
                self.identity.node, self.to, own.node
            ));
        }
        self.identity.contradiction(own)
    }
}

impl Identity {
    /// Why the two cannot be of one cluster, if they cannot.
    pub(super) fn contradiction(&self, own: &Identity) -> Option<String> {
        if self.node == own.node {
            return Some(format!(
                "two nodes have the id {} (boot {:x} and boot {:x}): give one of them another `node.id`",
                own.node, self.boot, own.boot
            ));
        }
        match (&self.cluster_id, &own.cluster_id) {
            (Some(theirs), Some(ours)) if theirs != ours => Some(format!(
                "node {} belongs to cluster {theirs}, node {} to cluster {ours}: clusters never mix",
                self.node, own.node
            )),
            _ => None,
        }
    }

    /// The identity as the body of an answer.
    pub(super) fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode(&mut out);
        out.into()
    }

    pub(super) fn from_bytes(bytes: Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let identity = identity(&mut reader)?;
        reader.end()?;
        Ok(identity)
    }

    fn encoded_len(&self) -> usize {
        8 + 8 + 8 + 1 + self.cluster_text().len()
    }

    fn encode(&self, out: &mut impl BufMut) {
        out.put_u64_le(self.node.0);
        out.put_u64_le(self.incarnation);
        out.put_u64_le(self.boot);
        let cluster = self.cluster_text();
        out.put_u8(u8::try_from(cluster.len()).expect("a cluster's id is bounded when it is made"));
        out.put_slice(cluster.as_bytes());
    }

    fn cluster_text(&self) -> &str {
        self.cluster_id.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cluster_id {
            Some(cluster) => write!(formatter, "node {} of cluster {cluster}", self.node),
            None => write!(formatter, "node {} without a cluster", self.node),
        }
    }
}

impl Pulse {
    fn encode(&self, kind: u8, out: &mut impl BufMut) {
        out.put_u8(kind);
        out.put_u64_le(self.echo);
        out.put_u8(u8::from(self.wal_ok));
        self.identity.encode(out);
    }
}

impl Question {
    fn body(&self) -> &[u8] {
        match self {
            Self::Identity => &[],
            Self::Call(body) => body,
        }
    }
}

const MAGIC: [u8; 4] = *b"CHRK";

const HELLO: u8 = 1;
const MESSAGES: u8 = 2;
const PING: u8 = 3;
const PONG: u8 = 4;
const ASK: u8 = 5;
const ANSWER: u8 = 6;

fn hello(reader: &mut Reader) -> Result<Hello, WireError> {
    let magic = reader.cut(MAGIC.len())?;
    if magic != MAGIC[..] {
        return Err(reader.refuse("the magic number of a stream", u64::from(magic[0])));
    }
    Ok(Hello {
        oldest_version: reader.u16()?,
        newest_version: reader.u16()?,
        lane: lane(reader)?,
        to: NodeId(reader.u64()?),
        identity: identity(reader)?,
    })
}

fn messages(reader: &mut Reader) -> Result<Vec<GroupMessage>, WireError> {
    let count = reader.count("the number of messages", FRAME_MESSAGES, HEAD_BYTES)?;
    let mut messages = Vec::with_capacity(count);
    for _ in 0..count {
        messages.push(GroupMessage::decode(reader)?);
    }
    Ok(messages)
}

fn pulse(reader: &mut Reader) -> Result<Pulse, WireError> {
    Ok(Pulse {
        echo: reader.u64()?,
        wal_ok: reader.bool("whether the log is well")?,
        identity: identity(reader)?,
    })
}

fn identity(reader: &mut Reader) -> Result<Identity, WireError> {
    let node = NodeId(reader.u64()?);
    let incarnation = reader.u64()?;
    let boot = reader.u64()?;
    let len = reader.u8()?;
    let cluster = reader.cut(usize::from(len))?;
    let cluster = std::str::from_utf8(&cluster)
        .map_err(|_| reader.refuse("the length of a cluster's id that is no text", len.into()))?;
    Ok(Identity {
        node,
        cluster_id: (!cluster.is_empty()).then(|| cluster.into()),
        incarnation,
        boot,
    })
}

fn ask(reader: &mut Reader) -> Result<Frame, WireError> {
    let id = reader.u64()?;
    let is_call = reader.bool("whether a question is a call")?;
    let body = call_body(reader)?;
    let question = match is_call {
        true => Question::Call(body),
        false if body.is_empty() => Question::Identity,
        false => return Err(WireError::Trailing { left: body.len() }),
    };
    Ok(Frame::Ask { id, question })
}

fn answer(reader: &mut Reader) -> Result<Frame, WireError> {
    let id = reader.u64()?;
    let is_success = reader.bool("whether an answer is a success")?;
    let body = call_body(reader)?;
    let outcome = match is_success {
        true => Ok(body),
        false => Err(String::from_utf8_lossy(&body).into_owned()),
    };
    Ok(Frame::Answer { id, outcome })
}

fn call_body(reader: &mut Reader) -> Result<Bytes, WireError> {
    let body = reader.rest();
    match body.len() {
        len if len > CALL_BYTES => Err(reader.refuse("the length of a call", len as u64)),
        _ => Ok(body),
    }
}

fn lane_number(lane: Lane) -> u8 {
    match lane {
        Lane::Control => 0,
        Lane::Bulk => 1,
    }
}

fn lane(reader: &mut Reader) -> Result<Lane, WireError> {
    match reader.u8()? {
        0 => Ok(Lane::Control),
        1 => Ok(Lane::Bulk),
        other => Err(reader.refuse("the lane of a stream", u64::from(other))),
    }
}
