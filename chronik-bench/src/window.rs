//! The stretch of time that counts: known to all threads, set once, on one clock.

use std::sync::atomic::{AtomicU64, Ordering};

const UNKNOWN: u64 = u64::MAX;

/// Half-open, in nanoseconds since the start of the load.
#[derive(Debug)]
pub(crate) struct Window {
    start_ns: AtomicU64,
    end_ns: AtomicU64,
}

/// Whether a message counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Window,
    Outside,
}

impl Window {
    pub(crate) fn fixed(start_ns: u64, end_ns: u64) -> Self {
        Self {
            start_ns: start_ns.into(),
            end_ns: end_ns.into(),
        }
    }

    /// Both ends are decided while the load runs.
    pub(crate) fn undecided() -> Self {
        Self::fixed(UNKNOWN, UNKNOWN)
    }

    /// Opens in the future, so that no message is ever judged by two rules.
    pub(crate) fn open(&self, start_ns: u64, end_ns: u64) {
        self.end_ns.store(end_ns, Ordering::Relaxed);
        self.start_ns.store(start_ns, Ordering::Relaxed);
    }

    pub(crate) fn close(&self, end_ns: u64) {
        self.end_ns.fetch_min(end_ns, Ordering::Relaxed);
    }

    pub(crate) fn start_ns(&self) -> u64 {
        self.start_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn end_ns(&self) -> u64 {
        self.end_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn contains(&self, time_ns: u64) -> bool {
        time_ns >= self.start_ns() && time_ns < self.end_ns()
    }

    pub(crate) fn phase_of(&self, intended_ns: u64) -> Phase {
        match self.contains(intended_ns) {
            true => Phase::Window,
            false => Phase::Outside,
        }
    }
}
