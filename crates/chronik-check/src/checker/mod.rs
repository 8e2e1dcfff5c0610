//! Feeds events to the rules, and decides when a stretch of the log can be settled and forgotten.

mod cluster;
mod finals;
mod polls;
mod sends;
mod settle;

use crate::anomaly::group::Groups;
use crate::anomaly::transaction::Transactions;
use crate::anomaly::{invariant_log, split_brain_ack};
use crate::contract::Contract;
use crate::finding::{Anomaly, Finding, Findings};
use crate::history::{Action, Event, Name, Value};
use crate::state::{NOBODY, Partition, ReadPosition, Writer};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// Offsets behind the frontier that the online checker still knows record by record.
const WINDOW_OFFSETS: u64 = 16_384;

/// Settling in steps, a part of the window each, keeps its cost out of every single poll.
const SETTLE_STEPS_PER_WINDOW: u64 = 16;

/// Sends of one writer, and acknowledged batches of one partition, that may be undecided at once, online.
const MAX_UNDECIDED_SENDS: usize = 1 << 18;

/// Beyond so many remembered sends of a writer its oldest unanswered ones are forgotten, online:
/// they may still appear, but no longer have an order to keep.
const MAX_UNANSWERED_SENDS: usize = 1 << 10;

/// Takes a history event by event and reports every broken promise.
#[derive(Debug)]
pub struct Checker {
    contract: Contract,
    /// Online, what lies behind the frontier is settled and only digests of it are kept.
    forgets: bool,
    window_offsets: u64,
    last_time_ns: u64,
    partition_ids: FxHashMap<Name, u32>,
    partitions: Vec<Partition>,
    writer_ids: FxHashMap<(Option<u32>, u32, u32), u32>,
    writers: Vec<Writer>,
    ops: FxHashMap<u64, OpenOp>,
    readers: FxHashMap<(u32, u32), ReadPosition>,
    groups: Groups,
    transactions: Transactions,
    leaders: split_brain_ack::Leaders,
    findings: Findings,
    incomplete: BTreeSet<Incomplete>,
    events: u64,
}

/// What the checker can say at the end.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// With evidence, at most some hundreds of each class.
    pub findings: Vec<Finding>,
    /// How often each class was found.
    pub totals: BTreeMap<Anomaly, u64>,
    /// What is allowed and still worth a number: duplicates of a producer that is not idempotent, and the like.
    pub counted: BTreeMap<Anomaly, u64>,
    /// Why a clean report may not be a proof.
    pub incomplete: BTreeSet<Incomplete>,
    pub events: u64,
}

/// What the checker could not look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Incomplete {
    #[error(
        "more sends of one writer or partition were undecided at once than the online checker keeps"
    )]
    TooManyUndecidedSends,
    #[error("more transactions were open at once than the checker keeps")]
    TooManyTransactions,
}

/// The history itself is wrong: a fault of the recording tool, not of the system under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryFault {
    #[error("line {line}: time runs backwards")]
    TimeBackwards { line: u64 },
    #[error("line {line}: operation {op} ends, but never began or is of another kind")]
    UnknownOperation { line: u64, op: u64 },
    #[error("line {line}: operation {op} begins a second time")]
    OperationReused { line: u64, op: u64 },
    #[error("line {line}: the value {value} is sent a second time under a new operation")]
    ValueReused { line: u64, value: Value },
}

/// An operation between its two events.
#[derive(Clone, Debug)]
enum OpenOp {
    Send { writer: u32, seq: u64 },
    Poll { line: u64 },
    ListOffsets { line: u64 },
    Commit,
    FetchCommitted,
    Transaction,
}

impl Checker {
    /// Keeps every record until the end: the most precise evidence, memory in proportion to the history.
    pub fn offline(contract: Contract) -> Checker {
        Checker::new(contract, false, u64::MAX)
    }

    /// Settles what readers have passed and forgets it: memory in proportion to what is in flight.
    pub fn online(contract: Contract) -> Checker {
        Checker::online_with_window(contract, WINDOW_OFFSETS)
    }

    /// As [`Checker::online`], with so many offsets of each partition known record by record behind the frontier.
    /// Acknowledgements and slow readers that come later than that are compared with digests only.
    pub fn online_with_window(contract: Contract, window_offsets: u64) -> Checker {
        Checker::new(contract, true, window_offsets)
    }

    fn new(contract: Contract, forgets: bool, window_offsets: u64) -> Checker {
        debug_assert_eq!(NOBODY, 0);
        Checker {
            contract,
            forgets,
            window_offsets,
            last_time_ns: 0,
            partition_ids: FxHashMap::default(),
            partitions: Vec::new(),
            writer_ids: FxHashMap::default(),
            writers: vec![Writer::default()],
            ops: FxHashMap::default(),
            readers: FxHashMap::default(),
            groups: Groups::default(),
            transactions: Transactions::default(),
            leaders: split_brain_ack::Leaders::default(),
            findings: Findings::default(),
            incomplete: BTreeSet::new(),
            events: 0,
        }
    }

