//! Goals for a result: `p99<20ms,errors=0,throughput>50k`.

use std::fmt;
use std::str::FromStr;

use crate::model::{BenchResult, Latency};
use crate::units::{self, UnitError, grouped, latency};

const EXPECTED: &str = "a goal such as 'p99<20ms,errors=0,throughput>50k' (p50, p75, p90, p95, p99, p999, p9999, max, mean, errors, throughput)";

/// All conditions must hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slo {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    subject: Subject,
    relation: Relation,
    /// Microseconds, messages per second, or a count.
    bound: f64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    /// Of the headline latency.
    Latency(String),
    Errors,
    Throughput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Below,
    Above,
    Equal,
}

impl Slo {
    /// The conditions that a result misses, with its numbers.
    pub(crate) fn missed(&self, result: &BenchResult) -> Vec<String> {
        self.conditions
            .iter()
            .filter(|condition| !condition.holds(result))
            .map(|condition| {
                let found = condition.value(result);
                format!("{condition} is missed: {}", condition.show(found))
            })
            .collect()
    }
}

impl Condition {
    fn value(&self, result: &BenchResult) -> f64 {
        match &self.subject {
            Subject::Errors => (result.errors.failed_in_window + result.latency_us.censored) as f64,
            Subject::Throughput => result.throughput.headline_per_second,
            Subject::Latency(name) => result
                .headline_latency()
                .map_or(f64::NAN, |(_, found)| percentile(found, name)),
        }
    }

    fn holds(&self, result: &BenchResult) -> bool {
        let value = self.value(result);
        match self.relation {
            Relation::Below => value < self.bound,
            Relation::Above => value > self.bound,
            Relation::Equal => value == self.bound,
        }
    }

    fn show(&self, value: f64) -> String {
        match self.subject {
            Subject::Latency(_) => latency(value),
            Subject::Errors | Subject::Throughput => grouped(value),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = match &self.subject {
            Subject::Latency(name) => name,
            Subject::Errors => "errors",
            Subject::Throughput => "throughput",
        };
        let relation = match self.relation {
            Relation::Below => '<',
            Relation::Above => '>',
            Relation::Equal => '=',
        };
        write!(f, "{subject}{relation}{}", self.show(self.bound))
    }
}

impl FromStr for Slo {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let conditions = text
            .split(',')
            .map(|part| parse(part).ok_or_else(|| UnitError::new(text, EXPECTED)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { conditions })
    }
}

fn parse(part: &str) -> Option<Condition> {
    let at = part.find(['<', '>', '='])?;
    let (name, rest) = part.split_at(at);
    let relation = match rest.as_bytes().first()? {
        b'<' => Relation::Below,
        b'>' => Relation::Above,
        _ => Relation::Equal,
    };
    let bound = rest[1..].trim();
    let (subject, bound) = match name.trim() {
        "errors" => (Subject::Errors, units::count(bound).ok()? as f64),
        "throughput" => (Subject::Throughput, units::count(bound).ok()? as f64),
        name => {
            let name = name.replace('.', "");
            if percentile(&Latency::default(), &name).is_nan() {
                return None;
            }
            let bound = units::duration(bound).ok()?;
            (Subject::Latency(name), bound.as_secs_f64() * 1e6)
        }
    };
    Some(Condition {
        subject,
        relation,
        bound,
    })
}

/// A percentile by its name; not a number for an unknown one.
pub(crate) fn percentile(latency: &Latency, name: &str) -> f64 {
    match name {
        "p50" => latency.p50,
        "p75" => latency.p75,
        "p90" => latency.p90,
        "p95" => latency.p95,
        "p99" => latency.p99,
        "p999" => latency.p999,
        "p9999" => latency.p9999,
        "max" => latency.max,
        "mean" => latency.mean,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(p99_us: f64, failed: u64) -> BenchResult {
        let mut result = BenchResult::default();
        result.latency_us.headline = Some("ack-response".into());
        let latency = Latency {
            p99: p99_us,
            ..Latency::default()
        };
        result
            .latency_us
            .by_tag
            .insert("ack-response".into(), latency);
        result.errors.failed_in_window = failed;
        result.throughput.headline_per_second = 60_000.0;
        result
    }

    #[test]
    fn goals_are_judged_with_their_numbers() {
        let slo: Slo = "p99<20ms,errors=0,throughput>50k".parse().unwrap();
        assert!(slo.missed(&result(19_000.0, 0)).is_empty());
        assert_eq!(
            slo.missed(&result(21_000.0, 2)),
            ["p99<20.00 ms is missed: 21.00 ms", "errors=0 is missed: 2"]
        );
    }

    #[test]
    fn a_result_without_latency_meets_no_latency_goal() {
        let slo: Slo = "p99.9<1s".parse().unwrap();
        assert_eq!(slo.missed(&BenchResult::default()).len(), 1);
    }

    #[test]
    fn wrong_goals_are_refused() {
        for wrong in ["", "p98<1s", "p99", "p99<fast", "errors<x"] {
            assert!(wrong.parse::<Slo>().is_err(), "{wrong}");
        }
    }
}
