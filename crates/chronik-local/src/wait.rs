//! Waits for conditions of other processes: every wait has a name and a bound.

use std::thread;
use std::time::{Duration, Instant};

/// How often a condition of another process is looked at; it costs a syscall or two, so a millisecond is cheap.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The condition did not come true within its bound.
#[derive(Debug, thiserror::Error)]
#[error("waited {bound:?} for {condition}")]
pub struct TimedOut {
    pub condition: &'static str,
    pub bound: Duration,
}

/// Looks until `look` finds something; the last look happens after the bound has passed.
pub fn until<T>(
    condition: &'static str,
    bound: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, TimedOut> {
    let start = Instant::now();
    loop {
        let is_last_look = start.elapsed() >= bound;
        if let Some(found) = look() {
            return Ok(found);
        }
        if is_last_look {
            return Err(TimedOut { condition, bound });
        }
        thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_comes_true_is_found() {
        let mut looks = 0;
        let found = until("three looks", Duration::from_secs(5), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found.unwrap(), 3);
    }

    #[test]
    fn a_condition_that_never_comes_true_is_named() {
        let never = until("the impossible", Duration::ZERO, || None::<()>);
        assert_eq!(
            never.unwrap_err().to_string(),
            "waited 0ns for the impossible"
        );
    }
}
