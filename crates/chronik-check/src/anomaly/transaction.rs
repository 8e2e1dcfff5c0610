//! What the transaction rules share: who wrote what in which transaction, who saw it, how it ended.

use super::{aborted_read, g1c, precommitted_read, torn_txn};
use crate::finding::{Anomaly, Finding, Findings};
use crate::history::{Isolation, Name, Outcome, Transaction};
use crate::state::{Partition, Run, Writer};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// Transactions remembered at once.
const MAX_TRANSACTIONS: usize = 1 << 20;

/// Transactions that the online checker remembers before it forgets ended ones.
const MAX_REMEMBERED_ONLINE: usize = 1 << 14;

#[derive(Debug, Default)]
pub(crate) struct Transactions {
    transactions: BTreeMap<u64, Entry>,
    /// For each writer its transactional batches: first sequence to count and transaction.
    batches: FxHashMap<u32, BTreeMap<u64, (u32, u64)>>,
    ends: FxHashMap<u64, u64>,
    edges: g1c::Edges,
    overflowed: bool,
}

#[derive(Debug)]
struct Entry {
    /// Writer, first sequence, count.
    writes: Vec<(u32, u64, u32)>,
    visible: FxHashSet<(u32, u64)>,
    state: State,
    write_line: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Asked to commit or to abort on this line; the answer is out or unclear.
    Ending {
        commit: bool,
        line: u64,
    },
    Committed {
        line: u64,
    },
    Aborted,
}

/// A transaction whose end is certain.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) committed: bool,
    pub(crate) writes: Vec<(u32, u64, u32)>,
    pub(crate) visible: FxHashSet<(u32, u64)>,
}

impl Transactions {
    pub(crate) fn wrote(&mut self, transaction: u64, writer: u32, seq: u64, count: u32, line: u64) {
        if self.transactions.len() >= MAX_TRANSACTIONS
            && !self.transactions.contains_key(&transaction)
        {
            self.overflowed = true;
            return;
        }
        let entry = self
            .transactions
            .entry(transaction)
            .or_insert_with(|| Entry {
                writes: Vec::new(),
                visible: FxHashSet::default(),
                state: State::Open,
                write_line: line,
            });
        entry.writes.push((writer, seq, count));
        self.batches
            .entry(writer)
            .or_default()
            .insert(seq, (count, transaction));
    }

    pub(crate) fn write_failed(&mut self, transaction: u64, writer: u32, seq: u64) {
        if let Some(entry) = self.transactions.get_mut(&transaction) {
            entry
                .writes
                .retain(|(other, first, _)| (*other, *first) != (writer, seq));
        }
    }

    /// Somebody read a run; `reader` is the transaction in which it was consumed.
    pub(crate) fn read(
        &mut self,
        findings: &mut Findings,
        partition: &Name,
        writers: &[Writer],
        run: &Run,
        isolation: Isolation,
        reader: Option<u64>,
    ) {
        let Some(batches) = self.batches.get(&run.writer) else {
            return;
        };
        let before = batches
            .range(..=run.seq)
            .next_back()
            .map_or(run.seq, |(first, _)| *first);
        for (first, (count, transaction)) in batches.range(before..run.seq + run.count) {
            if first + u64::from(*count) <= run.seq {
                continue;
            }
            if let Some(reader) = reader.filter(|reader| reader != transaction) {
                self.edges
                    .entry(reader)
                    .or_default()
                    .entry(*transaction)
                    .or_insert(run.line);
            }
            let Some(entry) = self.transactions.get_mut(transaction) else {
                continue;
            };
            if isolation == Isolation::Uncommitted {
                continue;
            }
            entry.visible.insert((run.writer, *first));
            let value = writers[run.writer as usize].value(run.seq.max(*first));
            let offset = run.offset + (value.seq - run.seq);
            match entry.state {
                State::Open => {
                    let lines = [entry.write_line, run.line];
                    precommitted_read::report(
                        findings,
                        partition,
                        run.writer,
                        value,
                        offset,
                        *transaction,
                        lines,
                    );
                }
                State::Aborted | State::Ending { commit: false, .. } => {
                    let lines = [entry.write_line, run.line, 0];
                    aborted_read::report(
                        findings,
                        Some(partition),
                        run.writer,
                        value,
                        Some(offset),
                        lines,
                    );
                }
                State::Ending { commit: true, .. } | State::Committed { .. } => {}
            }
        }
    }

