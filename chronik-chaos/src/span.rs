//! Durations as people write them: `15s`, `200ms`, `1.5s`, `8h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration with its unit, in files and on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Span(pub(crate) Duration);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration; write a number and a unit: 200ms, 15s, 10m, 8h")]
pub(crate) struct NoSpan(String);

/// Units with their nanoseconds; longer names first, so that `ms` is not read as minutes.
const UNITS: [(&str, f64); 6] = [
    ("us", 1e3),
    ("ms", 1e6),
    ("ns", 1.0),
    ("s", 1e9),
    ("m", 6e10),
    ("h", 3.6e12),
];

impl Span {
    pub(crate) fn ns(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) const fn from_ms(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }
}

impl FromStr for Span {
    type Err = NoSpan;

    fn from_str(text: &str) -> Result<Self, NoSpan> {
        let refused = || NoSpan(text.to_owned());
        let trimmed = text.trim();
        let unit = UNITS.iter().find(|(unit, _)| trimmed.ends_with(unit));
        let (unit, unit_ns) = unit.ok_or_else(refused)?;
        let number = trimmed[..trimmed.len() - unit.len()].trim_end();
        let number: f64 = number.parse().map_err(|_| refused())?;
        let ns = number * unit_ns;
        if !(0.0..=1e18).contains(&ns) {
            return Err(refused());
        }
        Ok(Self(Duration::from_nanos(ns.round() as u64)))
    }
}

impl TryFrom<String> for Span {
    type Error = NoSpan;

    fn try_from(text: String) -> Result<Self, NoSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.ns();
        let exact = [
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("us", 1_000),
        ];
        for (unit, unit_ns) in exact {
            if ns != 0 && ns.is_multiple_of(unit_ns) {
                return write!(f, "{}{unit}", ns / unit_ns);
            }
        }
        write!(f, "{ns}ns")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_are_read_as_written() {
        let rows = [
            ("15s", 15_000),
            ("200ms", 200),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("0s", 0),
        ];
        for (text, ms) in rows {
            assert_eq!(text.parse(), Ok(Span::from_ms(ms)), "{text}");
        }
        for text in ["", "5", "s", "-1s", "5 parsecs", "1e99h"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn spans_come_back(ns in 0u64..1_000_000_000_000) {
            let span = Span(Duration::from_nanos(ns));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,20}") {
            let _ = text.parse::<Span>();
        }
    }
}
