//! One proposal for one intent, from any node: it goes to whoever leads the metadata group, and is answered here once
//! this node has applied it.
//!
//! A proposal carries where it came from, so sending it twice is safe: whichever comes first in the log answers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chronik_core::catalog::{Command, Origin, Outcome, Proposal};
use chronik_core::ids::NodeId;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{Broker, ProposeError};
use crate::neighbours::{Directory, Reply, Request};
use crate::raft::event::Event;

/// A commit takes milliseconds: after this a proposal may have been lost with its leader.
const SEND_AGAIN: Duration = Duration::from_secs(1);
/// While nobody leads, whoever is elected is asked at once; this is for a leader that only others know.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
const FORWARD_TIMEOUT: Duration = Duration::from_secs(1);
const ADMIT_TIMEOUT: Duration = Duration::from_secs(2);
/// One proposal buys this many producer ids.
const PRODUCER_ID_BLOCK: u32 = 1000;

impl Broker {
    /// One proposal to the metadata group, answered when this node has applied it.
    pub async fn propose(
        &self,
        command: Command,
        timeout: Duration,
    ) -> Result<Outcome, ProposeError> {
        let deadline = Instant::now() + timeout;
        let origin = Origin {
            boot: self.settings.boot,
            number: self.proposals.fetch_add(1, Ordering::Relaxed),
        };
        let (reply, outcome) = oneshot::channel();
        self.shard.offer(Event::Await {
            number: origin.number,
            reply,
        });
        let proposal = Proposal { origin, command };
        match timeout_at(deadline, self.push(&proposal, outcome)).await {
            Ok(result) => result,
            Err(_) => Err(ProposeError::TimedOut),
        }
    }

    /// A producer id that nobody else has or will have.
    pub async fn new_producer_id(&self, timeout: Duration) -> Result<i64, ProposeError> {
        let (reply, answer) = oneshot::channel();
        self.shard.offer(Event::ProducerId { reply });
        if let Some(id) = answer.await.map_err(|_| ProposeError::Stopping)? {
            return Ok(id);
        }
        let count = PRODUCER_ID_BLOCK;
        match self
            .propose(Command::TakeProducerIds { count }, timeout)
            .await?
        {
            Outcome::ProducerIds { first } => {
                let rest = first + 1..first + i64::from(count);
                self.shard.offer(Event::ProducerIds(rest));
                Ok(first)
            }
            other => unreachable!("producer ids were proposed, not {other:?}"),
        }
    }

    /// Takes another node's proposal, if this node leads the metadata group.
    pub(crate) async fn take(&self, proposal: Proposal) -> Reply {
        match self.offer_here(proposal).await {
            Ok(()) => Reply::Taken,
            Err(ProposeError::NotLeader(leader)) => Reply::NotLeader(leader),
            Err(error) => Reply::Refused(error.to_string()),
        }
    }

    /// Lets a node with an empty directory take part.
    pub(crate) async fn admit(&self, node: NodeId, directory: Directory) -> Reply {
        let admit = Command::Admit { node, directory };
        match self.propose(admit, ADMIT_TIMEOUT).await {
            Ok(Outcome::Admitted { incarnation }) => Reply::Admitted {
                incarnation,
                cluster_id: self.view().catalog.cluster_id.clone(),
            },
            Ok(other) => unreachable!("admission was proposed, not {other:?}"),
            Err(error) => Reply::Refused(error.to_string()),
        }
    }

    async fn push(
        &self,
        proposal: &Proposal,
        mut outcome: oneshot::Receiver<Outcome>,
    ) -> Result<Outcome, ProposeError> {
        let mut leaders = self.leader_changes();
        loop {
            leaders.mark_unchanged();
            let (pause, is_sent) = match self.send(proposal).await {
                Ok(()) => (SEND_AGAIN, true),
                Err(ProposeError::NotLeader(_) | ProposeError::TimedOut) => (LOOK_AGAIN, false),
                Err(error) => return Err(error),
            };
            tokio::select! {
                outcome = &mut outcome => return outcome.map_err(|_| ProposeError::Stopping),
                Ok(()) = leaders.changed(), if !is_sent => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn send(&self, proposal: &Proposal) -> Result<(), ProposeError> {
        match self.offer_here(proposal.clone()).await {
            Err(ProposeError::NotLeader(Some(leader))) if leader != self.settings.node => {
                match self.forward(leader, proposal).await {
                    Err(ProposeError::NotLeader(Some(other))) if other != self.settings.node => {
                        self.forward(other, proposal).await
                    }
                    result => result,
                }
            }
            Err(ProposeError::NotLeader(None)) => self.ask_around(proposal).await,
            result => result,
        }
    }

    /// A node that just joined hears of no leader before it is known, so others have to tell.
    async fn ask_around(&self, proposal: &Proposal) -> Result<(), ProposeError> {
        for node in self.settings.peers.iter().copied() {
            match self.forward(node, proposal).await {
                Err(ProposeError::NotLeader(Some(leader))) if leader != self.settings.node => {
                    return self.forward(leader, proposal).await;
                }
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
        }
        Err(ProposeError::NotLeader(None))
    }

    async fn offer_here(&self, proposal: Proposal) -> Result<(), ProposeError> {
        let (taken, answer) = oneshot::channel();
        let proposal = Box::new(proposal);
        self.shard.offer(Event::Propose { proposal, taken });
        answer.await.unwrap_or(Err(ProposeError::Stopping))
    }

    async fn forward(&self, leader: NodeId, proposal: &Proposal) -> Result<(), ProposeError> {
        let request = Request::Propose(proposal.clone()).encode();
        let answer = self.peers.call(leader, request, FORWARD_TIMEOUT).await;
        match answer.ok().and_then(|answer| Reply::decode(&answer).ok()) {
            Some(Reply::Taken) => Ok(()),
            Some(Reply::NotLeader(leader)) => Err(ProposeError::NotLeader(leader)),
            Some(Reply::Refused(_)) => Err(ProposeError::DiskFull),
            _ => Err(ProposeError::TimedOut),
        }
    }
}
