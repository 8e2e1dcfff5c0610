//! How the rate changes over time: constant, steps, ramps, bursts; each is a row of linear segments.

use std::str::FromStr;

use crate::units::{self, Rate, UnitError};

const NS_PER_SECOND: f64 = 1e9;

/// Piecewise linear rate in messages per second; after the last segment its end rate stays.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profile {
    segments: Vec<Segment>,
    /// Bursts begin again at the first segment instead of holding the last rate.
    repeats: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Segment {
    seconds: f64,
    start_rate: f64,
    end_rate: f64,
}

/// Steps are linear segments with equal ends, so text is all that differs between them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProfileText {
    parts: Vec<(f64, Rate, Rate)>,
    repeats: bool,
}

impl Profile {
    pub(crate) fn constant(rate: f64) -> Self {
        Self {
            segments: vec![Segment {
                seconds: f64::INFINITY,
                start_rate: rate,
                end_rate: rate,
            }],
            repeats: false,
        }
    }

    /// The instant at which `position` messages (a real number) have been due.
    pub(crate) fn time_ns_of(&self, position: f64) -> u64 {
        let mut left = position;
        let mut begin_seconds = 0.0;
        if self.repeats {
            let (round_messages, round_seconds) = self.round();
            let rounds = (position / round_messages).floor();
            left -= rounds * round_messages;
            begin_seconds = rounds * round_seconds;
        }
        for segment in &self.segments {
            let messages = segment.messages();
            if left < messages || messages.is_infinite() {
                return as_ns(begin_seconds + segment.seconds_until(left));
            }
            left -= messages;
            begin_seconds += segment.seconds;
        }
        let last_rate = self
            .segments
            .last()
            .expect("a profile has a segment")
            .end_rate;
        as_ns(begin_seconds + left / last_rate)
    }

    /// The rate at an instant, for reports.
    pub(crate) fn rate_at(&self, time_ns: u64) -> f64 {
        let mut seconds = time_ns as f64 / NS_PER_SECOND;
        if self.repeats {
            seconds %= self.round().1;
        }
        for segment in &self.segments {
            if seconds < segment.seconds {
                let share = match segment.seconds.is_finite() {
                    true => seconds / segment.seconds,
                    false => 0.0,
                };
                return segment.start_rate + (segment.end_rate - segment.start_rate) * share;
            }
            seconds -= segment.seconds;
        }
        self.segments.last().map_or(0.0, |segment| segment.end_rate)
    }

    fn round(&self) -> (f64, f64) {
        let messages = self.segments.iter().map(Segment::messages).sum();
        let seconds = self.segments.iter().map(|segment| segment.seconds).sum();
        (messages, seconds)
    }
}

impl Segment {
    fn messages(&self) -> f64 {
        self.seconds * f64::midpoint(self.start_rate, self.end_rate)
    }

    /// Seconds from the segment's start until `messages` are due: the root of a quadratic, or a division.
    fn seconds_until(&self, messages: f64) -> f64 {
        let slope = match self.seconds.is_finite() {
            true => (self.end_rate - self.start_rate) / self.seconds,
            false => 0.0,
        };
        if slope == 0.0 {
            return messages / self.start_rate;
        }
        let root = (self.start_rate * self.start_rate + 2.0 * slope * messages)
            .max(0.0)
            .sqrt();
        // The stable form of the root: no difference of two near-equal numbers.
        2.0 * messages / (self.start_rate + root)
    }
}

impl ProfileText {
    pub(crate) fn profile(&self, mean_bytes: f64) -> Profile {
        let segments = self.parts.iter().map(|(seconds, start, end)| Segment {
            seconds: *seconds,
            start_rate: start.messages_per_second(mean_bytes),
            end_rate: end.messages_per_second(mean_bytes),
        });
        Profile {
            segments: segments.collect(),
            repeats: self.repeats,
        }
    }
}

impl FromStr for ProfileText {
    type Err = UnitError;

