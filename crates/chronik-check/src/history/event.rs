//! The events of a history, as the recording clients make them and the checker takes them.

use crate::contract::Contract;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// One event. A history is ordered by time; only the recording tool stamps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since the start of the run, monotonic.
    pub time_ns: u64,
    /// The client task; a new one after a crash, because order is promised only within one.
    pub proc: u32,
    pub action: Action,
}

/// What happened. Pairs of invocation and end share their `op`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// First line of a history.
    Run(RunInfo),
    SendInvoke(SendInvoke),
    SendEnd(SendEnd),
    PollInvoke {
        op: u64,
    },
    Poll(Poll),
    PollFailed {
        op: u64,
    },
    /// The consumer takes these partitions by itself, from these positions if it knows them.
    Assign(Positions),
    Seek(Positions),
    /// A group gave these partitions to the consumer.
    Assigned {
        group: Name,
        generation: i32,
        positions: Positions,
    },
    Revoked {
        group: Name,
        generation: i32,
        partitions: Vec<Name>,
    },
    CommitInvoke(Commit),
    CommitEnd(CommitEnd),
    FetchCommittedInvoke {
        op: u64,
        group: Name,
    },
    FetchCommittedEnd(FetchCommittedEnd),
    ListOffsetsInvoke {
        op: u64,
    },
    ListOffsetsEnd(ListOffsetsEnd),
    TransactionInvoke(Transaction),
    TransactionEnd {
        op: u64,
        outcome: Outcome,
    },
    RaftStatus(RaftStatus),
    LogDigest(LogDigest),
    /// The end of one partition's final read.
    Final(FinalRead),
    Invariant(Invariant),
    /// A process ended; a client's end closes its read positions.
    ProcExit {
        node: Option<u32>,
        expected: bool,
    },
    /// Anything that only a report shows: faults, metadata, subscriptions.
    Note,
}

/// A topic-partition as `topic/partition`, or a group; cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Positions by partition; `None` where the consumer left it to the broker.
pub type Positions = Vec<(Name, Option<u64>)>;

/// Who wrote a record: our identity, independent of the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value {
    pub producer: u32,
    pub incarnation: u32,
    pub seq: u64,
}

/// The wire's identity of a batch: producer id, epoch, base sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    pub producer_id: i64,
    pub epoch: i16,
    pub base_sequence: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    pub format: u32,
    pub run: u64,
    pub contract: Contract,
}

/// A batch of `count` records with consecutive sequences leaves for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendInvoke {
    pub op: u64,
    /// `topic/*` when a foreign partitioner chooses.
    pub partition: Name,
    pub value: Value,
    /// Present exactly for idempotent producers.
    pub wire: Option<Wire>,
    pub count: u32,
    pub acks: i16,
    pub transaction: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendEnd {
    pub op: u64,
    /// What the client made of it; recomputed from the attempts where they are recorded.
    pub outcome: Outcome,
    /// Where a foreign partitioner put it.
    pub partition: Option<Name>,
    pub offset: Option<u64>,
    pub leader_epoch: Option<i32>,
    pub node: Option<u32>,
    pub attempts: Vec<Attempt>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Ok,
    Fail,
    Info,
}

/// One request of a send: nothing is retried in hiding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub node: Option<u32>,
    pub result: AttemptResult,
    /// Only where a retry went out under another identity.
    pub wire: Option<Wire>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    Ok,
    /// No byte was written to a socket.
    NotSent,
    Timeout,
    Disconnected,
    Error(KafkaError),
}

/// Broker errors whose meaning for a send is known; any other is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaError {
    MessageTooLarge,
    InvalidTopic,
    UnknownTopicOrPartition,
    TopicAuthorizationFailed,
    ClusterAuthorizationFailed,
    TransactionalIdAuthorizationFailed,
    InvalidRecord,
    UnsupportedVersion,
    UnsupportedForMessageFormat,
    UnsupportedCompressionType,
    InvalidProducerEpoch,
    ProducerFenced,
    OutOfOrderSequence,
    NotEnoughReplicas,
    NotEnoughReplicasAfterAppend,
    NotLeaderOrFollower,
    RequestTimedOut,
    DuplicateSequence,
    UnknownServerError,
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    pub op: u64,
    pub mode: PollMode,
    pub group: Option<Name>,
    pub generation: Option<i32>,
    pub isolation: Isolation,
    /// The transaction inside which these records were consumed.
    pub transaction: Option<u64>,
    pub records: Vec<(Name, Vec<Record>)>,
    pub high_watermarks: Vec<(Name, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PollMode {
    Assign,
    Group,
    /// Like `assign`, after the heal, to decide what is lost.
    Final,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    #[default]
    Uncommitted,
    Committed,
}

/// `count` records at consecutive offsets with consecutive sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: u64,
    pub content: Content,
    pub leader_epoch: Option<i32>,
    pub count: u32,
}

