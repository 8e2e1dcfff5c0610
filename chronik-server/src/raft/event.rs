//! Everything that can happen to a shard, and the words in which it answers.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use chronik_core::catalog::{Outcome, Proposal};
use chronik_core::group::Fetch;
use chronik_core::group::eraftpb::Entry;
use chronik_core::ids::{GroupUid, NodeId};
use chronik_core::partition::producers::{Producer, SequenceRefused};
use chronik_core::partition::{Acks, BatchHeader};
use tokio::sync::{Notify, oneshot};

use super::capture::Captured;
use super::compaction::{CleanLog, Surveyed};
use super::gossip::Leads;
use super::history::Change;
use super::inspect::{Inspection, Sight, Transfer};
use super::recovery::Belong;
use crate::metrics::EventKind;
use crate::peer::{GroupMessage, Liveness};

/// The closed list of what a shard reacts to.
#[derive(Debug)]
pub(crate) enum Event {
    /// All batches of one produce request.
    Append(Vec<Append>),
    Read(Box<Read>),
    Find(Find),
    /// This node belongs to a cluster from now on.
    Belong(Belong),
    /// Messages of another node's replicas.
    Peer {
        from: NodeId,
        messages: Vec<GroupMessage>,
    },
    /// A node came, went, or lost what was sent to it.
    Liveness(Liveness),
    /// What another node says of the groups that it leads.
    Leads {
        from: NodeId,
        news: Vec<Leads>,
    },
    /// What another node says of the compacted logs that it holds.
    Clean {
        from: NodeId,
        logs: Vec<CleanLog>,
    },
    /// Where the keys of a log are.
    Surveyed(Surveyed),
    /// Entries that were read from disk for a replica of another node.
    Fetched {
        group: GroupUid,
        fetch: Fetch,
        entries: Vec<Entry>,
    },
    /// Whoever waits for a proposal of this node, before it is sent anywhere.
    Await {
        number: u64,
        reply: oneshot::Sender<Outcome>,
    },
    /// A proposal of any node, for the leader of the metadata group.
    Propose {
        proposal: Box<Proposal>,
        taken: oneshot::Sender<Result<(), ProposeError>>,
    },
    /// A producer id of the block that this node took; none if it is used up.
    ProducerId {
        reply: oneshot::Sender<Option<i64>>,
    },
    /// Another block of producer ids.
    ProducerIds(Range<i64>),
    /// Records below `offset` are to go; -1 stands for the high watermark.
    Trim {
        group: GroupUid,
        offset: i64,
        reply: oneshot::Sender<Result<i64, TrimError>>,
    },
    Describe {
        groups: Vec<GroupUid>,
        reply: oneshot::Sender<Vec<Option<Description>>>,
    },
    /// Everything that operators may see.
    Inspect {
        reply: oneshot::Sender<Inspection>,
    },
    /// The first few of these groups as they are, for a snapshot.
    Capture {
        groups: Vec<GroupUid>,
        reply: oneshot::Sender<Captured>,
    },
    /// This node is about to lead a group because an operator wants it.
    Hold(GroupUid),
    /// Who of the other nodes lives, as far as is known here.
    Sights {
        reply: oneshot::Sender<Vec<Sight>>,
    },
    /// When groups changed their leaders.
    History {
        reply: oneshot::Sender<Vec<Change>>,
    },
    /// An operator wants another leader.
    Transfer(Transfer),
    Producers {
        group: GroupUid,
        reply: oneshot::Sender<Result<Vec<(i64, Producer)>, GroupError>>,
    },
    /// The state that stands for all records below `offset`, which may then be trimmed.
    KeepState {
        group: GroupUid,
        offset: i64,
        state: Bytes,
    },
    KeptState {
        group: GroupUid,
        source: Source,
        reply: oneshot::Sender<Result<KeptState, GroupError>>,
    },
    Log(chronik_wal::Notice<super::Token>),
    /// Let others lead; answered when this node leads nothing that another one could.
    HandOver {
        reply: oneshot::Sender<()>,
    },
    /// Let these nodes lead these groups, as far as they are led here and can be handed over at once.
    HandTo(Vec<(GroupUid, NodeId)>),
    /// How the metadata group stands, in the eyes of its leader; none if it is led elsewhere.
    Quorum {
        reply: oneshot::Sender<Option<Quorum>>,
    },
    /// Write what is there, take a last checkpoint and end.
    Stop {
        reply: oneshot::Sender<()>,
    },
}

