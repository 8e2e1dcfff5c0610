//! Where a history changes: E-divisive means splits where the energy distance is largest, if chance does not explain it.

const PERMUTATIONS: usize = 199;
const SIGNIFICANCE: f64 = 0.01;
/// Shorter stretches than this are no regime of their own.
const SEGMENT_MIN: usize = 4;
const SEED: u64 = 0x6564_6976;

/// Indices at which a new regime begins, ascending.
pub(crate) fn change_points(values: &[f64]) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut found = Vec::new();
    split(values, 0, &mut random, &mut found);
    found.sort_unstable();
    found
}

fn split(values: &[f64], offset: usize, random: &mut fastrand::Rng, found: &mut Vec<usize>) {
    let Some((at, statistic)) = best_split(values) else {
        return;
    };
    let mut shuffled = values.to_vec();
    let as_large = (0..PERMUTATIONS)
        .filter(|_| {
            random.shuffle(&mut shuffled);
            best_split(&shuffled).is_some_and(|(_, by_chance)| by_chance >= statistic)
        })
        .count();
    let p = (as_large + 1) as f64 / (PERMUTATIONS + 1) as f64;
    if p > SIGNIFICANCE {
        return;
    }
    found.push(offset + at);
    split(&values[..at], offset, random, found);
    split(&values[at..], offset + at, random, found);
}

/// The split with the largest scaled energy distance between its sides.
fn best_split(values: &[f64]) -> Option<(usize, f64)> {
    let count = values.len();
    if count < 2 * SEGMENT_MIN {
        return None;
    }
    // Sums of distances: within the left side, within the right side, across; moved along one value at a time.
    let distance_sum = |value: f64, others: &[f64]| -> f64 {
        others.iter().map(|other| (value - other).abs()).sum()
    };
    let mut left = 0.0;
    let mut right: f64 = (0..count)
        .map(|index| distance_sum(values[index], &values[index + 1..]))
        .sum();
    let mut across = 0.0;
    let mut best: Option<(usize, f64)> = None;
    for at in 1..count {
        let moved = values[at - 1];
        let to_left = distance_sum(moved, &values[..at - 1]);
        let to_right = distance_sum(moved, &values[at..]);
        left += to_left;
        right -= to_right;
        across += to_right - to_left;
        if at < SEGMENT_MIN || count - at < SEGMENT_MIN {
            continue;
        }
        let (n, m) = (at as f64, (count - at) as f64);
        let energy =
            2.0 * across / (n * m) - left * 2.0 / (n * (n - 1.0)) - right * 2.0 / (m * (m - 1.0));
        let scaled = energy * n * m / (n + m);
        if best.is_none_or(|(_, largest)| scaled > largest) {
            best = Some((at, scaled));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(levels: &[(f64, usize)]) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(4);
        levels
            .iter()
            .flat_map(|(level, count)| {
                (0..*count)
                    .map(|_| level * (1.0 + 0.02 * (random.f64() - 0.5)))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let found = change_points(&noisy(&[(100.0, 15), (95.0, 15)]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!((14..=16).contains(&found[0]), "{found:?}");
    }

    #[test]
    fn two_steps_are_found() {
        let found = change_points(&noisy(&[(100.0, 12), (90.0, 12), (80.0, 12)]));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn noise_alone_has_no_steps() {
        assert!(change_points(&noisy(&[(100.0, 40)])).is_empty());
        assert!(change_points(&[1.0, 2.0]).is_empty());
    }
}
