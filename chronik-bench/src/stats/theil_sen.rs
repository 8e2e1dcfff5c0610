//! The slope of a noisy series with its confidence, and whether there is a trend at all.

use super::median;

/// Of the normal distribution, for 95 %.
const Z: f64 = 1.96;
/// Pairs grow with the square; more points than this are thinned out evenly.
const POINTS_MAX: usize = 1_500;

/// Theil-Sen: the median of the slopes of all pairs, with Sen's interval; Mann-Kendall's z beside it.
#[derive(
    Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub(crate) struct Slope {
    pub(crate) low: f64,
    pub(crate) value: f64,
    pub(crate) high: f64,
    /// Beyond 1.96 either way there is a trend.
    pub(crate) kendall_z: f64,
    pub(crate) points: usize,
}

/// `None` for fewer than four points.
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<Slope> {
    let step = points.len().div_ceil(POINTS_MAX).max(1);
    let points: Vec<(f64, f64)> = points.iter().copied().step_by(step).collect();
    let count = points.len();
    if count < 4 {
        return None;
    }
    let mut slopes = Vec::with_capacity(count * (count - 1) / 2);
    let mut concordance = 0i64;
    for (index, first) in points.iter().enumerate() {
        for second in &points[index + 1..] {
            let rise = second.1 - first.1;
            concordance += match rise {
                rise if rise > 0.0 => 1,
                rise if rise < 0.0 => -1,
                _ => 0,
            };
            slopes.push(rise / (second.0 - first.0));
        }
    }
    slopes.sort_by(f64::total_cmp);
    let deviation =
        (count as f64 * (count as f64 - 1.0) * (2.0 * count as f64 + 5.0) / 18.0).sqrt();
    let reach = Z * deviation;
    let pairs = slopes.len() as f64;
    let at = |rank: f64| slopes[(rank.round().max(0.0) as usize).min(slopes.len() - 1)];
    Some(Slope {
        low: at((pairs - reach) / 2.0 - 1.0),
        value: median(&slopes),
        high: at(f64::midpoint(pairs, reach)),
        kendall_z: (concordance - concordance.signum()) as f64 / deviation,
        points: count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(slope: f64, noise: f64, count: usize) -> Vec<(f64, f64)> {
        let mut random = fastrand::Rng::with_seed(9);
        (0..count)
            .map(|minute| {
                let x = minute as f64;
                (x, 200.0 + slope * x + noise * (random.f64() - 0.5))
            })
            .collect()
    }

    #[test]
    fn a_line_has_its_slope() {
        let found = slope(&series(5.0, 0.0, 25)).unwrap();
        assert!((found.value - 5.0).abs() < 1e-9 && found.low > 4.99 && found.high < 5.01);
        assert!(found.kendall_z > 1.96);
    }

    #[test]
    fn a_leak_of_five_megabytes_a_minute_is_found_under_noise() {
        let found = slope(&series(5.0, 60.0, 25)).unwrap();
        assert!(found.low > 1.0, "{found:?}");
    }

    #[test]
    fn noise_alone_is_no_leak() {
        let found = slope(&series(0.0, 60.0, 25)).unwrap();
        assert!(found.low <= 0.0 && found.high >= 0.0, "{found:?}");
        assert!(found.kendall_z.abs() < 1.96);
    }

    #[test]
    fn outliers_do_not_move_it() {
        let mut points = series(0.0, 1.0, 25);
        points[12].1 = 1e9;
        assert!(slope(&points).unwrap().value.abs() < 0.2);
        assert_eq!(slope(&points[..3]), None);
    }
}
