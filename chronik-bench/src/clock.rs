//! One monotonic clock for all threads of a run, and the wall clock read once at the door.

use std::time::{Instant, SystemTime};

/// Nanoseconds since the start of a run. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    wall_origin: SystemTime,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
            wall_origin: wall_now(),
        }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    pub(crate) fn wall_origin(&self) -> SystemTime {
        self.wall_origin
    }

    /// How far wall and monotonic time have drifted apart: a stepped clock makes every timestamp suspect.
    pub(crate) fn drift_us(&self) -> f64 {
        let monotonic = self.origin.elapsed();
        let wall = wall_now()
            .duration_since(self.wall_origin)
            .unwrap_or_default();
        (wall.as_secs_f64() - monotonic.as_secs_f64()) * 1e6
    }
}

/// The wall clock, for names and timestamps only.
#[expect(
    clippy::disallowed_methods,
    reason = "results say when they were made; nothing is measured with it"
)]
pub(crate) fn wall_now() -> SystemTime {
    SystemTime::now()
}

/// `2026-11-21T15:04:05Z`.
pub(crate) fn utc(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// `20261121T150405Z`, which sorts and needs no quoting in a file name.
pub(crate) fn utc_compact(time: SystemTime) -> String {
    utc(time).replace(['-', ':'], "")
}
