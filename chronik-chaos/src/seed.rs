//! Independent streams of chance from one seed: dropping one event or client does not reshuffle the others.

/// A stream of numbers that depends on the run's seed and the stream's own name, and on nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    state: u64,
}

/// The odd constant of SplitMix64: the golden ratio in 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Stream {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let mut stream = Self { state: seed };
        for byte in name.bytes() {
            stream.state = stream.state.wrapping_add(u64::from(byte));
            stream.state = stream.next();
        }
        stream
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero; the bias of the remainder is far below what a test can see.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        self.next() % bound
    }

    /// A number from 0 up to, but not including, 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The waiting time to the next of events that happen every `mean` on average.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.fraction()).ln()
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        if choices.is_empty() {
            return None;
        }
        choices.get(self.below(choices.len() as u64) as usize)
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// A seed nobody chose, for runs that name none.
pub(crate) fn fresh() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // The standard library keys every hash map anew from the kernel's random numbers.
    RandomState::new().hash_one(std::process::id()) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_repeatable_and_independent() {
        let numbers = |seed, name| {
            let mut stream = Stream::new(seed, name);
            (0..4).map(|_| stream.next()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1, "schedule"), numbers(1, "schedule"));
        assert_ne!(numbers(1, "schedule"), numbers(1, "client"));
        assert_ne!(numbers(1, "schedule"), numbers(2, "schedule"));
    }

    #[test]
    fn waiting_times_have_their_mean() {
        let mut stream = Stream::new(3, "waits");
        let sum: f64 = (0..20_000).map(|_| stream.exponential(6.0)).sum();
        assert!((sum / 20_000.0 - 6.0).abs() < 0.2);
    }
}
