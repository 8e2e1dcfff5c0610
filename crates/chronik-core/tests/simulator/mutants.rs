//! The faults that are planted to show that the simulator would notice them.

use chronik_fault::{Fault, Planted};

/// One mistake, in the core or in the disk that it relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    Core(Fault),
    /// A segment is recycled although it holds the newest vote of an idle group.
    NewestVoteRecycled,
    /// A frame that was written and never synced is trusted after a restart.
    UnsyncedFrameTrusted,
}

impl Mutant {
    /// What it plants into the core; nothing if it is one of the disk.
    pub(crate) fn planted(self) -> Planted {
        match self {
            Mutant::Core(fault) => Planted::new(fault),
            Mutant::NewestVoteRecycled | Mutant::UnsyncedFrameTrusted => Planted::NOTHING,
        }
    }
}

pub(crate) const ALL: [Mutant; 8] = [
    Mutant::Core(Fault::AckBeforeSync),
    Mutant::Core(Fault::VoteNotPersisted),
    Mutant::Core(Fault::TruncationSkipped),
    Mutant::Core(Fault::StaleTailKept),
    Mutant::NewestVoteRecycled,
    Mutant::UnsyncedFrameTrusted,
    Mutant::Core(Fault::StaleTermAccepted),
    Mutant::Core(Fault::DedupWindowLost),
];
