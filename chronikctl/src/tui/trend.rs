//! How a consumer group does: what it consumes, and whether what it lacks grows.

use std::collections::VecDeque;

/// The last while of one group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trend {
    /// When, how much was consumed in all, and what was missing.
    marks: VecDeque<(u64, i64, i64)>,
    pub(crate) consumed_per_s: f64,
    pub(crate) growth_per_s: f64,
}

const WINDOW_MS: u64 = 30_000;
/// Without anything consumed for so long, a group that lacks something stands still.
const STALLED_AFTER_MS: u64 = 15_000;

impl Trend {
    pub(crate) fn note(&mut self, at_ms: u64, committed: i64, lag: i64) {
        self.marks.push_back((at_ms, committed, lag));
        while self.marks.len() > 2 && self.marks[0].0 + WINDOW_MS < at_ms {
            self.marks.pop_front();
        }
        let (begin, first, before) = self.marks[0];
        let seconds = at_ms.saturating_sub(begin) as f64 / 1000.0;
        if seconds > 0.0 {
            self.consumed_per_s = (committed - first).max(0) as f64 / seconds;
            self.growth_per_s = (lag - before) as f64 / seconds;
        }
    }

    /// It was watched for long enough, and consumed nothing.
    pub(crate) fn is_stalled(&self) -> bool {
        let (Some(first), Some(last)) = (self.marks.front(), self.marks.back()) else {
            return false;
        };
        last.0.saturating_sub(first.0) >= STALLED_AFTER_MS && last.1 == first.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_consumes_less_than_comes_falls_behind() {
        let mut trend = Trend::default();
        trend.note(1_000, 100, 50);
        assert!((trend.consumed_per_s - 0.0).abs() < f64::EPSILON);
        trend.note(11_000, 200, 150);
        assert!((trend.consumed_per_s - 10.0).abs() < 1e-9);
        assert!((trend.growth_per_s - 10.0).abs() < 1e-9);
        assert!(!trend.is_stalled());
    }

    #[test]
    fn a_group_that_consumes_nothing_stands_still() {
        let mut trend = Trend::default();
        (0..4).for_each(|second| trend.note(second * 5_000, 100, 50));
        assert!(trend.is_stalled());
        (4..12).for_each(|second| trend.note(second * 5_000, 100 + second as i64, 50));
        assert!(!trend.is_stalled());
    }
}
