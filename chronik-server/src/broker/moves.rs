//! Replicas that move to other nodes, and nodes that leave: each one proposal.

use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::{Command, Move, Outcome, Refused, Topic, TopicOutcome};
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
        match self.propose(Command::MoveReplicas(moves), timeout).await? {
            Outcome::Topics(outcomes) => Ok(outcomes.into_iter().map(result).collect()),
            other => unreachable!("moves were proposed, not {other:?}"),
        }
    }

    /// Lets a node leave for good that holds nothing any more.
    pub async fn remove_node(
        &self,
        node: NodeId,
        timeout: Duration,
    ) -> Result<Result<(), Refused>, ProposeError> {
        match self.propose(Command::RemoveNode(node), timeout).await? {
            Outcome::Done => Ok(Ok(())),
            Outcome::Refused(refused) => Ok(Err(refused)),
            other => unreachable!("a removal was proposed, not {other:?}"),
        }
    }
}

fn result(outcome: TopicOutcome) -> Result<Arc<Topic>, Refused> {
    match outcome {
        TopicOutcome::Moved(topic) => Ok(topic),
        TopicOutcome::Refused(refused) => Err(refused),
        other => unreachable!("a move was proposed, not {other:?}"),
    }
}
