//! Why a coordinator refuses, in the words of Kafka's protocol; only the wire knows the numbers.

/// The refusals of the group APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum GroupError {
    #[error("the coordinator still reads its log")]
    CoordinatorLoadInProgress,
    #[error("the coordinator cannot answer now")]
    CoordinatorNotAvailable,
    #[error("another node coordinates this group")]
    NotCoordinator,
    #[error("the generation is not the group's current one")]
    IllegalGeneration,
    #[error("the member shares no protocol with its group")]
    InconsistentGroupProtocol,
    #[error("the group id is not valid")]
    InvalidGroupId,
    #[error("the member is not part of the group")]
    UnknownMemberId,
    #[error("the session timeout is outside the permitted range")]
    InvalidSessionTimeout,
    #[error("the group is rebalancing, join again")]
    RebalanceInProgress,
    #[error("the committed metadata is too long")]
    OffsetMetadataTooLarge,
    #[error("the commit is too large for one batch")]
    InvalidCommitOffsetSize,
    #[error("the group still has members")]
    NonEmptyGroup,
    #[error("there is no group of this id")]
    GroupIdNotFound,
    #[error("join again with the member id of this answer")]
    MemberIdRequired,
    #[error("the group has as many members as it may have")]
    GroupMaxSizeReached,
    #[error("another process took over this static member")]
    FencedInstanceId,
    #[error("the group is subscribed to this topic")]
    GroupSubscribedToTopic,
    #[error("a commit of this offset is still being written")]
    UnstableOffsetCommit,
    #[error("there is no such topic or partition")]
    UnknownTopicOrPartition,
    #[error("a text in the request is longer than the log can hold")]
    InvalidRequest,
}
