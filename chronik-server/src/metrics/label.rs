//! The labels: closed lists, so that a series is found by its position.

use kafka_protocol::messages::ApiKey;

/// A label whose values are known when the program is compiled.
pub trait Label: Copy {
    /// Its name.
    const NAME: &'static str;

    /// How many values it has.
    const COUNT: usize;

    /// Most values never occur, so series without a count are left out.
    const IS_SPARSE: bool = false;

    /// The position of this value, below [`Label::COUNT`].
    fn position(self) -> usize;

    /// The value at a position, as text.
    fn text(position: usize) -> String;
}

macro_rules! labels {
    ($(
        $(#[doc = $sentence:literal])+
        $Label:ident = $name:literal {
            $($(#[doc = $value_sentence:literal])+ $Value:ident = $text:literal,)+
        }
    )+) => {$(
        $(#[doc = $sentence])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Label {
            $($(#[doc = $value_sentence])+ $Value,)+
        }

        impl Label for $Label {
            const NAME: &'static str = $name;
            const COUNT: usize = [$($text),+].len();

            fn position(self) -> usize {
                self as usize
            }

            fn text(position: usize) -> String {
                [$($text),+][position].to_owned()
            }
        }
    )+};
}

labels! {
    /// Where a produced batch spends its time.
    ProducePhase = "phase" {
        /// Decoding and checking.
        Check = "check",
        /// From the proposal to the commit, the sync included; one sample may stand for many batches.
        Commit = "commit",
        /// From the request's last byte to its answer.
        Total = "total",
    }

    /// Where a fetch spends its time.
    FetchPhase = "phase" {
        /// Finding out where the records are.
        Plan = "plan",
        /// Waiting for records to exist.
        Wait = "wait",
        /// Reading files.
        Read = "read",
        /// From the request's last byte to its answer.
        Total = "total",
    }

    /// Where the creation of a topic spends its time.
    TopicPhase = "phase" {
        /// Until the catalog holds the topic durably.
        Commit = "commit",
        /// Until every partition has a leader, too.
        Total = "total",
    }

    /// Why a client's connection was closed.
    Closing = "reason" {
        /// The client hung up.
        Client = "client",
        /// Too many connections.
        Refused = "refused",
        /// Nothing was sent for too long.
        Idle = "idle",
        /// A frame, header or body that cannot be right.
        Malformed = "malformed",
        /// An API or version this node does not serve.
        Unsupported = "unsupported",
        /// The client does not read its answers.
        SlowReader = "slow_reader",
        /// A produce without acknowledgement failed, which can be told in no other way.
        Unacknowledged = "unacknowledged",
        /// The node stops.
        Stopping = "stopping",
        /// An error of the network.
        Network = "network",
    }

    /// Which way bytes go.
    Direction = "direction" {
        /// From clients.
        In = "in",
        /// To clients.
        Out = "out",
    }

    /// What a shard is asked.
    EventKind = "kind" {
        /// Batches to append.
        Append = "append",
        /// Records to find.
        Read = "read",
        /// A position to look up.
        Find = "find",
        /// The node came to belong to a cluster.
        Belong = "belong",
        /// Messages of other nodes.
        Peer = "peer",
        /// A node that came or went.
        Liveness = "liveness",
        /// What another node says of the groups that it leads.
        Leads = "leads",
        /// What another node says of the compacted logs that it holds.
        Clean = "clean",
        /// Keys that compaction found in a log.
        Surveyed = "surveyed",
        /// Entries read from disk for another node.
        Fetched = "fetched",
        /// A change of the catalog.
        Propose = "propose",
        /// A producer id to hand out.
        ProducerId = "producer_id",
        /// Records to remove.
        Trim = "trim",
        /// Partitions to describe.
        Describe = "describe",
        /// All groups to show to operators.
        Inspect = "inspect",
        /// A leader that operators want to change.
        Transfer = "transfer",
        /// Producers to list.
        Producers = "producers",
        /// A state that stands for records.
        KeepState = "keep_state",
        /// Such a state to hand out.
        KeptState = "kept_state",
        /// Word from the log: records became durable, a segment was sealed, a checkpoint is done.
        Log = "log",
        /// Others are to lead.
        HandOver = "hand_over",
        /// The node stops.
        Stop = "stop",
    }

    /// A bounded queue.
    Queue = "queue" {
        /// Events for a shard.
        Shard = "shard",
        /// Tasks for the log's writer.
        Wal = "wal",
        /// Calls for the group coordinator.
        Coordinator = "coordinator",
    }

    /// Something that is waited for with a bound.
    Operation = "operation" {
        /// Reading records from the log's files.
        LogRead = "log_read",
        /// An append to be durable and committed.
        Commit = "commit",
        /// The rest of a request that began to arrive.
        RequestRead = "request_read",
        /// A client to take an answer.
        AnswerWrite = "answer_write",
        /// Work in progress to end at shutdown.
        Drain = "drain",
    }

    /// What a segment file is.
    SegmentState = "state" {
        /// Written to, or scanned at the next start.
        Open = "open",
        /// Full and indexed.
        Sealed = "sealed",
        /// Written by defragmentation.
        Sorted = "sorted",
        /// Spare and ready.
        Pool = "pool",
    }
}

/// One of Kafka's error numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorNumber(pub i16);

/// Another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerNode(pub u64);

/// The version of this program, the only one it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version;

impl Label for ErrorNumber {
    const NAME: &'static str = "error";
    const COUNT: usize = 256;
    const IS_SPARSE: bool = true;

    fn position(self) -> usize {
        // Kafka's numbers start at -1; what lies outside of today's range shares the last series.
        usize::try_from(i32::from(self.0) + 1)
            .map_or(Self::COUNT - 1, |position| position.min(Self::COUNT - 1))
    }

    fn text(position: usize) -> String {
        match position {
            0 => "-1".to_owned(),
            last if last == Self::COUNT - 1 => "other".to_owned(),
            position => (position - 1).to_string(),
        }
    }
}

impl Label for PeerNode {
    const NAME: &'static str = "peer";
    const COUNT: usize = 64;
    const IS_SPARSE: bool = true;

    fn position(self) -> usize {
        // Nodes are numbered from one upwards; the few with a large number share the last series.
        usize::try_from(self.0).map_or(Self::COUNT - 1, |id| id.min(Self::COUNT - 1))
    }

    fn text(position: usize) -> String {
        match position {
            last if last == Self::COUNT - 1 => "other".to_owned(),
            position => position.to_string(),
        }
    }
}

impl Label for Version {
    const NAME: &'static str = "version";
    const COUNT: usize = 1;

    fn position(self) -> usize {
        0
    }

    fn text(_position: usize) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }
}

impl Label for ApiKey {
    const NAME: &'static str = "api";
    const COUNT: usize = 128;
    const IS_SPARSE: bool = true;

    fn position(self) -> usize {
        usize::try_from(self as i16).map_or(Self::COUNT - 1, |key| key.min(Self::COUNT - 1))
    }

    fn text(position: usize) -> String {
        let key = i16::try_from(position).unwrap_or(i16::MAX);
        Self::try_from(key).map_or_else(|()| format!("key_{key}"), |api| format!("{api:?}"))
    }
}
