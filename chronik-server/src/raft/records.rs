//! A partition on this node: its replica, the newest batches in memory, and who waits for what.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use chronik_core::group::changes_members;
use chronik_core::group::eraftpb::Entry;
use chronik_core::partition::{self, Answer, Control, Log, batch};
use chronik_fault::Fault;
use tokio::sync::oneshot;

use super::event::{Append, AppendError, Appended, GroupError, Hint, TrimError, Waiter};

/// Who waits for what became of a proposal.
#[derive(Debug)]
pub(super) enum Ticket {
    Append(oneshot::Sender<Result<Appended, AppendError>>),
    Trim(oneshot::Sender<Result<i64, TrimError>>),
    Nobody,
}

pub(super) struct Records {
    pub(super) replica: partition::Replica<Ticket>,
    /// The newest committed or uncommitted entries with records, oldest first.
    cached: VecDeque<Cached>,
    /// Fetches that wait for more.
    waiters: Vec<Arc<Waiter>>,
    /// Rounds of confirmation and the reads that wait for them, in their order.
    pub(super) confirming: VecDeque<(u64, u64)>,
    /// What is visible, and hence was told to those who wait.
    visible: i64,
}

struct Cached {
    index: u64,
    base_offset: i64,
    next_offset: i64,
    bytes: Bytes,
}

impl Records {
    pub(super) fn new(replica: partition::Replica<Ticket>) -> Records {
        Records {
            visible: replica.log().high_watermark(),
            replica,
            cached: VecDeque::new(),
            waiters: Vec::new(),
            confirming: VecDeque::new(),
        }
    }

    pub(super) fn log(&self) -> &Log {
        self.replica.log()
    }

    /// Readers see what lies below.
    pub(super) fn visible_end(&self) -> i64 {
        let planted = self.replica.group().planted();
        match planted.is(Fault::ServeAboveCommit) {
            true => self.log().end_offset(),
            false => self.log().high_watermark(),
        }
    }

    pub(super) fn append(&mut self, append: Append) {
        let Append {
            header,
            batch,
            acks,
            reply,
            ..
        } = append;
        self.replica
            .produce(Ticket::Append(reply), header, batch, acks);
    }

    /// Takes an entry that the replica accepted into memory; returns the bytes that it holds there now.
    pub(super) fn cache(&mut self, entry: &Entry, header: &batch::BatchHeader) -> usize {
        self.cached.push_back(Cached {
            index: entry.index,
            base_offset: header.base_offset,
            next_offset: header.next_offset(),
            bytes: entry.data.clone(),
        });
        entry.data.len()
    }

    /// Forgets what entries from `index` on replace. The bytes stay counted until their turn of eviction comes.
    pub(super) fn replace_from(&mut self, index: u64) {
        while self
            .cached
            .pop_back_if(|entry| entry.index >= index)
            .is_some()
        {}
    }

    /// A log that begins anew has nothing of what was before.
    pub(super) fn forget_cached(&mut self) {
        self.cached.clear();
    }

    /// Readers may see the records below.
    pub(super) fn show(&mut self, high_watermark: i64) {
        let from = std::mem::replace(&mut self.visible, high_watermark);
        self.wake_waiters(from, high_watermark);
    }

    /// Leadership changed: whoever waits for records has to look elsewhere, or again.
    pub(super) fn wake_all(&mut self) {
        self.waiters.drain(..).for_each(|waiter| waiter.wake());
    }

    /// Registers a fetch. Finished ones are dropped on the way, which bounds the list by the fetches in flight.
    pub(super) fn wait(&mut self, waiter: Arc<Waiter>) {
        self.waiters
            .retain(|waiter| !waiter.is_done() && Arc::strong_count(waiter) > 1);
        self.waiters.push(waiter);
    }

    /// Committed batches from `offset` on, if all of them are in memory. The first one may be `oversize`.
    pub(super) fn cached_from(
        &self,
        offset: i64,
        max_bytes: usize,
        oversize: bool,
    ) -> Option<Vec<Bytes>> {
        let first = self
            .cached
            .partition_point(|entry| entry.next_offset <= offset);
        let oldest = self.cached.get(first)?;
        if oldest.base_offset > offset {
            return None;
        }
        let mut batches = Vec::new();
        let mut bytes = 0;
        for entry in self.cached.range(first..) {
            let fits = bytes + entry.bytes.len() <= max_bytes || (oversize && batches.is_empty());
            if !fits || entry.next_offset > self.visible_end() {
                break;
            }
            bytes += entry.bytes.len();
            batches.push(entry.bytes.clone());
        }
        Some(batches)
    }

    /// Forgets the batches up to an entry, of which less is left on disk. Their bytes stay counted as well.
    pub(super) fn forget_through(&mut self, index: u64) {
        while self
            .cached
            .pop_front_if(|entry| entry.index <= index)
            .is_some()
        {}
    }

    /// Drops the oldest cached entry if it is `index`, from Raft's memory as well.
    pub(super) fn evict(&mut self, index: u64) {
        self.cached.pop_front_if(|entry| entry.index <= index);
        self.replica.evict(index);
    }

    fn wake_waiters(&mut self, from: i64, to: i64) {
        if self.waiters.is_empty() {
            return;
        }
        let first = self
            .cached
            .partition_point(|entry| entry.next_offset <= from);
        let visible = self
            .cached
            .range(first..)
            .take_while(|entry| entry.next_offset <= to);
        let bytes: u64 = visible.map(|entry| entry.bytes.len() as u64).sum();
        // At least one byte: evicted entries count as well.
        self.waiters
            .iter()
            .for_each(|waiter| waiter.add(bytes.max(1)));
        self.waiters.retain(|waiter| !waiter.is_done());
    }
}

impl Ticket {
    /// Tells who waits. `hint` says where to go instead, `log_start_offset` what a producer is told with its place.
    pub(super) fn answer(self, answer: Answer, hint: Hint, log_start_offset: i64) {
        match self {
            Ticket::Append(reply) => {
                let result = match answer {
                    Answer::Appended { base_offset } | Answer::Written { base_offset } => {
                        Ok(Appended {
                            base_offset,
                            log_start_offset,
                        })
                    }
                    Answer::Refused(partition::Refused::Sequence(refused)) => Err(refused.into()),
                    Answer::NotLeader(_) => Err(AppendError::NotLeader(hint)),
                    Answer::NotEnoughReplicas => Err(AppendError::NotEnoughReplicas),
                    Answer::Unknown | Answer::Done => Err(AppendError::Unknown),
                };
                let _ = reply.send(result);
            }
            Ticket::Trim(reply) => {
                let result = match answer {
                    Answer::Done => Ok(log_start_offset),
                    _ => Err(GroupError::NotLeader(hint).into()),
                };
                let _ = reply.send(result);
            }
            Ticket::Nobody => {}
        }
    }
}

/// The batches of an entry, if it has any: it may also order something, change members, or begin a term.
pub(super) fn batches_of(entry: &Entry) -> Option<&Bytes> {
    let has_batches =
        !entry.data.is_empty() && !changes_members(entry) && !Control::is(&entry.data);
    has_batches.then_some(&entry.data)
}

/// The header of a batch that was checked before it was proposed, or when it arrived.
pub(super) fn header_of(bytes: &[u8]) -> batch::BatchHeader {
    batch::BatchHeader::read(bytes).expect("only checked batches are accepted")
}