impl Event {
    /// What it is counted as.
    pub(crate) fn kind(&self) -> EventKind {
        match self {
            Event::Append(_) => EventKind::Append,
            Event::Read(_) => EventKind::Read,
            Event::Find(_) => EventKind::Find,
            Event::Belong(_) => EventKind::Belong,
            Event::Peer { .. } => EventKind::Peer,
            Event::Liveness(_) => EventKind::Liveness,
            Event::Leads { .. } => EventKind::Leads,
            Event::Clean { .. } => EventKind::Clean,
            Event::Surveyed(_) => EventKind::Surveyed,
            Event::Fetched { .. } => EventKind::Fetched,
            Event::Await { .. } | Event::Propose { .. } => EventKind::Propose,
            Event::ProducerId { .. } | Event::ProducerIds(_) => EventKind::ProducerId,
            Event::Trim { .. } => EventKind::Trim,
            Event::Describe { .. } => EventKind::Describe,
            Event::Inspect { .. }
            | Event::Capture { .. }
            | Event::Sights { .. }
            | Event::History { .. } => EventKind::Inspect,
            Event::Transfer(_) | Event::Hold(_) => EventKind::Transfer,
            Event::Producers { .. } => EventKind::Producers,
            Event::KeepState { .. } => EventKind::KeepState,
            Event::KeptState { .. } => EventKind::KeptState,
            Event::Log(_) => EventKind::Log,
            Event::HandOver { .. } | Event::HandTo(_) => EventKind::HandOver,
            Event::Quorum { .. } => EventKind::Describe,
            Event::Stop { .. } => EventKind::Stop,
        }
    }
}

/// One batch for one partition. Its header was checked; its bytes are patched in place.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) group: GroupUid,
    pub(crate) header: BatchHeader,
    pub(crate) batch: BytesMut,
    pub(crate) acks: Acks,
    pub(crate) reply: oneshot::Sender<Result<Appended, AppendError>>,
}

/// The answer of an append, sent when it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: i64,
    pub log_start_offset: i64,
}

/// A question to several partitions at once.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) partitions: Vec<ReadPartition>,
    pub(crate) source: Source,
    /// Over all partitions; the first batch goes out even if it is larger (KIP-74).
    pub(crate) max_bytes: usize,
    /// If less than its least is there, the waiter is told when more comes.
    pub(crate) waiter: Option<Arc<Waiter>>,
    pub(crate) reply: oneshot::Sender<Vec<Result<Found, ReadError>>>,
}

/// Which replicas may answer a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Leader,
    /// Any, once it shows everything that was acknowledged when it was asked.
    AnyReplica,
    /// Any: that was confirmed for this look.
    Confirmed,
    /// The one here, with what it knows to be committed, whoever leads.
    Own,
}

#[derive(Clone, Copy, Debug)]
pub struct ReadPartition {
    pub group: GroupUid,
    pub offset: i64,
    pub max_bytes: usize,
    /// The epoch that the client believes in, if it says one.
    pub expected_epoch: Option<i32>,
}

/// What a partition holds from an offset on.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) bounds: Bounds,
    pub(crate) data: Data,
}

/// The edges of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub start_offset: i64,
    pub high_watermark: i64,
    pub end_offset: i64,
    pub epoch: i32,
}

#[derive(Debug)]
pub(crate) enum Data {
    /// Whole batches from memory.
    Cached(Vec<Bytes>),
    /// Whole batches on disk, to be read by the one who asked.
    Stored(chronik_wal::Plan),
}

/// A question about where something is in one partition.
#[derive(Debug)]
pub(crate) struct Find {
    pub(crate) group: GroupUid,
    pub(crate) expected_epoch: Option<i32>,
    pub(crate) what: Sought,
    pub(crate) reply: oneshot::Sender<Result<Position, ReadError>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    Bounds,
    /// The first batch with a record at or after this time.
    Timestamp(i64),
    MaxTimestamp,
    /// The end of the largest epoch at or below this one.
    EpochEnd(i32),
    /// The epoch of the record at this offset.
    EpochAt(i64),
}

