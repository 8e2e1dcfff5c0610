//! Mistakes that tests plant to prove that they would notice them. Without the feature `plant` nobody can plant any:
//! the question whether one is planted is then answered at compile time, and nothing of it is in the program.

macro_rules! faults {
    ($($variant:ident $name:literal $says:literal),+ $(,)?) => {
        /// A mistake that a replicated log must never make.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $(#[doc = $says] $variant),+
        }

        impl Fault {
            pub const ALL: &'static [Fault] = &[$(Fault::$variant),+];

            /// What it is called on command lines and in results.
            pub fn name(self) -> &'static str {
                match self {
                    $(Fault::$variant => $name),+
                }
            }

            /// What a server with it does, in half a sentence.
            pub fn says(self) -> &'static str {
                match self {
                    $(Fault::$variant => $says),+
                }
            }
        }
    };
}

faults! {
    AckBeforeQuorum "ack-before-quorum" "a record is acknowledged once it is durable on its leader alone",
    SyncSkipped "sync-skipped" "the log is written and never flushed",
    VoteNotPersisted "vote-not-persisted" "a vote is cast and not written",
    NoDedup "no-dedup" "a batch that is sent again is appended again",
    DedupLostOnFailover "dedup-lost-on-failover" "a new leader does not know who wrote what",
    ServeAboveCommit "serve-above-commit" "readers see records that no majority holds",
    ReadNotConfirmed "read-not-confirmed" "a leader that was away answers before it knows that it still leads",
    ReplacedRecordsKept "replaced-records-kept" "entries are replaced, and readers still get the old ones from memory",
    NoopTakesOffset "noop-takes-offset" "the entry that begins a term takes an offset",
    CommitAckedEarly "commit-acked-early" "a group's offsets are acknowledged before they are in the log",
    NoGenerationFencing "no-generation-fencing" "a member that was thrown out of its group may still commit",
    BatchSkippedAtRoll "batch-skipped-at-roll" "a read that goes on in the next segment leaves out a batch",
    FullDiskAcked "full-disk-acked" "what a full disk has no room for is acknowledged",
    SyncErrorIgnored "sync-error-ignored" "errors of the disk are ignored",
    NotLeaderAfterPropose "not-leader-after-propose" "a leader that gives up denies batches that others may still commit",
    CatchUpDropsBatch "catch-up-drops-batch" "a replica that is behind is sent its leader's log without the last batch of each read",
    DedupLostOnRestart "dedup-lost-on-restart" "a restart forgets who wrote what, so a repeated batch is appended a second time",
    NoPreVote "no-pre-vote" "a node that was away begins an election that nobody needs",
    TimersByWallClock "timers-by-wall-clock" "elections and heartbeats go by the time of day",
    CoordinatorForgets "coordinator-forgets" "a consumer group's new coordinator begins with nothing",
    AckBeforeSync "ack-before-sync" "promises leave before what they promise is on disk",
    StaleTermAccepted "stale-term-accepted" "messages of an older term are taken for messages of this one",
    TruncationSkipped "truncation-skipped" "entries are replaced, but what they taught about producers stays",
    StaleTailKept "stale-tail-kept" "a snapshot is installed, and entries above it that it should have killed come back with a restart",
    DedupWindowLost "dedup-window-lost" "who wrote what is forgotten when a snapshot is installed",
}

/// Which fault is planted here: none, unless a test says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    #[cfg(feature = "plant")]
    fault: Option<Fault>,
}

impl Planted {
    /// For where nothing is planted, in constants too.
    pub const NOTHING: Planted = Planted {
        #[cfg(feature = "plant")]
        fault: None,
    };

    #[cfg(feature = "plant")]
    pub fn new(fault: Fault) -> Planted {
        Planted { fault: Some(fault) }
    }

    #[inline]
    pub fn is(self, fault: Fault) -> bool {
        #[cfg(feature = "plant")]
        let planted = self.fault == Some(fault);
        #[cfg(not(feature = "plant"))]
        let planted = {
            let _ = fault;
            false
        };
        planted
    }
}

/// No fault has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFault(pub String);

impl std::str::FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Fault, UnknownFault> {
        let known = Fault::ALL.iter().copied();
        let mut known = known.filter(|fault| fault.name() == name);
        known.next().ok_or_else(|| UnknownFault(name.to_owned()))
    }
}

impl std::fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is no fault that can be planted", self.0)
    }
}

impl std::error::Error for UnknownFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_faults() {
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(*fault));
        }
        assert!("ack".parse::<Fault>().is_err());
    }

    #[test]
    fn nothing_is_planted_by_default() {
        assert!(
            Fault::ALL
                .iter()
                .all(|fault| !Planted::default().is(*fault))
        );
        assert_eq!(Planted::default(), Planted::NOTHING);
        if !cfg!(feature = "plant") {
            assert_eq!(size_of::<Planted>(), 0);
        }
    }
}
