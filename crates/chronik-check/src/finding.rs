//! What the checker found: classes, how bad they are, and the history lines that show it.

use crate::history::{Name, Value};
use rustc_hash::FxHashSet;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Findings kept in full for each class; more are counted.
const MAX_FINDINGS_PER_ANOMALY: u64 = 200;

/// Sequences that a stronger finding has already accused; beyond it a value may be accused twice.
const MAX_ACCUSED: usize = 1 << 20;

macro_rules! anomalies {
    ($($variant:ident $name:literal),+ $(,)?) => {
        /// The classes of the anomaly table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Anomaly {
            $($variant),+
        }

        impl Anomaly {
            pub const ALL: &'static [Anomaly] = &[$(Anomaly::$variant),+];

            /// The name as in reports and file names.
            pub fn name(self) -> &'static str {
                match self {
                    $(Anomaly::$variant => $name),+
                }
            }
        }
    };
}

anomalies! {
    InconsistentOffset "inconsistent-offset",
    Duplicate "duplicate",
    LostWrite "lost-write",
    FinalLost "final-lost",
    Unseen "unseen",
    AbortedRead "aborted-read",
    DirtyThenLost "dirty-then-lost",
    Phantom "phantom",
    Corrupt "corrupt",
    Misrouted "misrouted",
    AckOffsetImplausible "ack-offset-implausible",
    RealtimeOrder "realtime-order",
    NonmonotonicSend "nonmonotonic-send",
    IdempotentGap "idempotent-gap",
    PollSkip "poll-skip",
    NonmonotonicPoll "nonmonotonic-poll",
    OffsetHole "offset-hole",
    PrecommittedRead "precommitted-read",
    TornTxn "torn-txn",
    CircularFlow "g1c",
    EpochRegress "epoch-regress",
    SplitBrainAck "split-brain-ack",
    StaleTail "stale-tail",
    CommitRegress "commit-regress",
    ZombieCommit "zombie-commit",
    DoubleOwner "double-owner",
    GroupHole "group-hole",
    GroupRedelivery "group-redelivery",
    ReplicaDivergence "replica-divergence",
    InvariantLog "invariant-log",
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Anomaly {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look, not a broken promise of this system.
    Warning,
    /// A promise is broken.
    Error,
}

/// One broken promise with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub anomaly: Anomaly,
    pub severity: Severity,
    /// The topic-partition or the group it happened in.
    pub place: Option<Name>,
    pub offset: Option<u64>,
    pub value: Option<Value>,
    /// Line numbers of the history, ascending: the evidence.
    pub lines: Vec<u64>,
    pub detail: String,
}

impl Finding {
    pub(crate) fn new(anomaly: Anomaly, detail: String) -> Finding {
        Finding {
            anomaly,
            severity: Severity::Error,
            place: None,
            offset: None,
            value: None,
            lines: Vec::new(),
            detail,
        }
    }

    pub(crate) fn warning(mut self) -> Finding {
        self.severity = Severity::Warning;
        self
    }

    pub(crate) fn place(mut self, place: &Name) -> Finding {
        self.place = Some(place.clone());
        self
    }

    pub(crate) fn offset(mut self, offset: u64) -> Finding {
        self.offset = Some(offset);
        self
    }

    pub(crate) fn value(mut self, value: Value) -> Finding {
        self.value = Some(value);
        self
    }

    /// Lines as evidence; 0 stands for a line that is not known.
    pub(crate) fn lines(mut self, lines: impl IntoIterator<Item = u64>) -> Finding {
        self.lines
            .extend(lines.into_iter().filter(|line| *line != 0));
        self.lines.sort_unstable();
        self.lines.dedup();
        self
    }
}

/// Collects findings, and remembers what is already accused so that one fault is not reported under two names.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    totals: BTreeMap<Anomaly, u64>,
    counted: BTreeMap<Anomaly, u64>,
    accused: FxHashSet<(u32, u64)>,
}

impl Findings {
    pub(crate) fn report(&mut self, finding: Finding) {
        let total = self.totals.entry(finding.anomaly).or_default();
        *total += 1;
        if *total <= MAX_FINDINGS_PER_ANOMALY {
            self.list.push(finding);
        }
    }

    /// Reports a finding about one record of a writer, unless that record stands accused already.
    pub(crate) fn accuse(&mut self, writer: u32, seq: u64, finding: impl FnOnce() -> Finding) {
        if self.accused.len() < MAX_ACCUSED && !self.accused.insert((writer, seq)) {
            return;
        }
        self.report(finding());
    }

    pub(crate) fn is_accused(&self, writer: u32, seq: u64) -> bool {
        !self.accused.is_empty() && self.accused.contains(&(writer, seq))
    }

    /// Marks a record so that the consequences of one fault are not reported as further faults.
    pub(crate) fn excuse(&mut self, writer: u32, seq: u64) {
        if self.accused.len() < MAX_ACCUSED {
            self.accused.insert((writer, seq));
        }
    }

    /// Counts what is allowed, but should be known.
    pub(crate) fn count(&mut self, anomaly: Anomaly, times: u64) {
        *self.counted.entry(anomaly).or_default() += times;
    }

    pub(crate) fn list(&self) -> &[Finding] {
        &self.list
    }

    pub(crate) fn has_error(&self) -> bool {
        self.list
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    pub(crate) fn into_parts(
        self,
    ) -> (Vec<Finding>, BTreeMap<Anomaly, u64>, BTreeMap<Anomaly, u64>) {
        (self.list, self.totals, self.counted)
    }
}
