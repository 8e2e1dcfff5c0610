//! The intended send times of one sender, out of a schedule that all senders share.

use super::Profile;

/// How messages are spread around the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arrival {
    /// Equal distances
    Uniform,
    /// Independent of each other, as many users would be
    Poisson,
}

/// An endless, seeded row of instants in nanoseconds since the start of the load.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    profile: Profile,
    arrival: Arrival,
    stride: f64,
    position: f64,
    random: fastrand::Rng,
}

impl Schedule {
    /// Sender `index` of `count` takes every `count`-th message, so that together they keep the schedule exactly.
    pub(crate) fn new(
        profile: Profile,
        arrival: Arrival,
        index: u32,
        count: u32,
        seed: u64,
    ) -> Self {
        let mut schedule = Self {
            profile,
            arrival,
            stride: f64::from(count),
            position: f64::from(index),
            random: fastrand::Rng::with_seed(seed.wrapping_add(u64::from(index))),
        };
        if arrival == Arrival::Poisson {
            schedule.position = schedule.gap();
        }
        schedule
    }

    /// The next instant.
    pub(crate) fn next_ns(&mut self) -> u64 {
        let instant = self.profile.time_ns_of(self.position);
        self.position += self.gap();
        instant
    }

    fn gap(&mut self) -> f64 {
        match self.arrival {
            Arrival::Uniform => self.stride,
            // 1 - u is never zero, so the logarithm is finite.
            Arrival::Poisson => -(1.0 - self.random.f64()).ln() * self.stride,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_share_one_uniform_schedule() {
        let mut instants: Vec<u64> = (0..3)
            .flat_map(|index| {
                let profile = Profile::constant(1_000.0);
                let mut schedule = Schedule::new(profile, Arrival::Uniform, index, 3, 1);
                (0..100).map(|_| schedule.next_ns()).collect::<Vec<_>>()
            })
            .collect();
        instants.sort_unstable();
        let expected: Vec<u64> = (0..300).map(|number| number * 1_000_000).collect();
        assert_eq!(instants, expected);
    }

    #[test]
    fn poisson_keeps_the_rate_and_spreads_the_gaps() {
        let profile = Profile::constant(1_000.0);
        let mut schedule = Schedule::new(profile, Arrival::Poisson, 0, 1, 7);
        let instants: Vec<u64> = (0..100_000).map(|_| schedule.next_ns()).collect();
        let seconds = *instants.last().unwrap() as f64 / 1e9;
        assert!((seconds - 100.0).abs() < 1.5, "{seconds}");
        let gaps: Vec<f64> = instants
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as f64 / 1e6)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // The standard deviation of an exponential gap is its mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.03);
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let row = |seed| {
            let profile = Profile::constant(50.0);
            let mut schedule = Schedule::new(profile, Arrival::Poisson, 1, 4, seed);
            (0..50).map(|_| schedule.next_ns()).collect::<Vec<_>>()
        };
        assert_eq!(row(3), row(3));
        assert_ne!(row(3), row(4));
    }
}
