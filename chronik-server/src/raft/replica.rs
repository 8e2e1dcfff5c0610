//! One replica of one group: Raft's state, what its entries mean, and who waits for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chronik_core::catalog::Catalog;
use chronik_core::group::{Group, ProposeRefused};
use chronik_core::ids::GroupUid;
use chronik_core::partition::{Appended as Placed, Log, batch};
use chronik_core::wire::Writer;
use tokio::sync::oneshot;

use super::event::{Append, AppendError, Appended, Bounds, Hint, Waiter};
use crate::broker::view::GroupStatus;

/// A group and the state that its log makes.
pub(super) struct Replica {
    pub(super) group: Group,
    pub(super) state: State,
    pub(super) status: Arc<GroupStatus>,
    /// Something changed since the last checkpoint.
    pub(super) dirty: bool,
    /// In the shard's list of groups to look after in this cycle.
    pub(super) touched: bool,
    /// The last entry of each proposal on its way, and when it was made.
    pub(super) proposed: VecDeque<(u64, Instant)>,
}

pub(super) enum State {
    Meta(Box<MetaState>),
    Records(Box<Records>),
}

/// The metadata group's state machine.
pub(super) struct MetaState {
    pub(super) catalog: Catalog,
    pub(super) applied: u64,
}

/// A partition on this node.
#[derive(Default)]
pub(super) struct Records {
    pub(super) log: Log,
    /// Batches of this cycle, placed and not yet proposed, with the offsets after them.
    proposals: Vec<(Bytes, i64)>,
    /// Who waits for which offset to be committed, in order.
    waiting: VecDeque<Waiting>,
    /// Repeated batches whose first time is not committed yet.
    waiting_again: Vec<Waiting>,
    /// The newest committed or uncommitted entries, oldest first.
    cached: VecDeque<Cached>,
    /// Fetches that wait for more.
    waiters: Vec<Arc<Waiter>>,
    /// A state that stands for all records below this offset.
    pub(super) kept_state: Option<(i64, Bytes)>,
}

struct Waiting {
    base_offset: i64,
    last_offset: i64,
    reply: oneshot::Sender<Result<Appended, AppendError>>,
}

struct Cached {
    base_offset: i64,
    next_offset: i64,
    bytes: Bytes,
}

pub(super) const STATE_VERSION: u8 = 1;
pub(super) const META_STATE: u8 = 1;
pub(super) const RECORDS_STATE: u8 = 2;

impl Replica {
    pub(super) fn new(group: Group, state: State) -> Replica {
        Replica {
            group,
            state,
            status: Arc::default(),
            dirty: true,
            touched: false,
            proposed: VecDeque::new(),
        }
    }

    pub(super) fn uid(&self) -> GroupUid {
        self.group.uid()
    }

    pub(super) fn records(&mut self) -> Option<&mut Records> {
        match &mut self.state {
            State::Records(records) => Some(records),
            State::Meta(_) => None,
        }
    }

    pub(super) fn epoch(&self) -> i32 {
        i32::try_from(self.group.term()).expect("a term fits the epochs of Kafka")
    }

    pub(super) fn hint(&self) -> Hint {
        let leader = self.status.leader();
        Hint {
            leader: leader.node,
            epoch: leader.epoch,
        }
    }

    pub(super) fn leads(&self) -> bool {
        self.group.readiness().is_ok()
    }

    pub(super) fn bounds(&self, log: &Log) -> Bounds {
        Bounds {
            start_offset: log.start_offset(),
            high_watermark: log.high_watermark(),
            end_offset: log.end_offset(),
            epoch: self.epoch(),
        }
    }

    /// Gives a batch its place, or answers it now. Judging and placing are one step, so that a repeated batch cannot
    /// slip in between. Says whether the batch is in the log now.
    pub(super) fn append(&mut self, append: Append) -> bool {
        let Append {
            header,
            batch: bytes,
            reply,
            ..
        } = append;
        if let Err(refused) = self.group.readiness() {
            let error = match refused {
                ProposeRefused::NotLeader
                | ProposeRefused::NotReady
                | ProposeRefused::Transferring => AppendError::NotLeader(self.hint()),
            };
            let _ = reply.send(Err(error));
            return false;
        }
        let epoch = self.epoch();
        let State::Records(records) = &mut self.state else {
            let _ = reply.send(Err(AppendError::UnknownGroup));
            return false;
        };
        match records.log.place(&header) {
            Ok(Placed::At { base_offset }) => {
                records.take(header, bytes, base_offset, epoch, reply);
                return true;
            }
            Ok(Placed::Before(seen)) => {
                let waiting = Waiting {
                    base_offset: seen.base_offset,
                    last_offset: seen.last_offset,
                    reply,
                };
                records.answer_again(waiting);
            }
            Err(chronik_core::partition::Refused::Sequence(refused)) => {
                let _ = reply.send(Err(refused.into()));
            }
        }
        false
    }

