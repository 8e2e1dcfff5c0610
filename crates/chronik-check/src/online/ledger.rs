//! Accounts for every record of a load: what was acknowledged must be read, once, in order and unaltered.
//!
//! The checker of histories knows more and costs more; this one keeps a bit per record that is not settled, so it keeps up
//! with hundreds of thousands of records a second for a day. A foreign partitioner may scatter a producer's sequence over
//! partitions: presence is judged over all of them, order within each.

use std::collections::BTreeMap;
use std::ops::Range;

use super::SeqSet;
use crate::history::Value;

/// Evidence kept of each kind; the counts go on.
const EXAMPLES_MAX: usize = 20;

/// What was promised and what was seen.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    writers: BTreeMap<(u32, u32), Writer>,
    /// The largest sequence seen of a writer in a partition.
    positions: BTreeMap<(u32, u32, u32), u64>,
    report: LedgerReport,
}

#[derive(Clone, Debug, Default)]
struct Writer {
    acknowledged: SeqSet,
    read: SeqSet,
}

/// A number of records and some of them as evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub examples: Vec<String>,
}

/// What the ledger says at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerReport {
    pub acknowledged: u64,
    pub read: u64,
    /// Acknowledged and never read.
    pub lost: Tally,
    /// Read more than once, at different offsets.
    pub duplicated: Tally,
    /// Read for the first time after a later record of the same writer in the same partition.
    pub reordered: Tally,
    /// Bytes that are not what the writer's checksum says.
    pub corrupt: Tally,
    /// Read although nobody acknowledged them: allowed for sends without an answer, and worth a number.
    pub unacknowledged: u64,
}

impl Ledger {
    /// The cluster promised to keep this record.
    pub fn acknowledged(&mut self, value: Value) {
        let writer = self.writer(value);
        if writer.acknowledged.insert(value.seq) {
            self.report.acknowledged += 1;
        }
    }

    /// A reader met this record; offsets of a partition must come in ascending order.
    pub fn read(&mut self, partition: u32, offset: u64, value: Value) {
        self.report.read += 1;
        let is_new = self.writer(value).read.insert(value.seq);
        let place = (value.producer, value.incarnation, partition);
        let latest = self.positions.entry(place).or_insert(value.seq);
        if !is_new {
            let example = format!("{value} again at partition {partition}, offset {offset}");
            self.report.duplicated.add(example);
        } else if value.seq < *latest {
            let example =
                format!("{value} after {latest} at partition {partition}, offset {offset}");
            self.report.reordered.add(example);
        }
        *latest = (*latest).max(value.seq);
    }

    /// A reader met bytes that nobody wrote.
    pub fn corrupt(&mut self, partition: u32, offset: u64, fault: &str) {
        let example = format!("partition {partition}, offset {offset}: {fault}");
        self.report.corrupt.add(example);
    }

    /// Stretches of 65,536 records that are not settled yet, over all writers.
    pub fn open_chunk_count(&self) -> usize {
        let writers = self.writers.values();
        writers
            .map(|writer| writer.acknowledged.open_chunk_count() + writer.read.open_chunk_count())
            .sum()
    }

    /// Judges what is there; more may follow.
    pub fn report(&self) -> LedgerReport {
        let mut report = self.report.clone();
        for ((producer, incarnation), writer) in &self.writers {
            let (runs, count) = writer.acknowledged.without(&writer.read, EXAMPLES_MAX);
            report.lost.count += count;
            let room = EXAMPLES_MAX.saturating_sub(report.lost.examples.len());
            let examples = runs.into_iter().take(room);
            report
                .lost
                .examples
                .extend(examples.map(|Range { start, end }| {
                    format!("producer {producer}.{incarnation}, sequences {start}..{end}")
                }));
            report.unacknowledged += writer.read.without(&writer.acknowledged, 0).1;
        }
        report
    }

    fn writer(&mut self, value: Value) -> &mut Writer {
        self.writers
            .entry((value.producer, value.incarnation))
            .or_default()
    }
}

impl Tally {
    fn add(&mut self, example: String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example);
        }
    }
}

impl LedgerReport {
    /// Nothing was lost, repeated, reordered or altered.
    pub fn is_clean(&self) -> bool {
        let tallies = [&self.lost, &self.duplicated, &self.reordered, &self.corrupt];
        tallies.iter().all(|tally| tally.count == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(seq: u64) -> Value {
        Value {
            producer: 3,
            incarnation: 0,
            seq,
        }
    }

    /// Ten records over two partitions, then the reads as given.
    fn ledger(reads: &[(u32, u64, u64)]) -> LedgerReport {
        let mut ledger = Ledger::default();
        for seq in 0..10 {
            ledger.acknowledged(value(seq));
        }
        for (partition, offset, seq) in reads {
            ledger.read(*partition, *offset, value(*seq));
        }
        ledger.report()
    }

    fn all() -> Vec<(u32, u64, u64)> {
        (0..10)
            .map(|seq| ((seq % 2) as u32, seq / 2, seq))
            .collect()
    }

    #[test]
    fn a_faithful_log_is_clean() {
        let report = ledger(&all());
        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.acknowledged, report.read), (10, 10));
    }

    #[test]
    fn a_loss_is_found() {
        let mut reads = all();
        reads.remove(6);
        let report = ledger(&reads);
        assert_eq!(report.lost.count, 1);
        assert_eq!(report.lost.examples, ["producer 3.0, sequences 6..7"]);
    }

    #[test]
    fn a_duplicate_is_found_and_is_no_reordering() {
        let mut reads = all();
        reads.push((0, 5, 4));
        let report = ledger(&reads);
        assert_eq!((report.duplicated.count, report.reordered.count), (1, 0));
    }

    #[test]
    fn a_swap_within_a_partition_is_found_and_one_across_is_not() {
        let mut reads = all();
        reads.swap(4, 6);
        assert_eq!(ledger(&reads).reordered.count, 1);
        let mut across = all();
        across.swap(4, 5);
        assert!(ledger(&across).is_clean());
    }

    #[test]
    fn alteration_and_surprise_are_counted() {
        let mut ledger = Ledger::default();
        ledger.corrupt(1, 7, "checksum");
        ledger.read(0, 0, value(99));
        let report = ledger.report();
        assert_eq!(report.corrupt.examples, ["partition 1, offset 7: checksum"]);
        assert_eq!(report.unacknowledged, 1);
        assert!(!report.is_clean());
    }
}