    /// `step:10k@30s,20k@30s`, `ramp:10k..100k@60s` or `burst:10k@9s,100k@1s`.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        const EXPECTED: &str =
            "a profile such as step:10k@30s,20k@30s, ramp:10k..100k@60s or burst:10k@9s,100k@1s";
        let error = || UnitError::new(text, EXPECTED);
        let (kind, rest) = text.split_once(':').ok_or_else(error)?;
        if !["step", "ramp", "burst"].contains(&kind) {
            return Err(error());
        }
        let mut parts = Vec::new();
        for part in rest.split(',') {
            let (rates, time) = part.split_once('@').ok_or_else(error)?;
            let seconds = units::duration(time)?.as_secs_f64();
            let (start, end) = rates.split_once("..").unwrap_or((rates, rates));
            if seconds <= 0.0 {
                return Err(error());
            }
            parts.push((seconds, start.parse()?, end.parse()?));
        }
        Ok(Self {
            parts,
            repeats: kind == "burst",
        })
    }
}

fn as_ns(seconds: f64) -> u64 {
    (seconds * NS_PER_SECOND).round() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn profile(text: &str) -> Profile {
        text.parse::<ProfileText>().unwrap().profile(1_000.0)
    }

    #[test]
    fn a_constant_rate_is_exact() {
        let constant = Profile::constant(10_000.0);
        assert_eq!(constant.time_ns_of(0.0), 0);
        assert_eq!(constant.time_ns_of(1.0), 100_000);
        assert_eq!(constant.time_ns_of(864_000_000.0), 86_400_000_000_000);
    }

    #[test]
    fn steps_follow_each_other_and_the_last_one_stays() {
        let steps = profile("step:10@1s,100@1s");
        assert_eq!(steps.time_ns_of(5.0), 500_000_000);
        assert_eq!(steps.time_ns_of(10.0), 1_000_000_000);
        assert_eq!(steps.time_ns_of(60.0), 1_500_000_000);
        assert_eq!(steps.time_ns_of(210.0), 3_000_000_000);
        assert_eq!(steps.rate_at(500_000_000), 10.0);
        assert_eq!(steps.rate_at(9_000_000_000), 100.0);
    }

    #[test]
    fn a_ramp_is_the_inverse_of_its_integral() {
        let ramp = profile("ramp:0.000001..200@10s");
        // 200/s after 10 s means 1,000 messages, a quarter of them in the first half.
        assert_eq!(ramp.time_ns_of(250.0) / 1_000_000, 4_999);
        assert_eq!(ramp.rate_at(5_000_000_000).round(), 100.0);
    }

    #[test]
    fn bursts_repeat() {
        let burst = profile("burst:10@9s,100@1s");
        assert_eq!(burst.time_ns_of(90.0), 9_000_000_000);
        assert_eq!(burst.time_ns_of(190.0), 10_000_000_000);
        assert_eq!(burst.time_ns_of(200.0), 11_000_000_000);
        assert_eq!(burst.rate_at(19_500_000_000), 100.0);
    }

    #[test]
    fn bytes_become_messages() {
        assert_eq!(profile("step:1MB@1s").rate_at(0), 1_000.0);
        for wrong in [
            "",
            "step:",
            "step:10",
            "ramp:1..2@0s",
            "saw:1@1s",
            "step:1@soon",
        ] {
            assert!(wrong.parse::<ProfileText>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn time_never_runs_backwards(
            rates in proptest::collection::vec((1.0..1e6f64, 1.0..1e6f64, 0.01..20.0f64), 1..5),
            repeats: bool,
            positions in proptest::collection::vec(0.0..1e7f64, 1..50),
        ) {
            let segments = rates.iter().map(|(start_rate, end_rate, seconds)| Segment {
                seconds: *seconds,
                start_rate: *start_rate,
                end_rate: *end_rate,
            });
            let profile = Profile { segments: segments.collect(), repeats };
            let mut positions = positions;
            positions.sort_by(f64::total_cmp);
            let times: Vec<u64> = positions.iter().map(|at| profile.time_ns_of(*at)).collect();
            prop_assert!(times.is_sorted());
        }
    }
}
