//! So many bytes in a second: whether somebody may send now, and if not, when. Time comes in as milliseconds.

/// A budget that fills with time. Whoever sends while there is any may overdraw it, and the next one waits for longer:
/// so messages of any size pass, and no more bytes than the rate over any longer while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    bytes_per_second: Option<u64>,
    as_of_ms: u64,
    /// Thousandths of a byte, so that nothing is lost by rounding.
    credit: i64,
}

/// What was not sent for a while is not made up for by a burst that is longer than this.
const BURST_MS: i64 = 100;

impl Throttle {
    pub fn bytes_per_second(&self) -> Option<u64> {
        self.bytes_per_second
    }

    /// Another rate from now on; none is no limit. What was overdrawn is paid back at the new rate.
    pub fn limit(&mut self, now_ms: u64, bytes_per_second: Option<u64>) {
        if self.bytes_per_second == bytes_per_second {
            return;
        }
        self.fill(now_ms);
        if self.bytes_per_second.is_none() {
            self.credit = 0;
        }
        self.bytes_per_second = bytes_per_second;
    }

    /// Whether the next message may leave.
    pub fn is_open(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.bytes_per_second.is_none() || self.credit > 0
    }

    /// So many bytes left.
    pub fn spend(&mut self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.credit = self.credit.saturating_sub(bytes.saturating_mul(1000));
    }

    /// For how long it stays shut; none if it never opens again by itself.
    pub fn opens_in_ms(&self) -> Option<u64> {
        let missing = self.credit.saturating_neg();
        match self.bytes_per_second {
            None => Some(0),
            Some(0) => None,
            Some(_) if missing < 0 => Some(0),
            Some(rate) => Some(missing.unsigned_abs() / rate + 1),
        }
    }

    fn fill(&mut self, now_ms: u64) {
        let elapsed = now_ms.saturating_sub(self.as_of_ms);
        self.as_of_ms = self.as_of_ms.max(now_ms);
        let Some(rate) = self.bytes_per_second else {
            return;
        };
        let rate = i64::try_from(rate).unwrap_or(i64::MAX);
        let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
        let most = rate.saturating_mul(BURST_MS);
        self.credit = self
            .credit
            .saturating_add(rate.saturating_mul(elapsed))
            .min(most);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_a_limit_it_is_always_open() {
        let mut throttle = Throttle::default();
        throttle.spend(u64::MAX);
        assert!(throttle.is_open(0));
        assert_eq!(throttle.opens_in_ms(), Some(0));
        // What left without a limit is no debt under one.
        throttle.limit(5, Some(1000));
        assert!(throttle.is_open(6));
    }

    #[test]
    fn a_message_that_overdraws_makes_the_next_one_wait() {
        let mut throttle = Throttle::default();
        throttle.limit(0, Some(1000));
        assert!(!throttle.is_open(0));
        assert_eq!(throttle.opens_in_ms(), Some(1));
        assert!(throttle.is_open(1));
        throttle.spend(2001);
        assert!(!throttle.is_open(2000));
        assert_eq!(throttle.opens_in_ms(), Some(2));
        assert!(throttle.is_open(2002));
        // A long silence is no reason for a burst.
        assert!(throttle.is_open(1_000_000));
        throttle.spend(101);
        assert!(!throttle.is_open(1_000_000));
        throttle.limit(1_000_000, Some(0));
        assert_eq!(throttle.opens_in_ms(), None);
    }

    proptest! {
        #[test]
        fn no_more_passes_than_the_rate_allows(
            rate in 1u64..1 << 30,
            steps in prop::collection::vec((0u64..3000, 1u64..1 << 20), 1..200),
        ) {
            let mut throttle = Throttle::default();
            throttle.limit(0, Some(rate));
            let (mut now_ms, mut passed, mut last) = (0, 0, 0);
            for (pause_ms, bytes) in steps {
                now_ms += pause_ms;
                if throttle.is_open(now_ms) {
                    throttle.spend(bytes);
                    passed += bytes;
                    last = bytes;
                } else {
                    // It says to the millisecond when it opens.
                    let opens = now_ms + throttle.opens_in_ms().unwrap();
                    prop_assert!(!throttle.clone().is_open(opens - 1));
                    prop_assert!(throttle.clone().is_open(opens));
                }
                let most = rate as u128 * u128::from(now_ms) / 1000 + u128::from(last);
                prop_assert!(u128::from(passed) <= most, "{passed} of {most}");
            }
        }
    }
}
