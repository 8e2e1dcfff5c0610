//! Which mistakes are planted, and which scenarios are expected to notice them.

use chronik_fault::Fault;

use crate::target::Mutant;

/// A mistake and those who hunt it, the most promising first.
#[derive(Debug)]
pub(crate) struct Hunt {
    /// As the documents number them.
    pub(crate) number: &'static str,
    pub(crate) mutant: Mutant,
    pub(crate) scenarios: &'static [&'static str],
    /// The class of anomaly that should give it away; a gate that is missed has a name of its own.
    pub(crate) predicted: &'static str,
}

macro_rules! hunts {
    ($($number:literal $mutant:expr, by [$($scenario:literal),+] as $predicted:literal);+ $(;)?) => {
        pub(crate) const HUNTS: &[Hunt] = &[
            $(Hunt {
                number: $number,
                mutant: $mutant,
                scenarios: &[$($scenario),+],
                predicted: $predicted,
            }),+
        ];
    };
}

use Fault::*;
use Mutant::{FlushLies, Inside};

hunts! {
    "M1" Inside(AckBeforeQuorum), by ["isolate-leader"] as "final-lost";
    "M2" Inside(SyncSkipped), by ["power-loss-all"] as "final-lost";
    "M3" Inside(VoteNotPersisted), by ["lost-vote"] as "split-brain-ack";
    "M4" Inside(NoDedup), by ["reset-storm"] as "duplicate";
    "M5" Inside(DedupLostOnFailover), by ["lost-answers"] as "duplicate";
    "M6" Inside(ServeAboveCommit), by ["isolate-leader"] as "dirty-then-lost";
    "M7" Inside(ReadNotConfirmed), by ["pause-leader"] as "stale-tail";
    "M8" Inside(ReplacedRecordsKept), by ["isolate-leader"] as "inconsistent-offset";
    "M9" Inside(NoopTakesOffset), by ["healthy"] as "offset-hole";
    "M10" Inside(CommitAckedEarly), by ["isolate-coordinator"] as "commit-regress";
    "M11" Inside(NoGenerationFencing), by ["zombie-member"] as "zombie-commit";
    "M12" Inside(BatchSkippedAtRoll), by ["healthy"] as "poll-skip";
    "M13" Inside(FullDiskAcked), by ["disk-full-leader"] as "lost-write";
    "M14" Inside(SyncErrorIgnored), by ["dead-disk"] as "final-lost";
    "M15" Inside(NotLeaderAfterPropose), by ["one-way-cut"] as "aborted-read";
    "M16" Inside(CatchUpDropsBatch), by ["left-behind"] as "replica-divergence";
    "M17" Inside(DedupLostOnRestart), by ["lost-answers"] as "duplicate";
    "M18" Inside(NoPreVote), by ["lonely-follower"] as "too many leaders";
    "M19" Inside(TimersByWallClock), by ["clock-jumps"] as "too many leaders";
    "M20" Inside(CoordinatorForgets), by ["kill-coordinator"] as "commit-regress";
    "-" FlushLies, by ["single-mutant-hunt"] as "final-lost";
}
