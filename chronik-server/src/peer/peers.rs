//! The half that sends. Cheap to clone; every clone collects by itself and keeps the order of what it sends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chronik_core::ids::NodeId;
use tokio::sync::watch;
use tokio::time::timeout_at;

use super::call::CallError;
use super::frame::{Frame, Identity, Question};
use super::limits::BATCH_BYTES;
use super::link::Link;
use super::message::GroupMessage;
use super::outbox::Batch;
use super::transport::Links;
use super::{Lane, Member};
use crate::metrics::{Metrics, PeerNode};

/// Why a message was not taken. It is lost; Raft sends again what matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("as much waits for the node as may")]
    Full,
    #[error("the breaker of the node is open")]
    Open,
    #[error("the node is no member")]
    Unknown,
}

/// Sends to other nodes without ever waiting, and asks them.
pub struct Peers {
    members: watch::Sender<Vec<Member>>,
    links: watch::Receiver<Arc<Links>>,
    metrics: Arc<Metrics>,
    /// What this clone collected since its last flush, for every peer it sends to.
    outgoing: Vec<Outgoing>,
}

struct Outgoing {
    link: Arc<Link>,
    control: Batch,
    bulk: Batch,
}

impl Peers {
    pub(super) fn new(
        members: watch::Sender<Vec<Member>>,
        links: watch::Receiver<Arc<Links>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let mut peers = Self {
            members,
            links,
            metrics,
            outgoing: Vec::new(),
        };
        peers.links.mark_changed();
        peers
    }

    /// The peers as now known. New ones are connected to, those that are missing are dropped; this node itself is
    /// passed over.
    pub fn set_members(&self, members: Vec<Member>) {
        self.members.send_if_modified(|known| {
            let is_new = *known != members;
            *known = members;
            is_new
        });
    }

    /// Takes one group message, to be sent at the next flush or earlier.
    pub fn send(&mut self, to: NodeId, lane: Lane, message: GroupMessage) -> Result<(), Refused> {
        self.look_for_changes();
        let Some(outgoing) = self.outgoing.iter_mut().find(|out| out.link.node() == to) else {
            return Err(Refused::Unknown);
        };
        let len = message.encoded_len();
        let outcome = outgoing.take(lane, message, len);
        if outcome.is_err() {
            self.metrics.peer.dropped.at(PeerNode(to.0)).increment();
        }
        outcome
    }

    /// Hands over everything that was taken: the end of a turn.
    pub fn flush(&mut self) {
        for outgoing in &mut self.outgoing {
            outgoing.flush(Lane::Control);
            outgoing.flush(Lane::Bulk);
        }
    }

    /// Asks a node and waits for its answer. With an open breaker the refusal comes at once.
    pub async fn call(
        &self,
        to: NodeId,
        request: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        self.ask(to, Question::Call(request), deadline).await
    }

    /// Nodes to which nothing is sent, because their breakers are open.
    pub fn refused(&self) -> Vec<NodeId> {
        let links = self.links.borrow();
        let refused = links.values().filter(|link| link.refuses());
        refused.map(|link| link.node()).collect()
    }

    /// Who a node is, also before there is a cluster.
    pub async fn hello(&self, to: NodeId, deadline: Duration) -> Result<Identity, CallError> {
        let answer = self.ask(to, Question::Identity, deadline).await?;
        Identity::from_bytes(answer).map_err(|error| CallError::Refused(error.to_string()))
    }

    async fn ask(
        &self,
        to: NodeId,
        question: Question,
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        let deadline = (Instant::now() + deadline).into();
        let link = timeout_at(deadline, self.link(to))
            .await
            .ok()
            .flatten()
            .ok_or(CallError::Unreachable)?;
        if link.refuses() {
            return Err(CallError::Open);
        }
        let mut ticket = link.calls.open()?;
        let frame = Frame::Ask {
            id: ticket.id,
            question,
        };
        let outbox = link.outbox(Lane::Control);
        if !outbox.has_room(frame.encoded_len()) {
            return Err(CallError::Overloaded);
        }
        outbox.push_urgent(frame);
        match timeout_at(deadline, &mut ticket.answer).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(reason))) => Err(CallError::Refused(reason)),
            Ok(Err(_)) => Err(CallError::Unreachable),
            Err(_) => Err(CallError::TimedOut),
        }
    }

    /// The link to a member, which may have been named a moment ago; none once the transport has ended.
    async fn link(&self, to: NodeId) -> Option<Arc<Link>> {
        let mut links = self.links.clone();
        let found = links.wait_for(|links| links.contains_key(&to)).await;
        found.ok().map(|links| links[&to].clone())
    }

    /// Follows the links that the transport made or ended since.
    fn look_for_changes(&mut self) {
        if !self.links.has_changed().unwrap_or(false) {
            return;
        }
        let links = self.links.borrow_and_update().clone();
        self.outgoing
            .retain(|out| links.values().any(|link| Arc::ptr_eq(link, &out.link)));
        for link in links.values() {
            if !self.outgoing.iter().any(|out| Arc::ptr_eq(link, &out.link)) {
                self.outgoing.push(Outgoing {
                    link: link.clone(),
                    control: Batch::default(),
                    bulk: Batch::default(),
                });
            }
        }
    }
}

impl Clone for Peers {
    /// The clone begins with nothing collected.
    fn clone(&self) -> Self {
        Self::new(
            self.members.clone(),
            self.links.clone(),
            self.metrics.clone(),
        )
    }
}

impl Outgoing {
    fn take(&mut self, lane: Lane, message: GroupMessage, len: usize) -> Result<(), Refused> {
        if self.link.refuses() {
            return Err(Refused::Open);
        }
        let collected = self.batch(lane).bytes;
        if !self.link.outbox(lane).has_room(collected + len) {
            return Err(Refused::Full);
        }
        let batch = self.batch(lane);
        batch.push(message, len);
        if batch.bytes >= BATCH_BYTES {
            self.flush(lane);
        }
        Ok(())
    }

    fn flush(&mut self, lane: Lane) {
        let (outbox, batch) = match lane {
            Lane::Control => (self.link.outbox(lane), &mut self.control),
            Lane::Bulk => (self.link.outbox(lane), &mut self.bulk),
        };
        if !batch.messages.is_empty() {
            outbox.push(batch);
        }
    }

    fn batch(&mut self, lane: Lane) -> &mut Batch {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Bulk => &mut self.bulk,
        }
    }
}