    /// Takes the event at this line of the history. Events must come in the order of their times.
    pub fn feed(&mut self, line: u64, event: &Event) -> Result<(), HistoryFault> {
        if event.time_ns < self.last_time_ns {
            return Err(HistoryFault::TimeBackwards { line });
        }
        self.last_time_ns = event.time_ns;
        self.events += 1;
        let proc = event.proc;
        match &event.action {
            Action::SendInvoke(send) => self.send_invoke(line, send)?,
            Action::SendEnd(end) => self.send_end(line, end)?,
            Action::PollInvoke { op } => self.open(line, *op, OpenOp::Poll { line })?,
            Action::Poll(poll) => self.poll(line, proc, poll),
            Action::PollFailed { op } => drop(self.ops.remove(op)),
            Action::Assign(positions) => self.assign(line, proc, positions),
            Action::Seek(positions) => self.seek(line, proc, positions),
            Action::Assigned {
                group,
                generation,
                positions,
            } => self.assigned(line, proc, group, *generation, positions),
            Action::Revoked {
                group, partitions, ..
            } => self.revoked(proc, group, partitions),
            Action::CommitInvoke(commit) => self.commit_invoke(line, commit)?,
            Action::CommitEnd(end) => self.commit_end(line, end)?,
            Action::FetchCommittedInvoke { op, group } => {
                self.fetch_committed_invoke(line, *op, group)?
            }
            Action::FetchCommittedEnd(end) => self.fetch_committed_end(line, proc, end)?,
            Action::ListOffsetsInvoke { op } => {
                self.open(line, *op, OpenOp::ListOffsets { line })?
            }
            Action::ListOffsetsEnd(end) => self.list_offsets_end(line, end)?,
            Action::TransactionInvoke(transaction) => {
                self.open(line, transaction.op, OpenOp::Transaction)?;
                self.transactions.end_invoke(line, transaction);
            }
            Action::TransactionEnd { op, outcome } => self.transaction_end(line, *op, *outcome)?,
            Action::RaftStatus(status) => self.raft_status(line, status),
            Action::LogDigest(digest) => self.log_digest(line, digest),
            Action::Final(read) => self.final_read(line, read),
            Action::Invariant(invariant) => {
                invariant_log::judge_report(&mut self.findings, line, invariant)
            }
            Action::ProcExit { node, expected } => {
                invariant_log::judge_exit(&mut self.findings, line, *node, *expected);
                if node.is_none() {
                    self.readers.retain(|(reader, _), _| *reader != proc);
                }
            }
            Action::Run(_) | Action::Note => {}
        }
        Ok(())
    }

    /// What was found up to here; the end of the history may add to it, never take away.
    pub fn findings(&self) -> &[Finding] {
        self.findings.list()
    }

    /// Whether a promise is broken already: the moment to freeze the cluster.
    pub fn has_error(&self) -> bool {
        self.findings.has_error()
    }

    /// Settles everything that is left and reports.
    pub fn finish(mut self) -> Report {
        for partition in 0..self.partitions.len() as u32 {
            self.settle(partition, u64::MAX);
        }
        self.transactions
            .finish(&self.partitions, &self.writers, &mut self.findings);
        self.judge_finals();
        if self.transactions.overflowed() {
            self.incomplete.insert(Incomplete::TooManyTransactions);
        }
        let (findings, totals, counted) = self.findings.into_parts();
        Report {
            findings,
            totals,
            counted,
            incomplete: self.incomplete,
            events: self.events,
        }
    }

    fn open(&mut self, line: u64, op: u64, open: OpenOp) -> Result<(), HistoryFault> {
        match self.ops.insert(op, open) {
            None => Ok(()),
            Some(_) => Err(HistoryFault::OperationReused { line, op }),
        }
    }

    fn partition_id(&mut self, name: &Name) -> u32 {
        if let Some(id) = self.partition_ids.get(name) {
            return *id;
        }
        let id = self.partitions.len() as u32;
        self.partitions.push(Partition::new(name.clone()));
        self.partition_ids.insert(name.clone(), id);
        id
    }

    fn writer_id(&mut self, home: Option<u32>, producer: u32, incarnation: u32) -> u32 {
        let writers = &mut self.writers;
        *self
            .writer_ids
            .entry((home, producer, incarnation))
            .or_insert_with(|| {
                writers.push(Writer {
                    producer,
                    incarnation,
                    home,
                    ..Writer::default()
                });
                (writers.len() - 1) as u32
            })
    }

    /// The writer of a value seen in a partition: one at home there, or one that is at home everywhere.
    fn writer_seen(&mut self, partition: u32, value: Value) -> u32 {
        let home = (Some(partition), value.producer, value.incarnation);
        let everywhere = (None, value.producer, value.incarnation);
        let known = self
            .writer_ids
            .get(&home)
            .or_else(|| self.writer_ids.get(&everywhere));
        match known {
            Some(writer) => *writer,
            None => self.writer_id(Some(partition), value.producer, value.incarnation),
        }
    }
}
