//! Waiting for an instant: sleep in short slices, then spin where there are cores to spare.

use std::hint;
use std::thread;
use std::time::Duration;

/// Timer slack makes a shorter sleep pointless.
const SLEEP_MIN_NS: u64 = 50_000;
/// A long sleep would overshoot by the scheduler's mood and would see a stop too late.
const SLEEP_MAX_NS: u64 = 500_000;

/// How the last microseconds before an instant are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pacing {
    /// Exact, and costs a core.
    Spin,
    /// Late by some tens of microseconds, and leaves the core to the broker under test.
    Sleep,
}

impl Pacing {
    /// Spends one slice of the time that is left; the caller looks at the clock again.
    pub(crate) fn spend(self, left_ns: u64) {
        if left_ns > SLEEP_MIN_NS {
            // Waking early leaves room for the slack.
            let slice = (left_ns - SLEEP_MIN_NS / 2).min(SLEEP_MAX_NS);
            thread::sleep(Duration::from_nanos(slice));
            return;
        }
        match self {
            Self::Spin => hint::spin_loop(),
            Self::Sleep => thread::sleep(Duration::from_nanos(left_ns)),
        }
    }
}
