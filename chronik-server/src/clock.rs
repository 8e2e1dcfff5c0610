//! The wall clock, read at the few doors that need it: timestamps and retention. Nothing else is timed by it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, as Kafka counts.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one reader of the wall clock"
)]
pub fn wall_ms() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
