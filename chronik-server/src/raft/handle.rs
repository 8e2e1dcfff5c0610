//! The only way to a shard: a bounded inbox that refuses when it is full.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use tokio::sync::oneshot;

use super::event::{AppendError, Event, Hint, ReadError};
use crate::metrics::{Metrics, Queue};

/// Sends events to the shard; never waits. What cannot be taken is answered at once.
#[derive(Clone)]
pub(crate) struct ShardHandle {
    inbox: SyncSender<Event>,
    metrics: Arc<Metrics>,
}

impl ShardHandle {
    pub(super) fn new(inbox: SyncSender<Event>, metrics: Arc<Metrics>) -> ShardHandle {
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
