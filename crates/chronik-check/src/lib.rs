//! Finds lost, duplicated, reordered, altered and early-shown records in a recorded history of a Kafka-compatible log.
//!
//! Pure: no clock, no file, no socket, no thread. The simulator, chronik-chaos and chronik-bench feed the same checker:
//!
//! ```
//! use chronik_check::{Checker, Contract, history::Reader};
//!
//! let history = br#"{"t":1,"proc":1,"ty":"inv","f":"send","op":1,"p":"t/0","v":[1,0,0]}
//! {"t":2,"proc":1,"ty":"fail","f":"send","op":1,"att":[{"r":"MESSAGE_TOO_LARGE"}]}
//! {"t":3,"proc":2,"ty":"ok","f":"poll","op":2,"mode":"assign","recs":{"t/0":[[0,[1,0,0],1]]}}"#;
//! let mut checker = Checker::offline(Contract::Chronik);
//! for event in Reader::new(&history[..]) {
//!     let (line, event) = event?;
//!     checker.feed(line, &event)?;
//! }
//! let report = checker.finish();
//! assert_eq!(report.findings[0].anomaly.name(), "aborted-read");
//! assert_eq!(report.findings[0].lines, [1, 2, 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod classify;
pub mod header;
pub mod history;

mod anomaly;
mod checker;
mod contract;
mod finding;
mod online;
mod state;

pub use checker::{Checker, HistoryFault, Incomplete, Report};
pub use contract::Contract;
pub use finding::{Anomaly, Finding, Severity};
pub use online::{IntervalSet, Ledger, LedgerReport, SeqSet, Tally};
