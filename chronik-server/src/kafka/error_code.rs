//! The numbers of Kafka's errors. Nothing outside this file knows one.

use chronik_core::catalog::Refused;
use chronik_core::consumer_group;
use chronik_core::partition::BatchError;
use chronik_core::partition::producers::SequenceRefused;

use crate::broker::{
    AppendError, CreateRefused, ExtendRefused, GroupError, ProposeError, ReadError, TrimError,
};

/// Kafka's error codes, as far as this node answers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i16)]
pub(crate) enum ErrorCode {
    UnknownServerError = -1,
    None = 0,
    OffsetOutOfRange = 1,
    CorruptMessage = 2,
    UnknownTopicOrPartition = 3,
    LeaderNotAvailable = 5,
    NotLeaderOrFollower = 6,
    RequestTimedOut = 7,
    MessageTooLarge = 10,
    OffsetMetadataTooLarge = 12,
    CoordinatorLoadInProgress = 14,
    CoordinatorNotAvailable = 15,
    NotCoordinator = 16,
    InvalidTopic = 17,
    NotEnoughReplicas = 19,
    InvalidRequiredAcks = 21,
    IllegalGeneration = 22,
    InconsistentGroupProtocol = 23,
    InvalidGroupId = 24,
    UnknownMemberId = 25,
    InvalidSessionTimeout = 26,
    RebalanceInProgress = 27,
    InvalidCommitOffsetSize = 28,
    UnsupportedVersion = 35,
    TopicAlreadyExists = 36,
    InvalidPartitions = 37,
    InvalidReplicationFactor = 38,
    InvalidReplicaAssignment = 39,
    InvalidConfig = 40,
    NotController = 41,
    InvalidRequest = 42,
    PolicyViolation = 44,
    OutOfOrderSequenceNumber = 45,
    InvalidProducerEpoch = 47,
    SecurityDisabled = 54,
    KafkaStorageError = 56,
    NonEmptyGroup = 68,
    GroupIdNotFound = 69,
    FetchSessionIdNotFound = 70,
    FencedLeaderEpoch = 74,
    UnknownLeaderEpoch = 75,
    UnsupportedCompressionType = 76,
    OffsetNotAvailable = 78,
    MemberIdRequired = 79,
    PreferredLeaderNotAvailable = 80,
    GroupMaxSizeReached = 81,
    FencedInstanceId = 82,
    EligibleLeadersNotAvailable = 83,
    ElectionNotNeeded = 84,
    NoReassignmentInProgress = 85,
    GroupSubscribedToTopic = 86,
    InvalidRecord = 87,
    UnstableOffsetCommit = 88,
    UnknownTopicId = 100,
    BrokerIdNotRegistered = 102,
    MismatchedEndpointType = 114,
    UnsupportedEndpointType = 115,
}

impl ErrorCode {
    pub(crate) const fn number(self) -> i16 {
        self as i16
    }
}

impl From<&BatchError> for ErrorCode {
    fn from(error: &BatchError) -> Self {
        match error {
            BatchError::Short(_) | BatchError::Checksum { .. } => ErrorCode::CorruptMessage,
            BatchError::Magic(_) | BatchError::Length { .. } | BatchError::Count { .. } => {
                ErrorCode::InvalidRecord
            }
            BatchError::Compression(_) => ErrorCode::UnsupportedCompressionType,
        }
    }
}

impl From<&AppendError> for ErrorCode {
    fn from(error: &AppendError) -> Self {
        match error {
            // A node that stops is like one that lost its leadership: the client looks for another.
            AppendError::NotLeader(_) | AppendError::Stopping => ErrorCode::NotLeaderOrFollower,
            AppendError::UnknownGroup => ErrorCode::UnknownTopicOrPartition,
            AppendError::Sequence(refused) => refused.into(),
            AppendError::NotEnoughReplicas => ErrorCode::NotEnoughReplicas,
            AppendError::DiskFull => ErrorCode::KafkaStorageError,
            // Retriable both: the one was never appended, the other's fate is unknown.
            AppendError::Overloaded | AppendError::Unknown => ErrorCode::RequestTimedOut,
            AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        }
    }
}

impl From<&SequenceRefused> for ErrorCode {
    fn from(refused: &SequenceRefused) -> Self {
        match refused {
            SequenceRefused::OutOfOrder { .. } | SequenceRefused::EpochNotAtZero { .. } => {
                ErrorCode::OutOfOrderSequenceNumber
            }
            SequenceRefused::OldEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            SequenceRefused::Incomplete => ErrorCode::InvalidRecord,
        }
    }
}

