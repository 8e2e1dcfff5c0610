//! The only way to a shard: a bounded inbox that refuses when it is full.

use std::sync::Arc;
use std::sync::mpsc::TrySendError;

use chronik_core::ids::{GroupUid, NodeId};
use chronik_inbox::Sender;
use tokio::sync::oneshot;

use super::capture::Captured;
use super::compaction::CleanLog;
use super::event::{AppendError, Event, Hint, ReadError};
use super::gossip::Leads;
use super::history::Change;
use super::inspect::{Inspection, Sight, Transfer, TransferError, Transferring};
use super::recovery::Belong;
use crate::metrics::{Metrics, Queue};
use crate::peer::{GroupMessage, Liveness};

/// Sends events to the shard; never waits. What cannot be taken is answered at once.
#[derive(Clone)]
pub(crate) struct ShardHandle {
    inbox: Sender<Event>,
    metrics: Arc<Metrics>,
}

impl ShardHandle {
    pub(super) fn new(inbox: Sender<Event>, metrics: Arc<Metrics>) -> ShardHandle {
        ShardHandle { inbox, metrics }
    }

    /// Hands an event over. If the inbox is full or the shard has ended, whoever waits learns it now: a reply that is
    /// dropped says "stopping", and appends and reads are told that a retry makes sense.
    pub(crate) fn offer(&self, event: Event) {
        match self.inbox.try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Full(event)) => {
                self.metrics.queue.refused.at(Queue::Shard).increment();
                refuse(event);
            }
            Err(TrySendError::Disconnected(event)) => drop(event),
        }
    }
}

impl ShardHandle {
    /// Takes another node's messages, unless they are damaged or there is no room: Raft sends again what matters.
    pub(crate) fn receive(
        &self,
        from: NodeId,
        messages: &mut Vec<GroupMessage>,
        metrics: &Arc<Metrics>,
    ) {
        super::peers::sound(from, messages, metrics);
        if !messages.is_empty() {
            let messages = std::mem::take(messages);
            self.offer(Event::Peer { from, messages });
        }
    }

    /// This node belongs to a cluster from now on.
    pub(crate) fn belong(&self, belong: Belong) {
        self.offer(Event::Belong(belong));
    }

    /// What became known of another node.
    pub(crate) fn liveness(&self, change: Liveness) {
        self.offer(Event::Liveness(change));
    }

    /// What another node says of the groups that it leads.
    pub(crate) fn hear(&self, from: NodeId, news: Vec<Leads>) {
        self.offer(Event::Leads { from, news });
    }

    /// What another node says of the compacted logs that it holds.
    pub(crate) fn hear_clean(&self, from: NodeId, logs: Vec<CleanLog>) {
        self.offer(Event::Clean { from, logs });
    }

    /// Lets these nodes lead these groups, as far as that is possible at once.
    pub(crate) fn hand_to(&self, wanted: Vec<(GroupUid, NodeId)>) {
        self.offer(Event::HandTo(wanted));
    }

    /// Everything that operators may see; none if the shard ends or has too much to do.
    pub(crate) async fn inspect(&self) -> Option<Inspection> {
        let (reply, inspection) = oneshot::channel();
        self.offer(Event::Inspect { reply });
        inspection.await.ok()
    }

    /// The first few of these groups as they are; none if the shard ends or has too much to do.
    pub(crate) async fn capture(&self, groups: &[GroupUid]) -> Option<Captured> {
        let groups = groups.to_vec();
        let (reply, captured) = oneshot::channel();
        self.offer(Event::Capture { groups, reply });
        captured.await.ok()
    }

    /// Who of the other nodes lives; none if the shard ends or has too much to do.
    pub(crate) async fn sights(&self) -> Option<Vec<Sight>> {
        let (reply, sights) = oneshot::channel();
        self.offer(Event::Sights { reply });
        sights.await.ok()
    }

    /// This node is about to lead a group because an operator wants it.
    pub(crate) fn hold(&self, group: GroupUid) {
        self.offer(Event::Hold(group));
    }

    /// When groups changed their leaders; none if the shard ends or has too much to do.
    pub(crate) async fn history(&self) -> Option<Vec<Change>> {
        let (reply, changes) = oneshot::channel();
        self.offer(Event::History { reply });
        changes.await.ok()
    }

    /// Hands a group over, if this node leads it; none if the shard ends or has too much to do.
    pub(crate) async fn transfer(
        &self,
        group: GroupUid,
        to: Option<NodeId>,
        expected_term: Option<u64>,
        is_dry_run: bool,
    ) -> Option<Result<Transferring, TransferError>> {
        let (reply, outcome) = oneshot::channel();
        self.offer(Event::Transfer(Transfer {
            group,
            to,
            expected_term,
            is_dry_run,
            reply,
        }));
        outcome.await.ok()
    }

    /// Lets others lead what this node leads; returns when that is done.
    pub(crate) async fn hand_over(&self) {
        let (reply, done) = oneshot::channel();
        self.offer(Event::HandOver { reply });
        // An error means that the shard has ended, or has too much work to care.
        let _ = done.await;
    }

    /// Lets the shard write what it has, and returns when it has ended.
    pub(crate) async fn stop(&self) {
        let (reply, ended) = oneshot::channel();
        let inbox = self.inbox.clone();
        // The inbox may be full: the shard empties it, and this order must not be lost.
        let sent = tokio::task::spawn_blocking(move || inbox.send(Event::Stop { reply })).await;
        if matches!(sent, Ok(Ok(()))) {
            let _ = ended.await;
        }
    }
}

fn refuse(event: Event) {
    let nowhere = Hint {
        leader: None,
        epoch: -1,
    };
    match event {
        Event::Append(appends) => {
            for append in appends {
                let _ = append.reply.send(Err(AppendError::Overloaded));
            }
        }
        Event::Read(read) => {
            let refused = read
                .partitions
                .iter()
                .map(|_| Err(ReadError::NotLeader(nowhere)));
            let _ = read.reply.send(refused.collect());
        }
        other => drop(other),
    }
}
