//! What only the online checker does: it speaks while the history grows, and it compares what it has forgotten.

use crate::generate::{end, invoke, poll, record, value};
use chronik_check::history::*;
use chronik_check::{Anomaly, Checker, Contract};

const RECORDS_PER_BATCH: u32 = 1_024;

/// Three blocks of digests and a little.
const BATCHES: u64 = 200;

struct Feed {
    checker: Checker,
    line: u64,
}

impl Feed {
    fn new() -> Feed {
        Feed {
            checker: Checker::online(Contract::Chronik),
            line: 0,
        }
    }

    fn feed(&mut self, proc: u32, action: Action) {
        self.line += 1;
        let event = Event {
            time_ns: self.line,
            proc,
            action,
        };
        self.checker
            .feed(self.line, &event)
            .expect("the history is well formed");
    }

    fn send(&mut self, batch: u64) {
        let first = batch * u64::from(RECORDS_PER_BATCH);
        let name = Name::from("t/0");
        self.feed(
            1,
            invoke(batch, &name, value(1, first), None, RECORDS_PER_BATCH, None),
        );
        self.feed(1, end(batch, Outcome::Ok, Some(first), &[]));
    }

    fn assign(&mut self, proc: u32) {
        self.feed(proc, Action::Assign(vec![("t/0".into(), Some(0))]));
    }

    fn read(&mut self, proc: u32, records: Vec<Record>) {
        let mut poll = poll(self.line << 32, PollMode::Assign);
        poll.records = vec![("t/0".into(), records)];
        self.feed(proc, Action::Poll(poll));
    }

    fn read_batch(&mut self, proc: u32, batch: u64) {
        let first = batch * u64::from(RECORDS_PER_BATCH);
        self.read(proc, vec![run(first, first, RECORDS_PER_BATCH)]);
    }

    /// Sends everything, with an auditor close behind.
    fn day(&mut self) {
        self.assign(8);
        for batch in 0..BATCHES {
            self.send(batch);
            self.read_batch(8, batch);
        }
    }
}

fn run(offset: u64, seq: u64, count: u32) -> Record {
    Record {
        count,
        ..record(offset, Content::Value(value(1, seq)), 1)
    }
}

#[test]
fn a_loss_is_told_before_the_end() {
    let mut feed = Feed::new();
    feed.assign(8);
    for batch in 0..40 {
        feed.send(batch);
        if batch != 3 {
            feed.read_batch(8, batch);
        }
    }
    assert!(feed.checker.has_error());
    let finding = &feed.checker.findings()[0];
    assert_eq!(finding.anomaly, Anomaly::LostWrite);
    assert_eq!(finding.offset, Some(3 * u64::from(RECORDS_PER_BATCH)));
    // Batch 3 was sent and acknowledged here.
    assert_eq!(finding.lines, [11, 12]);
}

#[test]
fn what_is_forgotten_reads_the_same_again() {
    let mut feed = Feed::new();
    feed.day();
    feed.assign(9);
    for batch in 0..BATCHES {
        feed.read_batch(9, batch);
    }
    let report = feed.checker.finish();
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
}

#[test]
fn an_old_record_altered_by_a_restart_is_found() {
    let mut feed = Feed::new();
    feed.day();
    feed.assign(9);
    for batch in 0..BATCHES {
        if batch != 70 {
            feed.read_batch(9, batch);
            continue;
        }
        // Two records of one batch have changed places: both are known, so only the digest can tell.
        let first = batch * u64::from(RECORDS_PER_BATCH);
        let changed = vec![
            run(first, first + 1, 1),
            run(first + 1, first, 1),
            run(first + 2, first + 2, RECORDS_PER_BATCH - 2),
        ];
        feed.read(9, changed);
    }
    let report = feed.checker.finish();
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    assert_eq!(report.findings[0].anomaly, Anomaly::InconsistentOffset);
    assert_eq!(report.findings[0].offset, Some(65_536));
}
