//! What a verdict is as a number; scripts and nightly runs rely on it.

use serde::{Deserialize, Serialize};

/// The meaning of an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Exit {
    Pass,
    /// A regression or a missed goal, confirmed.
    Fail,
    Usage,
    CouldNotRun,
    Inconclusive,
    /// Records were lost, repeated, reordered or altered.
    Integrity,
    /// The numbers cannot be trusted.
    Invalid,
    Interrupted,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::CouldNotRun => 3,
            Self::Inconclusive => 4,
            Self::Integrity => 5,
            Self::Invalid => 6,
            Self::Interrupted => 130,
        }
    }

    /// For a reader who does not know the numbers.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pass => "valid",
            Self::Fail => "missed",
            Self::Usage | Self::CouldNotRun => "could not run",
            Self::Inconclusive => "inconclusive",
            Self::Integrity => "records lost or altered",
            Self::Invalid => "invalid measurement",
            Self::Interrupted => "incomplete",
        }
    }

    /// Of two outcomes the one that must not be missed: lost records before wrong numbers before slow ones.
    #[must_use]
    pub(crate) fn worst(self, other: Self) -> Self {
        if self.gravity() >= other.gravity() {
            self
        } else {
            other
        }
    }

    fn gravity(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Interrupted => 1,
            Self::Inconclusive => 2,
            Self::Fail => 3,
            Self::Invalid => 4,
            Self::Integrity => 5,
            Self::CouldNotRun => 6,
            Self::Usage => 7,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_wins() {
        let order = [
            Exit::Integrity,
            Exit::Invalid,
            Exit::Fail,
            Exit::Inconclusive,
            Exit::Pass,
        ];
        for pair in order.windows(2) {
            assert_eq!(pair[0].worst(pair[1]), pair[0]);
            assert_eq!(pair[1].worst(pair[0]), pair[0]);
        }
    }
}