/// What a payload turned out to be; only the first is a record of this run at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Value(Value),
    Corrupt,
    Misrouted,
    Foreign,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub op: u64,
    pub group: Name,
    pub generation: i32,
    pub offsets: Vec<(Name, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitEnd {
    pub op: u64,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchCommittedEnd {
    pub op: u64,
    /// Empty unless it succeeded; `None` where nothing was committed.
    pub offsets: Positions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListOffsetsEnd {
    pub op: u64,
    /// Empty unless it succeeded.
    pub latest: Vec<(Name, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub op: u64,
    pub transaction: u64,
    pub commit: bool,
}

/// Whom one node takes for the leaders of its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftStatus {
    pub node: u32,
    pub groups: Vec<(Name, LeaderView)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderView {
    pub term: u64,
    pub leader: u32,
}

/// One replica's chained digests at some offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDigest {
    pub node: u32,
    pub partition: Name,
    /// The replica vouches for offsets below it.
    pub commit: u64,
    pub digests: Vec<(u64, u64)>,
}

/// How far the final read of a partition went, and what the broker said its log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalRead {
    pub partition: Name,
    pub start: u64,
    pub end: u64,
    /// Every offset below it was delivered or passed.
    pub reached: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invariant {
    pub node: Option<u32>,
    /// `panic`, `assertion`, `core`.
    pub kind: String,
    pub text: String,
}

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Name {
        Name(text.into())
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{},{},{}]", self.producer, self.incarnation, self.seq)
    }
}

impl Value {
    /// The value `steps` sequences later.
    pub fn plus(self, steps: u64) -> Value {
        Value {
            seq: self.seq + steps,
            ..self
        }
    }
}

impl AttemptResult {
    /// The word for it in a history line.
    pub fn word(self) -> &'static str {
        match self {
            AttemptResult::Ok => "OK",
            AttemptResult::NotSent => "NOT_SENT",
            AttemptResult::Timeout => "TIMEOUT",
            AttemptResult::Disconnected => "DISCONNECTED",
            AttemptResult::Error(error) => error.word(),
        }
    }

    /// Reads a word; one that is not known is an error that leaves everything open.
    pub fn from_word(word: &str) -> AttemptResult {
        match word {
            "OK" => AttemptResult::Ok,
            "NOT_SENT" => AttemptResult::NotSent,
            "TIMEOUT" => AttemptResult::Timeout,
            "DISCONNECTED" => AttemptResult::Disconnected,
            other => AttemptResult::Error(KafkaError::from_word(other)),
        }
    }
}

/// Kafka's own names, beside the numbers of its protocol.
const ERRORS: [(KafkaError, &str, i16); 19] = [
    (KafkaError::UnknownServerError, "UNKNOWN_SERVER_ERROR", -1),
    (
        KafkaError::UnknownTopicOrPartition,
        "UNKNOWN_TOPIC_OR_PARTITION",
        3,
    ),
    (KafkaError::NotLeaderOrFollower, "NOT_LEADER_OR_FOLLOWER", 6),
    (KafkaError::RequestTimedOut, "REQUEST_TIMED_OUT", 7),
    (KafkaError::MessageTooLarge, "MESSAGE_TOO_LARGE", 10),
    (KafkaError::InvalidTopic, "INVALID_TOPIC_EXCEPTION", 17),
    (KafkaError::NotEnoughReplicas, "NOT_ENOUGH_REPLICAS", 19),
    (
        KafkaError::NotEnoughReplicasAfterAppend,
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        20,
    ),
    (
        KafkaError::TopicAuthorizationFailed,
        "TOPIC_AUTHORIZATION_FAILED",
        29,
    ),
    (
        KafkaError::ClusterAuthorizationFailed,
        "CLUSTER_AUTHORIZATION_FAILED",
        31,
    ),
    (KafkaError::UnsupportedVersion, "UNSUPPORTED_VERSION", 35),
    (
        KafkaError::UnsupportedForMessageFormat,
        "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        43,
    ),
    (
        KafkaError::OutOfOrderSequence,
        "OUT_OF_ORDER_SEQUENCE_NUMBER",
        45,
    ),
    (
        KafkaError::DuplicateSequence,
        "DUPLICATE_SEQUENCE_NUMBER",
        46,
    ),
    (
        KafkaError::InvalidProducerEpoch,
        "INVALID_PRODUCER_EPOCH",
        47,
    ),
    (
        KafkaError::TransactionalIdAuthorizationFailed,
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        53,
    ),
    (
        KafkaError::UnsupportedCompressionType,
        "UNSUPPORTED_COMPRESSION_TYPE",
        76,
    ),
    (KafkaError::InvalidRecord, "INVALID_RECORD", 87),
    (KafkaError::ProducerFenced, "PRODUCER_FENCED", 90),
];

impl KafkaError {
    /// The meaning of an error code of the Kafka protocol.
    pub fn from_code(code: i16) -> KafkaError {
        let known = ERRORS.iter().find(|(_, _, known)| *known == code);
        known.map_or(KafkaError::Other, |(error, _, _)| *error)
    }

    fn from_word(word: &str) -> KafkaError {
        // The short form is what people write by hand.
        let word = if word == "NOT_LEADER" {
            "NOT_LEADER_OR_FOLLOWER"
        } else {
            word
        };
        let known = ERRORS.iter().find(|(_, known, _)| *known == word);
        known.map_or(KafkaError::Other, |(error, _, _)| *error)
    }

    fn word(self) -> &'static str {
        let known = ERRORS.iter().find(|(error, _, _)| *error == self);
        known.map_or("OTHER", |(_, word, _)| *word)
    }
}
