//! Is the candidate slower? Ratio of medians, an interval by resampling whole runs, and no verdict without a rerun.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::model::BenchResult;
use crate::slo::percentile;
use crate::stats::{self, Interval};
use crate::units::UnitError;

/// Three runs against three cannot reach p < 0.05 by permutation; five against five can.
pub(crate) const RUNS_MIN: usize = 5;
/// Of the baseline's maximum.
const LATENCY_SHARE_MAX: f64 = 0.7;
const THROUGHPUT: &str = "throughput";
const EXPECTED: &str = "gates such as throughput=-10,p99=+20 (percent)";

/// What fails.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gates {
    gates: Vec<Gate>,
    /// What the baseline can bear at most; near it latencies are too wild to be judged by.
    maximum_per_second: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
struct Gate {
    metric: String,
    /// As a ratio: 0.9 for ten percent less, 1.2 for twenty percent more.
    threshold: f64,
}

/// One metric of two groups of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) metric: String,
    pub(crate) base_median: f64,
    pub(crate) candidate_median: f64,
    pub(crate) ratio: Interval,
    pub(crate) threshold: f64,
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Pass,
    /// Over the threshold, significant, and seen again in a rerun.
    Regressed,
    /// Over the threshold, but not sure.
    Inconclusive,
    /// The runs cannot say anything about it.
    NotGated,
}

/// All gates, and the worst of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) base_runs: usize,
    pub(crate) candidate_runs: usize,
    pub(crate) findings: Vec<Finding>,
    pub(crate) remarks: Vec<String>,
    pub(crate) exit: Exit,
}

impl Default for Gates {
    fn default() -> Self {
        "throughput=-10,p99=+20"
            .parse()
            .expect("the default is valid")
    }
}

impl Gates {
    /// The same gates beside a known maximum.
    #[must_use]
    pub(crate) fn below(self, maximum_per_second: Option<f64>) -> Self {
        Self {
            maximum_per_second,
            ..self
        }
    }

    /// A slower cluster slows a closed loop, and near the maximum every queue is full: neither is a basis for latency.
    fn is_latency_basis(&self, run: &BenchResult) -> bool {
        let bound = self
            .maximum_per_second
            .map_or(f64::INFINITY, |maximum| maximum * LATENCY_SHARE_MAX);
        run.workload.load_loop == "open"
            && run
                .workload
                .target_msgs_per_second
                .is_none_or(|rate| rate <= bound)
    }
}

impl FromStr for Gates {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let gate = |part: &str| -> Option<Gate> {
            let (metric, percent) = part.split_once('=')?;
            let percent: f64 = percent.trim().trim_end_matches('%').parse().ok()?;
            let metric = metric.trim().replace('.', "");
            let is_known = metric == THROUGHPUT
                || !percentile(&crate::model::Latency::default(), &metric).is_nan();
            let is_worse = (metric == THROUGHPUT) == (percent < 0.0);
            let threshold = 1.0 + percent / 100.0;
            (is_known && is_worse && percent != 0.0 && threshold > 0.0)
                .then_some(Gate { metric, threshold })
        };
        let gates: Option<Vec<Gate>> = text.split(',').map(gate).collect();
        let gates = gates.ok_or_else(|| UnitError::new(text, EXPECTED))?;
        Ok(Self {
            gates,
            maximum_per_second: None,
        })
    }
}

/// Judges a candidate; `rerun` are independent runs of the same candidate, made because it looked slow.
pub(crate) fn compare(
    base: &[BenchResult],
    candidate: &[BenchResult],
    rerun: Option<&[BenchResult]>,
    gates: &Gates,
) -> Comparison {
    let findings: Vec<Finding> = gates
        .gates
        .iter()
        .map(|gate| gates.judge(gate, base, candidate, rerun))
        .collect();
    let mut remarks = Vec::new();
    let all = || {
        base.iter()
            .chain(candidate)
            .chain(rerun.unwrap_or_default())
    };
    let invalid = all()
        .filter(|result| result.audit.red().next().is_some())
        .count();
    let broken = all()
        .filter(|result| !result.integrity.violations.is_empty())
        .count();
    let mut exit = findings.iter().fold(Exit::Pass, |exit, finding| {
        exit.worst(match finding.outcome {
            Outcome::Pass | Outcome::NotGated => Exit::Pass,
            Outcome::Regressed => Exit::Fail,
            Outcome::Inconclusive => Exit::Inconclusive,
        })
    });
    if findings
        .iter()
        .all(|finding| finding.outcome == Outcome::NotGated)
    {
        exit = exit.worst(Exit::Inconclusive);
        remarks.push("nothing could be gated".to_owned());
    }
    if invalid > 0 {
        exit = exit.worst(Exit::Invalid);
        remarks.push(format!(
            "{invalid} results have a red audit: their numbers do not count"
        ));
    }
    if broken > 0 {
        exit = exit.worst(Exit::Integrity);
        remarks.push(format!("{broken} results lost or altered records"));
    }
    Comparison {
        base_runs: base.len(),
        candidate_runs: candidate.len(),
        findings,
        remarks,
        exit,
    }
}

