//! Requests that wait for their answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::limits::CALLS;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("the breaker of the node is open: nothing was sent")]
    Open,
    #[error("no answer came in time; it is not known whether the request was obeyed")]
    TimedOut,
    #[error("the node is not connected any more; it is not known whether the request was obeyed")]
    Unreachable,
    #[error("the node refused: {0}")]
    Refused(String),
    #[error("too many requests to the node wait for their answer")]
    Overloaded,
}

/// Requests to one peer. The lock is held for one look into the table.
#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: Mutex<Waiting>,
}

/// Takes its request back when it is dropped, answered or not.
pub(super) struct Ticket<'calls> {
    calls: &'calls Calls,
    pub(super) id: u64,
    pub(super) answer: oneshot::Receiver<Result<Bytes, String>>,
}

#[derive(Debug, Default)]
struct Waiting {
    last_id: u64,
    by_id: HashMap<u64, oneshot::Sender<Result<Bytes, String>>>,
}

impl Calls {
    pub(super) fn open(&self) -> Result<Ticket<'_>, CallError> {
        let mut waiting = self.lock();
        if waiting.by_id.len() >= CALLS {
            return Err(CallError::Overloaded);
        }
        waiting.last_id += 1;
        let id = waiting.last_id;
        let (sender, answer) = oneshot::channel();
        waiting.by_id.insert(id, sender);
        Ok(Ticket {
            calls: self,
            id,
            answer,
        })
    }

    /// An answer came. Nobody may wait for it any more.
    pub(super) fn answer(&self, id: u64, outcome: Result<Bytes, String>) {
        let sender = self.lock().by_id.remove(&id);
        if let Some(sender) = sender {
            // Whoever asked may have given up at this moment.
            let _ = sender.send(outcome);
        }
    }

    /// No answer will come any more: everybody who waits learns it at once.
    pub(super) fn abandon(&self) {
        let abandoned = std::mem::take(&mut self.lock().by_id);
        drop(abandoned);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.calls.lock().by_id.remove(&self.id);
    }
}