    /// Proposes all batches of this cycle as one message.
    pub(super) fn propose(&mut self) {
        let State::Records(records) = &mut self.state else {
            return;
        };
        if records.proposals.is_empty() {
            return;
        }
        let proposals = std::mem::take(&mut records.proposals);
        let first = self.group.last_index() + 1;
        for (index, (_, next_offset)) in (first..).zip(&proposals) {
            records.log.entry_appended(index, *next_offset);
        }
        let entries = proposals.into_iter().map(|(bytes, _)| bytes);
        let proposed = self.group.propose(entries);
        assert_eq!(
            proposed,
            Ok(first),
            "a group that placed batches in this cycle leads"
        );
        self.proposed
            .push_back((self.group.last_index(), Instant::now()));
        self.dirty = true;
    }

    /// How long each proposal up to this index took.
    pub(super) fn commit_latencies(&mut self, index: u64) -> impl Iterator<Item = Duration> {
        let committed = self.proposed.partition_point(|(last, _)| *last <= index);
        self.proposed
            .drain(..committed)
            .map(|(_, proposed_at)| proposed_at.elapsed())
    }

    /// The state of the group for a checkpoint: exactly what the appended log says.
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u8(STATE_VERSION);
        match &self.state {
            State::Meta(meta) => {
                out.u8(META_STATE);
                self.group.encode(&mut out);
                out.u64(meta.applied).blob(&meta.catalog.encode());
                let unapplied = self.group.unapplied();
                out.count(unapplied.len());
                for entry in unapplied {
                    out.u64(entry.index).u64(entry.term).blob(&entry.data);
                }
            }
            State::Records(records) => {
                out.u8(RECORDS_STATE);
                self.group.encode(&mut out);
                records.log.encode(&mut out);
                match &records.kept_state {
                    Some((offset, state)) => out.u8(1).i64(*offset).blob(state),
                    None => out.u8(0),
                };
            }
        }
        out.finish()
    }
}

impl Records {
    pub(super) fn recovered(log: Log, kept_state: Option<(i64, Bytes)>) -> Records {
        Records {
            log,
            kept_state,
            ..Records::default()
        }
    }

    /// Everything below the new high watermark may be told.
    pub(super) fn committed(&mut self, index: u64) {
        let before = self.log.high_watermark();
        if !self.log.committed(index) {
            return;
        }
        let high_watermark = self.log.high_watermark();
        let log_start_offset = self.log.start_offset();
        while let Some(waiting) = self
            .waiting
            .pop_front_if(|waiting| waiting.last_offset < high_watermark)
        {
            waiting.answer(log_start_offset);
        }
        for waiting in self
            .waiting_again
            .extract_if(.., |waiting| waiting.last_offset < high_watermark)
        {
            waiting.answer(log_start_offset);
        }
        self.wake_waiters(before, high_watermark);
    }

    /// Leadership is gone: proposed batches may still be committed by others, so their fate is unknown.
    pub(super) fn leadership_lost(&mut self) {
        let waiting = self.waiting.drain(..).chain(self.waiting_again.drain(..));
        waiting.for_each(|waiting| _ = waiting.reply.send(Err(AppendError::Unknown)));
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
            if !fits || entry.next_offset > self.log.high_watermark() {
                break;
            }
            bytes += entry.bytes.len();
            batches.push(entry.bytes.clone());
        }
        Some(batches)
    }

    /// Drops the oldest cached entry; returns its bytes.
    pub(super) fn evict_oldest(&mut self) -> usize {
        self.cached.pop_front().map_or(0, |entry| entry.bytes.len())
    }

    fn take(
        &mut self,
        mut header: batch::BatchHeader,
        mut bytes: bytes::BytesMut,
        base_offset: i64,
        epoch: i32,
        reply: oneshot::Sender<Result<Appended, AppendError>>,
    ) {
        batch::place(&mut bytes, base_offset, epoch);
        header.base_offset = base_offset;
        header.leader_epoch = epoch;
        self.log.record(&header);
        let bytes = bytes.freeze();
        let next_offset = header.next_offset();
        self.cached.push_back(Cached {
            base_offset,
            next_offset,
            bytes: bytes.clone(),
        });
        self.proposals.push((bytes, next_offset));
        self.waiting.push_back(Waiting {
            base_offset,
            last_offset: next_offset - 1,
            reply,
        });
    }

    fn answer_again(&mut self, waiting: Waiting) {
        if waiting.last_offset < self.log.high_watermark() {
            waiting.answer(self.log.start_offset());
        } else {
            self.waiting_again.push(waiting);
        }
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

impl Waiting {
    fn answer(self, log_start_offset: i64) {
        let _ = self.reply.send(Ok(Appended {
            base_offset: self.base_offset,
            log_start_offset,
        }));
    }
}

/// The header of a batch that was checked before it was proposed.
pub(super) fn header_of(bytes: &[u8]) -> batch::BatchHeader {
    batch::BatchHeader::read(bytes).expect("only checked batches are proposed")
}