impl Gates {
    fn judge(
        &self,
        gate: &Gate,
        base: &[BenchResult],
        candidate: &[BenchResult],
        rerun: Option<&[BenchResult]>,
    ) -> Finding {
        let is_basis = |run: &&BenchResult| gate.metric == THROUGHPUT || self.is_latency_basis(run);
        let gated = |runs: &[BenchResult]| -> Vec<f64> {
            let runs = runs.iter().filter(is_basis);
            runs.filter_map(|run| gate.value(run)).collect()
        };
        let (base_gated, candidate_gated) = (gated(base), gated(candidate));
        if base_gated.is_empty() || candidate_gated.is_empty() {
            // Numbers that nobody may be judged by are shown all the same.
            let shown = |runs: &[BenchResult]| -> Vec<f64> {
                runs.iter().filter_map(|run| gate.value(run)).collect()
            };
            let reason =
                "latency gates need open-loop runs, at 70 % of the maximum at most".to_owned();
            return gate.finding(&shown(base), &shown(candidate), (Outcome::NotGated, reason));
        }
        let ratio = stats::ratio_of_medians(&base_gated, &candidate_gated);
        let decided = gate.decide(&base_gated, &candidate_gated, ratio, rerun.map(gated));
        gate.finding(&base_gated, &candidate_gated, decided)
    }
}

impl Gate {
    fn finding(
        &self,
        base: &[f64],
        candidate: &[f64],
        (outcome, reason): (Outcome, String),
    ) -> Finding {
        Finding {
            metric: self.metric.clone(),
            base_median: stats::median(base),
            candidate_median: stats::median(candidate),
            ratio: match base.is_empty() || candidate.is_empty() {
                true => Interval::unknown(),
                false => stats::ratio_of_medians(base, candidate),
            },
            threshold: self.threshold,
            outcome,
            reason,
        }
    }

    fn decide(
        &self,
        base: &[f64],
        candidate: &[f64],
        ratio: Interval,
        rerun: Option<Vec<f64>>,
    ) -> (Outcome, String) {
        if !self.is_over(ratio.value) {
            return (Outcome::Pass, "within the threshold".to_owned());
        }
        if base.len() < RUNS_MIN || candidate.len() < RUNS_MIN {
            let reason =
                format!("over the threshold, but fewer than {RUNS_MIN} runs prove nothing");
            return (Outcome::Inconclusive, reason);
        }
        if !ratio.excludes(1.0) {
            let reason = "over the threshold, but the interval includes 1".to_owned();
            return (Outcome::Inconclusive, reason);
        }
        let Some(rerun) = rerun else {
            let reason = "over the threshold and significant; not confirmed by a rerun".to_owned();
            return (Outcome::Inconclusive, reason);
        };
        let again = stats::ratio_of_medians(base, &rerun);
        let is_confirmed = self.is_over(again.value) && again.excludes(1.0);
        match is_confirmed {
            true => (Outcome::Regressed, "confirmed by the rerun".to_owned()),
            false => (
                Outcome::Inconclusive,
                format!("the rerun does not confirm it: {:.3}", again.value),
            ),
        }
    }

    fn is_over(&self, ratio: f64) -> bool {
        match self.threshold < 1.0 {
            true => ratio <= self.threshold,
            false => ratio >= self.threshold,
        }
    }

