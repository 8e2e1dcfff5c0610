//! Which key a message carries, and with that its partition: none, in turn, uniform, Zipf, or one hot key.

use std::str::FromStr;

use crate::units::{self, UnitError};

const EXPECTED: &str =
    "a key distribution: none, seq, random:N, zipf:S,N or hot:P (P between 0 and 1)";
/// Keys drawn in advance; the send loop only walks through them.
const DRAWN: usize = 1 << 16;
const KEYS_MAX: u64 = 10_000_000;
/// The hot key's companions.
const COLD_KEYS: u64 = 10_000;

/// A distribution of keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum KeySpec {
    None,
    /// Every message has a key of its own.
    Sequence,
    Random {
        keys: u64,
    },
    Zipf {
        exponent: f64,
        keys: u64,
    },
    /// One key gets this share of all messages.
    Hot {
        share: f64,
    },
}

/// A row of keys, walked in a circle.
#[derive(Debug)]
pub(crate) struct Keys {
    drawn: Vec<u64>,
    at: usize,
    sequence: Option<u64>,
    bytes: [u8; 8],
}

impl Keys {
    pub(crate) fn new(spec: KeySpec, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let drawn = match spec {
            KeySpec::None | KeySpec::Sequence => Vec::new(),
            KeySpec::Random { keys } => draw(|| random.u64(0..keys)),
            KeySpec::Hot { share } => draw(|| match random.f64() < share {
                true => 0,
                false => random.u64(1..=COLD_KEYS),
            }),
            KeySpec::Zipf { exponent, keys } => {
                let cumulative = zipf(exponent, keys);
                let total = cumulative.last().copied().unwrap_or(1.0);
                draw(|| {
                    let at = random.f64() * total;
                    cumulative.partition_point(|below| *below <= at) as u64
                })
            }
        };
        Self {
            drawn,
            at: 0,
            // Senders start far apart, so that no two of them use the same keys.
            sequence: (spec == KeySpec::Sequence).then_some(seed << 40),
            bytes: [0; 8],
        }
    }

    /// The key of the next message.
    pub(crate) fn next_key(&mut self) -> Option<&[u8]> {
        let key = match (&mut self.sequence, self.drawn.len()) {
            (Some(next), _) => {
                *next = next.wrapping_add(1);
                *next
            }
            (None, 0) => return None,
            (None, length) => {
                self.at = (self.at + 1) % length;
                self.drawn[self.at]
            }
        };
        self.bytes = key.to_be_bytes();
        Some(&self.bytes)
    }
}

impl FromStr for KeySpec {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let parse = || -> Option<Self> {
            let (name, rest) = text.split_once(':').unwrap_or((text, ""));
            let keys = |text: &str| {
                let keys = units::count(text).ok()?;
                (1..=KEYS_MAX).contains(&keys).then_some(keys)
            };
            match name {
                "none" => Some(Self::None),
                "seq" => Some(Self::Sequence),
                "random" => Some(Self::Random { keys: keys(rest)? }),
                "zipf" => {
                    let (exponent, count) = rest.split_once(',')?;
                    let exponent: f64 = exponent.trim().parse().ok()?;
                    let keys = keys(count)?;
                    (0.0..=10.0)
                        .contains(&exponent)
                        .then_some(Self::Zipf { exponent, keys })
                }
                "hot" => {
                    let share: f64 = rest.parse().ok()?;
                    (0.0..=1.0).contains(&share).then_some(Self::Hot { share })
                }
                _ => None,
            }
        };
        parse().ok_or_else(|| UnitError::new(text, EXPECTED))
    }
}

fn draw(mut one: impl FnMut() -> u64) -> Vec<u64> {
    (0..DRAWN).map(|_| one()).collect()
}

/// Cumulative weights `1 / rank^exponent`.
fn zipf(exponent: f64, keys: u64) -> Vec<f64> {
    let mut sum = 0.0;
    (1..=keys)
        .map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn counts(spec: &str, draws: usize) -> HashMap<Vec<u8>, usize> {
        let mut keys = Keys::new(spec.parse().unwrap(), 5);
        let mut counts = HashMap::new();
        for _ in 0..draws {
            *counts.entry(keys.next_key().unwrap().to_vec()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn no_key_is_no_key() {
        assert_eq!(Keys::new(KeySpec::None, 1).next_key(), None);
    }

    #[test]
    fn sequences_never_repeat() {
        assert_eq!(counts("seq", 10_000).len(), 10_000);
    }

    #[test]
    fn shares_are_as_asked_for() {
        let hot = counts("hot:0.3", 60_000);
        let share = hot[&vec![0; 8]] as f64 / 60_000.0;
        assert!((share - 0.3).abs() < 0.02, "{share}");
        assert_eq!(counts("random:10", 60_000).len(), 10);
        let zipf = counts("zipf:1,1000", 60_000);
        let first = zipf[&vec![0; 8]] as f64;
        let second = zipf[&1u64.to_be_bytes().to_vec()] as f64;
        assert!((first / second - 2.0).abs() < 0.3, "{first} {second}");
    }

    #[test]
    fn wrong_words_are_refused() {
        for wrong in [
            "",
            "random:0",
            "random",
            "zipf:1",
            "zipf:-1,5",
            "hot:2",
            "some",
        ] {
            assert!(wrong.parse::<KeySpec>().is_err(), "{wrong}");
        }
    }
}
