//! Resampling of runs: how sure is a ratio of medians?

use super::median;

const RESAMPLES: usize = 10_000;
const SEED: u64 = 0x6368_726f_6e69_6b21;

/// A ratio with its 95 % interval.
#[derive(
    Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) value: f64,
    pub(crate) high: f64,
}

impl Interval {
    /// Of nothing.
    pub(crate) fn unknown() -> Self {
        Self {
            low: f64::NAN,
            value: f64::NAN,
            high: f64::NAN,
        }
    }

    pub(crate) fn excludes(&self, value: f64) -> bool {
        self.low > value || self.high < value
    }
}

/// Median of the candidate over median of the base. Whole runs are drawn, because messages of one run resemble each other.
pub(crate) fn ratio_of_medians(base: &[f64], candidate: &[f64]) -> Interval {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut draw = |values: &[f64]| {
        let drawn: Vec<f64> = (0..values.len())
            .map(|_| values[random.usize(0..values.len())])
            .collect();
        median(&drawn)
    };
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| draw(candidate) / draw(base))
        .collect();
    ratios.sort_by(f64::total_cmp);
    Interval {
        low: ratios[RESAMPLES / 40],
        value: median(candidate) / median(base),
        high: ratios[RESAMPLES - 1 - RESAMPLES / 40],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_groups_include_one() {
        let base = [100.0, 102.0, 98.0, 101.0, 99.0];
        let interval = ratio_of_medians(&base, &base);
        assert_eq!(interval.value, 1.0);
        assert!(!interval.excludes(1.0), "{interval:?}");
    }

    #[test]
    fn a_clear_difference_excludes_one() {
        let base = [100.0, 102.0, 98.0, 101.0, 99.0];
        let slower = base.map(|value| value * 0.9);
        let interval = ratio_of_medians(&base, &slower);
        assert!(interval.excludes(1.0), "{interval:?}");
        assert!((interval.value - 0.9).abs() < 1e-9);
    }

    #[test]
    fn noise_widens_the_interval() {
        let base = [100.0, 140.0, 60.0, 120.0, 80.0];
        let candidate = base.map(|value| value * 0.95);
        assert!(!ratio_of_medians(&base, &candidate).excludes(1.0));
    }
}
