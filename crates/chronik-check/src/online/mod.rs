//! What lets a history be checked while it grows: sets of intervals, and digests of what is no longer kept.

mod block_digests;
mod interval_set;
mod ledger;
mod seq_set;

pub(crate) use block_digests::{BlockDigests, BlockReader};
pub use interval_set::IntervalSet;
pub use ledger::{Ledger, LedgerReport, Tally};
pub use seq_set::SeqSet;
