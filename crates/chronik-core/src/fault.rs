//! Faults that the simulator plants to prove that it would notice them. A program built without the `simulation`
//! feature cannot plant any.

/// A mistake that a replicated log must never make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Promises leave before what they promise is on disk.
    AckBeforeSync,
    /// A vote is cast and not written.
    VoteNotPersisted,
    /// Messages of an older term are taken for messages of this one.
    StaleTermAccepted,
    /// Entries are replaced, but what they taught about producers stays.
    TruncationSkipped,
    /// A snapshot is installed, and entries above it that it should have killed come back with a restart.
    StaleTailKept,
    /// Who wrote what is forgotten when a snapshot is installed.
    DedupWindowLost,
}

/// Which fault is planted here: none, unless the simulator says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Planted {
    #[cfg(feature = "simulation")]
    fault: Option<Fault>,
}

impl Planted {
    #[cfg(feature = "simulation")]
    pub fn new(fault: Fault) -> Planted {
        Planted { fault: Some(fault) }
    }

    pub(crate) fn is(self, fault: Fault) -> bool {
        #[cfg(feature = "simulation")]
        let planted = self.fault == Some(fault);
        #[cfg(not(feature = "simulation"))]
        let planted = {
            let _ = fault;
            false
        };
        planted
    }
}
