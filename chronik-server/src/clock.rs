//! The wall clock, read at the few doors that need it: timestamps and retention. Nothing else is timed by it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chronik_fault::{Fault, Planted};

use crate::chaos::clock_offset_ms;

/// Milliseconds since 1970, as Kafka counts.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one reader of the wall clock"
)]
pub fn wall_ms() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    ms.saturating_add(clock_offset_ms())
}

/// The time that timers go by, which nobody can set.
pub fn now(planted: Planted) -> Instant {
    let now = Instant::now();
    if !planted.is(Fault::TimersByWallClock) {
        return now;
    }
    let offset_ms = clock_offset_ms();
    let offset = Duration::from_millis(offset_ms.unsigned_abs());
    let moved = match offset_ms < 0 {
        true => now.checked_sub(offset),
        false => now.checked_add(offset),
    };
    moved.unwrap_or(now)
}
