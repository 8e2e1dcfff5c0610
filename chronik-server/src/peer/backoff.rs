//! The pause between two attempts: longer each time, bounded, and different on every node.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::limits::BACKOFF_FIRST;

/// Pauses after failures in a row.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    longest: Duration,
    random: RandomState,
}

impl Backoff {
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            failures: 0,
            longest,
            random: RandomState::new(),
        }
    }

    /// An attempt succeeded.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// An attempt failed: how long to wait, between three quarters and the whole of a time that doubles.
    pub(super) fn next(&mut self) -> Duration {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let whole = BACKOFF_FIRST
            .saturating_mul(1 << doublings)
            .min(self.longest);
        let part = self.random.hash_one(self.failures) % 256;
        whole * 3 / 4 + whole / 4 * u32::try_from(part).expect("a byte") / 256
    }
}