#[derive(Debug)]
pub(crate) enum Position {
    Bounds(Bounds),
    /// The batch to look into, none if there is no such record.
    Batch(Bounds, Option<chronik_wal::Plan>),
    EpochEnd(Option<(i32, i64)>),
    Epoch(Option<i32>),
}

/// What there is to say of a group for operators.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    pub bounds: Bounds,
    pub bytes: u64,
    pub leads: bool,
}

/// The metadata group and how far its members are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    pub leader: NodeId,
    pub epoch: i32,
    pub committed: u64,
    pub members: Vec<QuorumMember>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumMember {
    pub node: NodeId,
    pub votes: bool,
    /// Its log is known to be the leader's up to here.
    pub matched: u64,
}

/// A state that stands for records, and the first offset that it does not cover.
#[derive(Clone, Debug, Default)]
pub struct KeptState {
    pub offset: i64,
    pub state: Option<Bytes>,
    pub bounds: Option<Bounds>,
}

/// Where to go instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    pub leader: Option<NodeId>,
    pub epoch: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("this node does not lead the partition")]
    NotLeader(Hint),
    #[error("this node does not know the partition")]
    UnknownGroup,
    #[error(transparent)]
    Sequence(#[from] SequenceRefused),
    #[error("fewer replicas are in sync than min.insync.replicas asks for")]
    NotEnoughReplicas,
    #[error("the node has as much work as it may take")]
    Overloaded,
    #[error("the disk is full")]
    DiskFull,
    #[error("it is not known whether the batch was appended")]
    Unknown,
    #[error("the batch has {bytes} bytes, the topic takes {most}")]
    TooLarge { bytes: usize, most: u32 },
    #[error("the node is shutting down")]
    Stopping,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("this node does not lead the partition")]
    NotLeader(Hint),
    #[error("the leader's term has no committed entry yet")]
    NotReady,
    #[error("this node does not know the partition")]
    UnknownGroup,
    #[error("the client's epoch is older than {0}")]
    FencedEpoch(i32),
    #[error("the client's epoch is newer than {0}")]
    UnknownEpoch(i32),
    #[error("the log has no such offset")]
    OutOfRange(Bounds),
    #[error("the records could not be read: {0}")]
    Storage(String),
    #[error("the node is shutting down")]
    Stopping,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    #[error("the metadata group is led elsewhere, or by nobody")]
    NotLeader(Option<NodeId>),
    #[error("the change was not confirmed in time")]
    TimedOut,
    #[error("the node is shutting down")]
    Stopping,
    #[error("the disk is full")]
    DiskFull,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrimError {
    #[error("the offset is above the high watermark {0}")]
    AboveHighWatermark(i64),
    #[error(transparent)]
    Group(#[from] GroupError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    #[error("this node does not lead the partition")]
    NotLeader(Hint),
    #[error("this node does not know the partition")]
    Unknown,
    #[error("the node is shutting down")]
    Stopping,
}

/// A fetch that waits for bytes. The shard counts what becomes visible and wakes it once there is enough.
#[derive(Debug)]
pub(crate) struct Waiter {
    missing_bytes: AtomicU64,
    done: AtomicBool,
    woken: Notify,
}

impl Waiter {
    pub(crate) fn new(min_bytes: u64) -> Arc<Waiter> {
        Arc::new(Waiter {
            missing_bytes: AtomicU64::new(min_bytes),
            done: AtomicBool::new(false),
            woken: Notify::new(),
        })
    }

    /// Whether `present` bytes satisfy it; what is missing is counted from here on.
    pub(crate) fn has_enough(&self, present: u64) -> bool {
        let missing = self
            .missing_bytes
            .load(Ordering::Relaxed)
            .saturating_sub(present);
        self.missing_bytes.store(missing, Ordering::Relaxed);
        missing == 0
    }

    /// More became visible. Only the shard calls this, hence no read-modify-write race.
    pub(crate) fn add(&self, bytes: u64) {
        let missing = self
            .missing_bytes
            .load(Ordering::Relaxed)
            .saturating_sub(bytes);
        self.missing_bytes.store(missing, Ordering::Relaxed);
        if missing == 0 {
            self.wake();
        }
    }

    /// Something happened that the reader must see at once.
    pub(crate) fn wake(&self) {
        self.done.store(true, Ordering::Release);
        self.woken.notify_one();
    }

    /// Whether the shard may forget it.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }
}
