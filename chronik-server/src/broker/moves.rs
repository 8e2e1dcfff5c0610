//! Replicas that move to other nodes, and nodes that leave: each one proposal.

use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::{Command, Move, Order, Outcome, Refused, Topic, TopicOutcome};
use chronik_core::ids::NodeId;

use super::{Broker, ProposeError};

impl Broker {
    /// Says who shall hold these partitions; each has its own result. Success means that the moves have begun, and
    /// shows the topic as it is since then.
    pub async fn move_replicas(
        &self,
        moves: Vec<Move>,
        timeout: Duration,
    ) -> Result<Vec<Result<Arc<Topic>, Refused>>, ProposeError> {
        if moves.is_empty() {
            return Ok(Vec::new());
        }
        let count = moves.len();
        let order = Order {
            moves,
            ..Order::default()
        };
        match self.order(order, timeout).await? {
            Ok(outcomes) => Ok(outcomes.into_iter().map(result).collect()),
            // They were one plan.
            Err(refused) => Ok(vec![Err(refused); count]),
        }
    }

    /// Begins all of a plan or nothing.
    pub async fn carry_out(
        &self,
        order: Order,
        timeout: Duration,
    ) -> Result<Result<Vec<Arc<Topic>>, Refused>, ProposeError> {
        let ordered = self.order(order, timeout).await?;
        Ok(ordered.and_then(|outcomes| outcomes.into_iter().map(result).collect()))
    }

    /// How many bytes in a second each node sends to replicas on the move, or no limit.
    pub async fn throttle_moves(
        &self,
        limit: Option<u64>,
        expected: Option<Option<u64>>,
        timeout: Duration,
    ) -> Result<Result<(), Refused>, ProposeError> {
        let command = Command::SetThrottle { limit, expected };
        self.propose_plain(command, timeout).await
    }

    /// The moves of an operation stand still, or go on.
    pub async fn pause_moves(
        &self,
        operation: u64,
        is_paused: bool,
        timeout: Duration,
    ) -> Result<Result<(), Refused>, ProposeError> {
        let command = Command::PauseMoves {
            operation,
            is_paused,
        };
        self.propose_plain(command, timeout).await
    }

    async fn order(
        &self,
        order: Order,
        timeout: Duration,
    ) -> Result<Result<Vec<TopicOutcome>, Refused>, ProposeError> {
        match self.propose(Command::MoveReplicas(order), timeout).await? {
            Outcome::Topics(outcomes) => Ok(Ok(outcomes)),
            Outcome::Refused(refused) => Ok(Err(refused)),
            other => unreachable!("moves were proposed, not {other:?}"),
        }
    }

    /// Says who shall vote in the metadata group, if `present` do now.
    pub async fn set_meta_voters(
        &self,
        present: Vec<NodeId>,
        wanted: Vec<NodeId>,
        timeout: Duration,
    ) -> Result<Result<(), Refused>, ProposeError> {
        let command = Command::SetMetaVoters { present, wanted };
        self.propose_plain(command, timeout).await
    }

    /// Lets a node leave for good that holds nothing any more.
    pub async fn remove_node(
        &self,
        node: NodeId,
        timeout: Duration,
    ) -> Result<Result<(), Refused>, ProposeError> {
        self.propose_plain(Command::RemoveNode(node), timeout).await
    }
}

fn result(outcome: TopicOutcome) -> Result<Arc<Topic>, Refused> {
    match outcome {
        TopicOutcome::Moved(topic) => Ok(topic),
        TopicOutcome::Refused(refused) => Err(refused),
        other => unreachable!("a move was proposed, not {other:?}"),
    }
}
