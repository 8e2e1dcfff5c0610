//! The asking half: one method per verb, each with its own answer.

use chronik_core::catalog::Node;
use chronik_core::consumer_group::message::*;
use chronik_core::consumer_group::{GroupError, Reply, Request};
use chronik_core::ids::GroupUid;
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::partition::Ask;
use super::placement::{self, OFFSETS_TOPIC};
use super::task::Message;
use crate::broker::Broker;
use crate::metrics::Queue;

/// Asks the coordinators of this node. Cheap to clone.
#[derive(Clone)]
pub struct CoordinatorHandle {
    broker: Broker,
    inbox: mpsc::Sender<Message>,
}

/// Sends a request and opens the reply that belongs to it.
macro_rules! ask {
    ($handle:expr, $group:expr, $verb:ident($request:expr)) => {
        match $handle.ask($group, Request::$verb($request)).await? {
            Reply::$verb(answer) => answer,
            other => unreachable!("{} was asked for, not {other:?}", stringify!($verb)),
        }
    };
    ($handle:expr, $group:expr, $verb:ident { $($field:ident: $value:expr),* }) => {
        match $handle.ask($group, Request::$verb { $($field: $value),* }).await? {
            Reply::$verb(answer) => answer,
            other => unreachable!("{} was asked for, not {other:?}", stringify!($verb)),
        }
    };
}

impl CoordinatorHandle {
    pub(super) fn new(broker: Broker, inbox: mpsc::Sender<Message>) -> CoordinatorHandle {
        CoordinatorHandle { broker, inbox }
    }

    /// The node that coordinates a group. Creates the offsets topic if this is the first question of its kind.
    pub async fn find(&self, group: &str) -> Result<Arc<Node>, GroupError> {
        if let Err(error) = placement::ensure_topic(&self.broker).await {
            tracing::warn!(%error, "{OFFSETS_TOPIC} could not be created");
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let uid =
            placement::find(&self.broker, group).ok_or(GroupError::CoordinatorNotAvailable)?;
        let view = self.broker.view();
        let leader = view
            .leader(uid)
            .node
            .and_then(|leader| view.catalog.nodes.get(&leader));
        leader.cloned().ok_or(GroupError::CoordinatorNotAvailable)
    }

    /// The Raft group that keeps a consumer group; none before there ever was a group.
    pub fn place(&self, group: &str) -> Option<GroupUid> {
        placement::find(&self.broker, group)
    }

    pub async fn join(&self, request: JoinRequest) -> Result<Joined, JoinRefused> {
        let (group, member_id) = (request.group.clone(), request.member_id.clone());
        match self.ask(group, Request::Join(request)).await {
            Ok(Reply::Join(answer)) => answer,
            Ok(other) => unreachable!("a join was asked for, not {other:?}"),
            Err(error) => Err(JoinRefused { error, member_id }),
        }
    }

    pub async fn sync(&self, request: SyncRequest) -> Result<Synced, GroupError> {
        ask!(self, request.group.clone(), Sync(request))
    }

    pub async fn heartbeat(&self, request: HeartbeatRequest) -> Result<(), GroupError> {
        ask!(self, request.group.clone(), Heartbeat(request))
    }

    pub async fn leave(&self, request: LeaveRequest) -> Result<Vec<LeftMember>, GroupError> {
        ask!(self, request.group.clone(), Leave(request))
    }

    pub async fn commit_offsets(
        &self,
        request: CommitRequest,
    ) -> Result<Vec<TopicOutcome>, GroupError> {
        ask!(self, request.group.clone(), CommitOffsets(request))
    }

    pub async fn fetch_offsets(
        &self,
        request: FetchRequest,
    ) -> Result<Vec<FetchedTopic>, GroupError> {
        ask!(self, request.group.clone(), FetchOffsets(request))
    }

    pub async fn delete_offsets(
        &self,
        request: DeleteOffsetsRequest,
    ) -> Result<Vec<TopicOutcome>, GroupError> {
        ask!(self, request.group.clone(), DeleteOffsets(request))
    }

    pub async fn delete_group(&self, group: String) -> Result<(), GroupError> {
        ask!(self, group.clone(), DeleteGroup { group: group })
    }

    /// None if there is no such group.
    pub async fn describe(&self, group: String) -> Result<Option<GroupDescription>, GroupError> {
        Ok(ask!(self, group.clone(), Describe { group: group }))
    }

    /// Every group that this node coordinates.
    pub async fn list(&self) -> Result<Vec<GroupListing>, GroupError> {
        let Some(topic) = self.broker.topic(OFFSETS_TOPIC) else {
            return Ok(Vec::new());
        };
        let mut listing = Vec::new();
        for partition in 0..topic.partitions.len() {
            let answer = self
                .send(Request::List, |ask| Message::Partition { partition, ask })
                .await;
            match answer {
                Ok(Reply::List(groups)) => listing.extend(groups),
                Ok(other) => unreachable!("a list was asked for, not {other:?}"),
                // Another node lists these.
                Err(GroupError::NotCoordinator) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(listing)
    }

    async fn ask(&self, group: String, request: Request) -> Result<Reply, GroupError> {
        self.send(request, |ask| Message::Group { group, ask })
            .await
    }

    /// A full inbox refuses: the client comes back, and by then it is shorter.
    async fn send(
        &self,
        request: Request,
        message: impl FnOnce(Ask) -> Message,
    ) -> Result<Reply, GroupError> {
        let (reply, answer) = oneshot::channel();
        self.inbox
            .try_send(message(Ask { request, reply }))
            .map_err(|error| self.refused(&error))?;
        answer.await.unwrap_or(Err(GroupError::NotCoordinator))
    }

    fn refused(&self, error: &TrySendError<Message>) -> GroupError {
        if matches!(error, TrySendError::Full(_)) {
            let refused = &self.broker.metrics().queue.refused;
            refused.at(Queue::Coordinator).increment();
        }
        GroupError::CoordinatorNotAvailable
    }
}
