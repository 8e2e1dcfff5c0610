//! Replicas that move to other nodes, and nodes that leave: each one proposal.

use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::{Command, DrainMark, Move, Outcome, Refused, Topic, TopicOutcome};
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
        match self.order(moves, None, timeout).await? {
            Ok(outcomes) => Ok(outcomes.into_iter().map(result).collect()),
            // They were one plan.
            Err(refused) => Ok(vec![Err(refused); count]),
        }
    }

    /// Begins all of a plan or nothing, and says whether a node is drained from then on.
    pub async fn carry_out(
        &self,
        moves: Vec<Move>,
        mark: Option<DrainMark>,
        timeout: Duration,
    ) -> Result<Result<Vec<Arc<Topic>>, Refused>, ProposeError> {
        let ordered = self.order(moves, mark, timeout).await?;
        Ok(ordered.and_then(|outcomes| outcomes.into_iter().map(result).collect()))
    }

    async fn order(
        &self,
        moves: Vec<Move>,
        mark: Option<DrainMark>,
        timeout: Duration,
    ) -> Result<Result<Vec<TopicOutcome>, Refused>, ProposeError> {
        let command = Command::MoveReplicas { moves, mark };
        match self.propose(command, timeout).await? {
            Outcome::Topics(outcomes) => Ok(Ok(outcomes)),
            Outcome::Refused(refused) => Ok(Err(refused)),
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
