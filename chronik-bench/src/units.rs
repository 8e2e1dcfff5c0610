//! Numbers as people write them: `100k`, `50MB`, `100..2k`, `60s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What was written and what would have been understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub(crate) struct UnitError {
    text: String,
    expected: &'static str,
}

/// A load per second, in messages or in payload bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rate {
    Messages(f64),
    Bytes(f64),
}

impl UnitError {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            expected,
        }
    }
}

impl Rate {
    /// Messages per second for messages of this mean size.
    pub(crate) fn messages_per_second(self, mean_bytes: f64) -> f64 {
        match self {
            Self::Messages(rate) => rate,
            Self::Bytes(rate) => rate / mean_bytes,
        }
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError::new(text, "a rate such as 5000, 100k or 50MB");
        let bare = text.trim().trim_end_matches("/s");
        let rate = match bare.strip_suffix(['B', 'b']) {
            Some(bytes) => Self::Bytes(scaled(bytes).ok_or_else(error)?),
            None => Self::Messages(scaled(bare).ok_or_else(error)?),
        };
        let (Self::Messages(value) | Self::Bytes(value)) = rate;
        if value > 0.0 { Ok(rate) } else { Err(error()) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(rate) => write!(f, "{rate} msg/s"),
            Self::Bytes(rate) => write!(f, "{rate} B/s"),
        }
    }
}

/// `100k` is 100,000; `2M` is two million; a trailing `B` is allowed.
pub(crate) fn count(text: &str) -> Result<u64, UnitError> {
    let error = || UnitError::new(text, "a count such as 500, 100k or 2M");
    let value = scaled(text.trim().trim_end_matches(['B', 'b'])).ok_or_else(error)?;
    if value.fract() != 0.0 || !(0.0..=9e15).contains(&value) {
        return Err(error());
    }
    Ok(value as u64)
}

/// `60s`, `30m`, `1h 30m`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, UnitError> {
    let bare_seconds = text
        .parse::<f64>()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    bare_seconds
        .or_else(|| humantime::parse_duration(text).ok())
        .ok_or_else(|| UnitError::new(text, "a duration such as 500ms, 60s or 1h30m"))
}

/// A duration as a person would write it: `12s`, `1m 5s`, `350ms`.
pub(crate) fn spell(duration: Duration) -> String {
    let coarse = match duration.as_secs() {
        0 => Duration::from_millis(duration.as_millis() as u64),
        seconds => Duration::from_secs(seconds),
    };
    humantime::format_duration(coarse).to_string()
}

/// `1234567.8` becomes `1,234,568`.
pub(crate) fn grouped(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if value <= -0.5 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds in the unit that reads best.
pub(crate) fn latency(us: f64) -> String {
    match us {
        us if !us.is_finite() => "-".to_owned(),
        us if us < 1e3 => format!("{us:.0} us"),
        us if us < 1e5 => format!("{:.2} ms", us / 1e3),
        us if us < 1e6 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

fn scaled(text: &str) -> Option<f64> {
    const SCALES: [(&[char], f64); 4] = [
        (&['k', 'K'], 1e3),
        (&['m', 'M'], 1e6),
        (&['g', 'G'], 1e9),
        (&['t', 'T'], 1e12),
    ];
    let text = text.trim().replace(['_', ','], "");
    for (letters, factor) in SCALES {
        if let Some(number) = text.strip_suffix(letters) {
            return Some(number.trim().parse::<f64>().ok()? * factor);
        }
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_messages_or_bytes() {
        assert_eq!("100k".parse(), Ok(Rate::Messages(100_000.0)));
        assert_eq!("2.5k/s".parse(), Ok(Rate::Messages(2_500.0)));
        assert_eq!("50MB".parse(), Ok(Rate::Bytes(50e6)));
        assert_eq!(Rate::Bytes(50e6).messages_per_second(1_000.0), 50_000.0);
        for wrong in ["", "fast", "0", "-3k", "NaN", "k"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_are_whole() {
        assert_eq!(count("2k"), Ok(2_000));
        assert_eq!(count("1GB"), Ok(1_000_000_000));
        assert!(count("1.5").is_err());
        assert!(count("-1").is_err());
    }

    #[test]
    fn durations_may_be_bare_seconds() {
        assert_eq!(duration("60"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert!(duration("soon").is_err());
        assert!(duration("-1").is_err());
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(1_234_567.8), "1,234,568");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(-1_000.0), "-1,000");
        assert_eq!(latency(640.0), "640 us");
        assert_eq!(latency(12_345.0), "12.35 ms");
        assert_eq!(latency(1_500_000.0), "1.50 s");
    }
}