    fn value(&self, run: &BenchResult) -> Option<f64> {
        match self.metric.as_str() {
            THROUGHPUT => Some(run.throughput.headline_per_second),
            metric => Some(percentile(run.headline_latency()?.1, metric)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Latency;

    fn runs(rates: &[f64]) -> Vec<BenchResult> {
        rates
            .iter()
            .map(|rate| {
                let mut result = BenchResult::default();
                result.throughput.headline_per_second = *rate;
                result.workload.load_loop = "open".into();
                result.latency_us.headline = Some("ack-response".into());
                let latency = Latency {
                    p99: 1e9 / rate,
                    ..Latency::default()
                };
                result
                    .latency_us
                    .by_tag
                    .insert("ack-response".into(), latency);
                result
            })
            .collect()
    }

    /// Runs of one build on a machine that varies by some percent, from a seed.
    fn noisy(mean: f64, variation: f64, count: usize, seed: u64) -> Vec<BenchResult> {
        let mut random = fastrand::Rng::with_seed(seed);
        let rates: Vec<f64> = (0..count)
            .map(|_| {
                // A sum of twelve is near enough to a normal distribution.
                let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                mean * (1.0 + variation * normal)
            })
            .collect();
        runs(&rates)
    }

    const STEADY: [f64; 5] = [100e3, 101e3, 99e3, 100.5e3, 99.5e3];

    #[test]
    fn equal_builds_pass() {
        let base = runs(&STEADY);
        assert_eq!(
            compare(&base, &base, None, &Gates::default()).exit,
            Exit::Pass
        );
    }

    #[test]
    fn a_regression_needs_a_rerun() {
        let base = runs(&STEADY);
        let slow = runs(&STEADY.map(|rate| rate * 0.8));
        let gates = Gates::default();
        assert_eq!(compare(&base, &slow, None, &gates).exit, Exit::Inconclusive);
        assert_eq!(compare(&base, &slow, Some(&slow), &gates).exit, Exit::Fail);
        assert_eq!(
            compare(&base, &slow, Some(&base), &gates).exit,
            Exit::Inconclusive
        );
    }

    #[test]
    fn few_runs_are_inconclusive() {
        let base = runs(&STEADY[..3]);
        let slow = runs(&[50e3, 51e3, 49e3]);
        let found = compare(&base, &slow, Some(&slow), &Gates::default());
        assert_eq!(found.exit, Exit::Inconclusive);
    }

    #[test]
    fn twenty_pairs_of_identical_builds_give_no_false_regression() {
        let gates: Gates = "throughput=-5".parse().unwrap();
        for pair in 0..20 {
            let base = noisy(100e3, 0.03, 5, pair * 3 + 1);
            let same = noisy(100e3, 0.03, 5, pair * 3 + 2);
            let rerun = noisy(100e3, 0.03, 5, pair * 3 + 3);
            let found = compare(&base, &same, Some(&rerun), &gates);
            assert_ne!(found.exit, Exit::Fail, "pair {pair}");
        }
    }

    #[test]
    fn a_planted_slowdown_is_found() {
        let gates: Gates = "throughput=-5".parse().unwrap();
        let found = (0..20)
            .filter(|pair| {
                let base = noisy(100e3, 0.02, 5, pair * 3 + 101);
                let slow = noisy(90e3, 0.02, 5, pair * 3 + 102);
                let rerun = noisy(90e3, 0.02, 5, pair * 3 + 103);
                compare(&base, &slow, Some(&rerun), &gates).exit == Exit::Fail
            })
            .count();
        assert!(found >= 18, "{found} of 20");
    }

    #[test]
    fn closed_loops_have_no_latency_gate() {
        let mut base = runs(&STEADY);
        for run in &mut base {
            run.workload.load_loop = "closed".into();
        }
        let found = compare(&base, &base, None, &"p99=+20".parse().unwrap());
        assert_eq!(found.findings[0].outcome, Outcome::NotGated);
        assert_eq!(found.exit, Exit::Inconclusive);
    }

    #[test]
    fn latency_near_the_maximum_is_shown_and_not_gated() {
        let mut base = runs(&STEADY);
        for run in &mut base {
            run.workload.target_msgs_per_second = Some(80e3);
        }
        let gates: Gates = "p99=+20".parse().unwrap();
        let judged = compare(&base, &base, None, &gates.clone().below(Some(120e3)));
        assert_eq!(judged.findings[0].outcome, Outcome::Pass);
        let shown = compare(&base, &base, None, &gates.below(Some(100e3)));
        assert_eq!(shown.findings[0].outcome, Outcome::NotGated);
        assert_eq!(shown.findings[0].ratio.value, 1.0);
    }

    #[test]
    fn gates_point_the_right_way() {
        for wrong in ["throughput=+10", "p99=-20", "p98=+1", "throughput", "p99=0"] {
            assert!(wrong.parse::<Gates>().is_err(), "{wrong}");
        }
    }
}
