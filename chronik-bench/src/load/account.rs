//! The one owner of the ledger: producers tell it what was acknowledged, readers what they found.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

use chronik_check::header::{Header, HeaderFault};
use chronik_check::history::Value;
use chronik_check::{Ledger, LedgerReport, Tally};

/// So many records travel to the account in one piece.
pub(crate) const READ_BATCH: usize = 512;

/// News for the ledger.
#[derive(Debug)]
pub(crate) enum AccountEvent {
    Acked(Vec<Value>),
    Read(Vec<ReadRecord>),
}

/// One record as a reader found it; `place` numbers topic and partition.
#[derive(Clone, Debug)]
pub(crate) struct ReadRecord {
    pub(crate) place: u32,
    pub(crate) offset: u64,
    pub(crate) found: Result<Value, HeaderFault>,
    /// Only where records of several runs are read.
    pub(crate) run: u64,
}

/// Accounts of all runs that left records in a topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunAccounts {
    pub(crate) runs: BTreeMap<u64, LedgerReport>,
    pub(crate) corrupt: Tally,
    pub(crate) foreign: u64,
    /// Sequences before the first one that was met of each writer: retention may have taken them.
    pub(crate) before_first: u64,
}

/// The judged account and what is outside of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountReport {
    pub(crate) ledger: LedgerReport,
    /// Records of other runs or other programs.
    pub(crate) foreign: u64,
}

/// Takes news until all senders of them are gone.
pub(crate) fn keep(events: &Receiver<AccountEvent>) -> AccountReport {
    let mut ledger = Ledger::default();
    let mut foreign = 0;
    for event in events {
        match event {
            AccountEvent::Acked(values) => {
                values
                    .into_iter()
                    .for_each(|value| ledger.acknowledged(value));
            }
            AccountEvent::Read(records) => {
                for record in records {
                    enter(&mut ledger, &mut foreign, &record);
                }
            }
        }
    }
    AccountReport {
        ledger: ledger.report(),
        foreign,
    }
}

impl RunAccounts {
    /// Takes records until the reader is gone. What lies between a writer's first and last sequence was sent, so a gap is a
    /// loss or a send that failed: only the run's own result can tell which.
    pub(crate) fn keep(events: &Receiver<AccountEvent>) -> Self {
        let mut ledgers: BTreeMap<u64, Ledger> = BTreeMap::new();
        let mut spans: BTreeMap<(u64, u32, u32), (u64, u64)> = BTreeMap::new();
        let mut accounts = Self::default();
        let mut corrupt = Ledger::default();
        for event in events {
            let AccountEvent::Read(records) = event else {
                continue;
            };
            for record in records {
                match &record.found {
                    Ok(value) => {
                        let ledger = ledgers.entry(record.run).or_default();
                        ledger.read(record.place, record.offset, *value);
                        let writer = (record.run, value.producer, value.incarnation);
                        let span = spans.entry(writer).or_insert((value.seq, value.seq));
                        *span = (span.0.min(value.seq), span.1.max(value.seq));
                    }
                    Err(HeaderFault::Corrupt { .. }) => {
                        corrupt.corrupt(record.place, record.offset, "checksum");
                    }
                    Err(_) => accounts.foreign += 1,
                }
            }
        }
        for ((run, producer, incarnation), (first, last)) in spans {
            let ledger = ledgers.entry(run).or_default();
            accounts.before_first += first;
            for seq in first..=last {
                ledger.acknowledged(Value {
                    producer,
                    incarnation,
                    seq,
                });
            }
        }
        accounts.corrupt = corrupt.report().corrupt;
        accounts.runs = ledgers
            .into_iter()
            .map(|(run, ledger)| (run, ledger.report()))
            .collect();
        accounts
    }
}

/// What a payload says, if it belongs to this run.
pub(crate) fn examine(payload: &[u8], run: u64) -> Result<Header, HeaderFault> {
    let header = Header::decode(payload)?;
    match header.run == run {
        true => Ok(header),
        false => Err(HeaderFault::OtherRun { found: header.run }),
    }
}

fn enter(ledger: &mut Ledger, foreign: &mut u64, record: &ReadRecord) {
    match &record.found {
        Ok(value) => ledger.read(record.place, record.offset, *value),
        Err(HeaderFault::OtherRun { .. } | HeaderFault::TooShort { .. } | HeaderFault::NotOurs) => {
            *foreign += 1;
        }
        Err(fault) => ledger.corrupt(record.place, record.offset, &fault.to_string()),
    }
}
