//! Statistics that verdicts stand on: pure functions with tests against known answers.

mod bootstrap;
mod e_divisive;
mod theil_sen;

pub(crate) use bootstrap::{Interval, ratio_of_medians};
pub(crate) use e_divisive::change_points;
pub(crate) use theil_sen::{Slope, slope};

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of a sample, so divided by one less than its length.
pub(crate) fn standard_deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

/// Standard deviation over mean; infinite for a mean of zero.
pub(crate) fn variation(values: &[f64]) -> f64 {
    match mean(values) {
        0.0 => f64::INFINITY,
        mean => standard_deviation(values) / mean,
    }
}

/// The middle value; of two middle ones the mean. Not a number without values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 0 => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
        length => sorted[length / 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles_and_spreads() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!(
            standard_deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).round(),
            2.0
        );
        assert!(variation(&[0.0, 0.0]).is_infinite());
    }
}