impl From<&ReadError> for ErrorCode {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::NotLeader(_) | ReadError::Stopping => ErrorCode::NotLeaderOrFollower,
            ReadError::NotReady => ErrorCode::OffsetNotAvailable,
            ReadError::UnknownGroup => ErrorCode::UnknownTopicOrPartition,
            ReadError::FencedEpoch(_) => ErrorCode::FencedLeaderEpoch,
            ReadError::UnknownEpoch(_) => ErrorCode::UnknownLeaderEpoch,
            ReadError::OutOfRange(_) => ErrorCode::OffsetOutOfRange,
            ReadError::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl From<&GroupError> for ErrorCode {
    fn from(error: &GroupError) -> Self {
        match error {
            GroupError::NotLeader(_) | GroupError::Stopping => ErrorCode::NotLeaderOrFollower,
            GroupError::Unknown => ErrorCode::UnknownTopicOrPartition,
        }
    }
}

impl From<&TrimError> for ErrorCode {
    fn from(error: &TrimError) -> Self {
        match error {
            TrimError::AboveHighWatermark(_) => ErrorCode::OffsetOutOfRange,
            TrimError::Group(error) => error.into(),
        }
    }
}

impl From<&ProposeError> for ErrorCode {
    fn from(error: &ProposeError) -> Self {
        match error {
            ProposeError::NotLeader(_) | ProposeError::Stopping => ErrorCode::NotController,
            ProposeError::TimedOut => ErrorCode::RequestTimedOut,
            ProposeError::DiskFull => ErrorCode::KafkaStorageError,
        }
    }
}

impl From<&Refused> for ErrorCode {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::TopicExists(_) => ErrorCode::TopicAlreadyExists,
            Refused::NameCollides(_) => ErrorCode::InvalidTopic,
            Refused::UnknownTopic => ErrorCode::UnknownTopicOrPartition,
            Refused::NotMorePartitions { .. } => ErrorCode::InvalidPartitions,
            Refused::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Refused::Placement | Refused::Drained(_) => ErrorCode::InvalidReplicaAssignment,
            Refused::NoMove => ErrorCode::NoReassignmentInProgress,
            Refused::UnknownNode(_) => ErrorCode::BrokerIdNotRegistered,
            Refused::StillHolds { .. } => ErrorCode::PolicyViolation,
            // Of plans and operations, which Kafka's protocol does not know.
            Refused::Elsewhere { .. }
            | Refused::MovesAlready { .. }
            | Refused::NoHome { .. }
            | Refused::NoOperation(_)
            | Refused::OtherThrottle => ErrorCode::UnknownServerError,
            Refused::AlreadyBorn(_) | Refused::EndedLife { .. } | Refused::OtherVoters => {
                ErrorCode::UnknownServerError
            }
        }
    }
}

impl From<&CreateRefused> for ErrorCode {
    fn from(refused: &CreateRefused) -> Self {
        match refused {
            CreateRefused::Name(_) => ErrorCode::InvalidTopic,
            CreateRefused::Partitions(_) => ErrorCode::InvalidPartitions,
            CreateRefused::ReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
            CreateRefused::Assignment => ErrorCode::InvalidReplicaAssignment,
            CreateRefused::Config(_) => ErrorCode::InvalidConfig,
            CreateRefused::Repeated(_) => ErrorCode::InvalidRequest,
            CreateRefused::Catalog(refused) => refused.into(),
            CreateRefused::Propose(error) => error.into(),
        }
    }
}

impl From<&ExtendRefused> for ErrorCode {
    fn from(refused: &ExtendRefused) -> Self {
        match refused {
            ExtendRefused::Partitions(_) => ErrorCode::InvalidPartitions,
            ExtendRefused::Assignment => ErrorCode::InvalidReplicaAssignment,
            ExtendRefused::Catalog(refused) => refused.into(),
            ExtendRefused::Propose(error) => error.into(),
        }
    }
}

impl From<consumer_group::GroupError> for ErrorCode {
    fn from(error: consumer_group::GroupError) -> Self {
        use consumer_group::GroupError as Error;
        match error {
            Error::CoordinatorLoadInProgress => ErrorCode::CoordinatorLoadInProgress,
            Error::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
            Error::NotCoordinator => ErrorCode::NotCoordinator,
            Error::IllegalGeneration => ErrorCode::IllegalGeneration,
            Error::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
            Error::InvalidGroupId => ErrorCode::InvalidGroupId,
            Error::UnknownMemberId => ErrorCode::UnknownMemberId,
            Error::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
            Error::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            Error::OffsetMetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
            Error::InvalidCommitOffsetSize => ErrorCode::InvalidCommitOffsetSize,
            Error::NonEmptyGroup => ErrorCode::NonEmptyGroup,
            Error::GroupIdNotFound => ErrorCode::GroupIdNotFound,
            Error::MemberIdRequired => ErrorCode::MemberIdRequired,
            Error::GroupMaxSizeReached => ErrorCode::GroupMaxSizeReached,
            Error::FencedInstanceId => ErrorCode::FencedInstanceId,
            Error::GroupSubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
            Error::UnstableOffsetCommit => ErrorCode::UnstableOffsetCommit,
            Error::UnknownTopicOrPartition => ErrorCode::UnknownTopicOrPartition,
            Error::InvalidRequest => ErrorCode::InvalidRequest,
        }
    }
}
