//! What the system under test promises: the rules differ a little between Chronik and Apache Kafka.

use serde::{Deserialize, Serialize};

/// The promises that a history is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contract {
    /// Offsets without holes, linearizable log ends, NOT_LEADER_OR_FOLLOWER only for batches never proposed.
    Chronik,
    /// What Apache Kafka documents.
    Kafka,
}

impl Contract {
    /// NOT_LEADER_OR_FOLLOWER proves that the batch is nowhere.
    pub fn not_leader_means_never_written(self) -> bool {
        self == Contract::Chronik
    }

    /// Without transactions, compaction and retention every offset holds a record.
    pub fn offsets_are_dense(self) -> bool {
        self == Contract::Chronik
    }

    /// A log end once told is never taken back.
    pub fn log_end_is_linearizable(self) -> bool {
        self == Contract::Chronik
    }
}
