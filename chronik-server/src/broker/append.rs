//! Produce: a batch goes to its partition's group, and an answer comes back once it is durable.

use bytes::BytesMut;
use chronik_core::catalog::topic_config::LogConfig;
use chronik_core::ids::GroupUid;
use chronik_core::partition::{Acks, BatchHeader, batch};
use tokio::sync::oneshot;

use super::{AppendError, Appended, Broker};
use crate::raft::event::{Append, Event};

/// An append that is on its way. Dropping it forgets the answer, not the append.
#[derive(Debug)]
pub struct PendingAppend {
    reply: oneshot::Receiver<Result<Appended, AppendError>>,
}

/// Batches of one request, collected before they are handed over in order.
#[derive(Debug, Default)]
pub struct Appends {
    batches: Vec<Append>,
}

impl Appends {
    /// Adds a batch whose bytes were checked (`BatchHeader::check`). `acks` says when it is answered, `now_ms` is the wall time, for topics that keep
    /// the broker's.
    pub fn push(
        &mut self,
        group: GroupUid,
        config: &LogConfig,
        mut header: BatchHeader,
        mut bytes: BytesMut,
        acks: Acks,
        now_ms: i64,
    ) -> Result<PendingAppend, AppendError> {
        if bytes.len() > config.max_message_bytes as usize {
            return Err(AppendError::TooLarge {
                bytes: bytes.len(),
                most: config.max_message_bytes,
            });
        }
        if config.log_append_time {
            batch::stamp(&mut bytes, now_ms);
            header.max_timestamp = now_ms;
        }
        let (sender, reply) = oneshot::channel();
        self.batches.push(Append {
            group,
            header,
            batch: bytes,
            acks,
            reply: sender,
        });
        Ok(PendingAppend { reply })
    }
}

impl PendingAppend {
    /// The answer. Without one (the node is stopping) the fate of the batch is unknown.
    pub async fn wait(self) -> Result<Appended, AppendError> {
        self.reply.await.unwrap_or(Err(AppendError::Unknown))
    }
}

/// What a producer that wants all replicas waits for: never more than there are.
pub fn all_replicas(config: &LogConfig, replicas: usize) -> Acks {
    Acks::All {
        least_replicas: (config.min_insync_replicas as usize).min(replicas),
    }
}

impl Broker {
    /// Hands a request's batches over, at once and in order: whoever calls first is first in the log.
    pub fn append(&self, appends: Appends) {
        if !appends.batches.is_empty() {
            self.shard.offer(Event::Append(appends.batches));
        }
    }
}
