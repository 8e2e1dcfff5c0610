//! Key compaction, as far as it needs no disk: of each key, a log keeps the newest record.
//!
//! One *pass* first learns where the newest record of each key is ([`Keys`]), from the pieces of the log that no pass
//! has seen yet, and then goes over the log from its start ([`Pass::clean`]): a record goes if a newer one of its key is
//! further on. Offsets never change, and batches keep their place, with fewer records or none.
//!
//! A record without a value, a tombstone, hides older ones and has to go itself some time. Its batch gets a *horizon*
//! when a pass first goes over it, `delete.retention.ms` later; after that, and once no member of the group holds
//! anything that it hides ([`Pass::tombstones_below`]), it goes. A replica that was given an old record by one member
//! must find the tombstone on every other one.

mod clean;
mod keys;
mod plan;
mod record;

#[cfg(test)]
mod tests;

pub use clean::{Left, Outcome, Pass, survey, without_records};
pub use keys::{Full, Keys};
pub use plan::{Candidate, Cleaning, Piece, Told, next_pass, tombstones_below};
pub use record::{Malformed, Record, records};
