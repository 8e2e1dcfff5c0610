//! How the metadata group stands: only its leader knows.

use std::time::Duration;

use chronik_core::ids::GroupUid;
use tokio::sync::oneshot;

use super::{Broker, Quorum};
use crate::neighbours::{Reply, Request};
use crate::raft::event::Event;

const CALL_TIMEOUT: Duration = Duration::from_secs(1);

impl Broker {
    /// Asks this node, then whoever leads; none while nobody does.
    pub async fn quorum(&self) -> Option<Quorum> {
        if let Some(quorum) = self.quorum_here().await {
            return Some(quorum);
        }
        let leader = self.view().leader(GroupUid::META).node?;
        let request = Request::Quorum.encode();
        let answer = self.peers.call(leader, request, CALL_TIMEOUT).await.ok()?;
        match Reply::decode(&answer) {
            Ok(Reply::Quorum(quorum)) => Some(quorum),
            _ => None,
        }
    }

    /// None if this node does not lead the metadata group.
    pub(crate) async fn quorum_here(&self) -> Option<Quorum> {
        let (reply, answer) = oneshot::channel();
        self.shard.offer(Event::Quorum { reply });
        answer.await.ok().flatten()
    }
}