    pub(crate) fn end_invoke(&mut self, line: u64, end: &Transaction) {
        self.ends.insert(end.op, end.transaction);
        if let Some(entry) = self.transactions.get_mut(&end.transaction) {
            entry.state = State::Ending {
                commit: end.commit,
                line,
            };
        }
    }

    /// The answer to an end; `None` while it leaves the transaction open.
    pub(crate) fn end(&mut self, line: u64, op: u64, outcome: Outcome) -> Option<Ended> {
        let transaction = self.ends.remove(&op)?;
        let entry = self.transactions.get_mut(&transaction)?;
        let State::Ending { commit, .. } = entry.state else {
            return None;
        };
        entry.state = match (commit, outcome) {
            (_, Outcome::Info) => return None,
            (true, Outcome::Ok) => State::Committed { line },
            // A commit refused for good is an abort.
            (true, Outcome::Fail) | (false, Outcome::Ok) => State::Aborted,
            (false, Outcome::Fail) => return None,
        };
        Some(Ended {
            committed: matches!(entry.state, State::Committed { .. }),
            writes: entry.writes.clone(),
            visible: entry.visible.clone(),
        })
    }

    /// Online, the older half of the ended transactions is judged and forgotten when there are many.
    pub(crate) fn forget_old(
        &mut self,
        partitions: &[Partition],
        writers: &[Writer],
        findings: &mut Findings,
    ) {
        if self.transactions.len() < MAX_REMEMBERED_ONLINE {
            return;
        }
        let ended = self
            .transactions
            .iter()
            .filter(|(_, entry)| entry.state != State::Open);
        let old: Vec<u64> = ended
            .map(|(transaction, _)| *transaction)
            .take(MAX_REMEMBERED_ONLINE / 2)
            .collect();
        g1c::judge(findings, &self.edges);
        for transaction in old {
            let Some(entry) = self.transactions.remove(&transaction) else {
                continue;
            };
            entry.judge_whole(partitions, writers, findings, transaction);
            self.edges.remove(&transaction);
            for (writer, seq, _) in entry.writes {
                if let Some(batches) = self.batches.get_mut(&writer) {
                    batches.remove(&seq);
                }
            }
        }
    }

    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub(crate) fn finish(
        &self,
        partitions: &[Partition],
        writers: &[Writer],
        findings: &mut Findings,
    ) {
        for (transaction, entry) in &self.transactions {
            entry.judge_whole(partitions, writers, findings, *transaction);
        }
        g1c::judge(findings, &self.edges);
    }
}

impl Entry {
    /// All of its records are shown, or none of them.
    fn judge_whole(
        &self,
        partitions: &[Partition],
        writers: &[Writer],
        findings: &mut Findings,
        transaction: u64,
    ) {
        let (certain, end_line) = match self.state {
            State::Committed { line } => (true, line),
            State::Ending { commit: true, line } => (false, line),
            State::Open | State::Aborted | State::Ending { commit: false, .. } => return,
        };
        for (id, seq, _) in &self.writes {
            if self.visible.contains(&(*id, *seq)) {
                continue;
            }
            let writer = &writers[*id as usize];
            let Some((_, send)) = writer.send_of(*seq) else {
                continue;
            };
            let Some(partition) = partitions.get(send.partition as usize) else {
                continue;
            };
            let Some(offset) = send.claim.or(send.place) else {
                continue;
            };
            if offset < partition.log_start() || !partition.covered_committed.contains(offset) {
                continue;
            }
            if !self.visible.is_empty() {
                torn_txn::report(
                    findings,
                    partition,
                    writer,
                    (*id, *seq),
                    transaction,
                    offset,
                    end_line,
                );
            } else if certain {
                report_lost(
                    findings,
                    partition,
                    writer,
                    (*id, *seq),
                    transaction,
                    offset,
                    end_line,
                );
            }
        }
    }
}

/// Committed, and nothing of it is shown: lost like any acknowledged record.
fn report_lost(
    findings: &mut Findings,
    partition: &Partition,
    writer: &Writer,
    (id, seq): (u32, u64),
    transaction: u64,
    offset: u64,
    end_line: u64,
) {
    let value = writer.value(seq);
    findings.accuse(id, seq, || {
        let story = writer.send_of(seq).map_or([0; 3], |(_, send)| send.lines());
        let detail = format!("{value} of the committed transaction {transaction} was passed by readers and never shown");
        Finding::new(Anomaly::LostWrite, detail)
            .place(&partition.name)
            .offset(offset)
            .value(value)
            .lines(story.into_iter().chain([end_line]))
    });
}
