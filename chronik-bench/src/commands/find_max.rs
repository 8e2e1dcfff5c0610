//! `find-max`: the highest rate that meets a goal. Gallop, then bisect, then hold the answer.

use serde::Serialize;

use crate::audit::SEND_LATENESS;
use crate::cli::{FindMaxArguments, LoadArguments, OutputArguments};
use crate::commands::run::run_plan;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::model::BenchResult;
use crate::output;
use crate::plan::{Plan, Warmup};
use crate::signals::Signals;
use crate::slo::Slo;
use crate::units::{Rate, grouped, latency};

/// The answer is known to this share of itself.
const PRECISION: f64 = 0.03;
const GALLOP: f64 = 2.0;
const HOLDS: u32 = 3;
/// A step must send what it was asked to.
const ACHIEVED_MIN: f64 = 0.99;
const STEPS_MAX: u32 = 40;

/// One rate that was tried.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) target_per_second: f64,
    pub(crate) achieved_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
    pub(crate) meets_goal: bool,
    pub(crate) is_hold: bool,
    pub(crate) reasons: Vec<String>,
}

/// The curve and its knee.
#[derive(Debug, Default, Serialize)]
struct Search {
    goal: String,
    maximum_per_second: Option<f64>,
    held: u32,
    /// The generator and not the cluster gave up first.
    is_generator_bound: bool,
    steps: Vec<Step>,
}

pub(crate) fn run(arguments: &FindMaxArguments, signals: &Signals) -> Result<Exit, BenchError> {
    let slo: Slo = arguments.slo.parse()?;
    let mut search = Search {
        goal: arguments.slo.clone(),
        ..Search::default()
    };
    let mut exit = Exit::Pass;
    let mut try_rate =
        |rate: f64, is_hold: bool, search: &mut Search| -> Result<bool, BenchError> {
            let result = run_step(arguments, rate, signals)?;
            let verdict = result.verdict.exit.unwrap_or(Exit::Pass);
            if matches!(verdict, Exit::Interrupted | Exit::Integrity) {
                exit = exit.worst(verdict);
            }
            let step = step(&result, &slo, rate, is_hold);
            search.is_generator_bound |= !step.meets_goal && verdict == Exit::Invalid;
            output::line(&describe(&step));
            let meets_goal = step.meets_goal;
            search.steps.push(step);
            Ok(meets_goal && verdict != Exit::Interrupted)
        };
    let start = arguments
        .start
        .messages_per_second(arguments.load.message_size.mean_bytes());
    let (mut good, mut bad) = gallop(start, &mut search, &mut try_rate)?;
    while bad - good > good * PRECISION && search.steps.len() < STEPS_MAX as usize {
        let middle = f64::midpoint(good, bad);
        match try_rate(middle, false, &mut search)? {
            true => good = middle,
            false => bad = middle,
        }
    }
    // An answer that was met once may be luck: it has to hold.
    while good > 0.0 && search.held < HOLDS && search.steps.len() < STEPS_MAX as usize {
        match try_rate(good, true, &mut search)? {
            true => search.held += 1,
            false => {
                search.held = 0;
                good *= 1.0 - PRECISION;
            }
        }
    }
    if search.held == HOLDS {
        search.maximum_per_second = Some(good);
    }
    conclude(&search, &arguments.output)?;
    Ok(match search.maximum_per_second {
        Some(_) if !search.is_generator_bound => exit,
        _ => exit.worst(Exit::Inconclusive),
    })
}

/// Doubles until the goal is missed, or halves until it is met.
fn gallop(
    start: f64,
    search: &mut Search,
    try_rate: &mut impl FnMut(f64, bool, &mut Search) -> Result<bool, BenchError>,
) -> Result<(f64, f64), BenchError> {
    let mut rate = start;
    if try_rate(rate, false, search)? {
        while search.steps.len() < STEPS_MAX as usize {
            let next = rate * GALLOP;
            if !try_rate(next, false, search)? {
                return Ok((rate, next));
            }
            rate = next;
        }
        return Ok((rate, rate));
    }
    while rate > 1.0 && search.steps.len() < STEPS_MAX as usize {
        let next = rate / GALLOP;
        if try_rate(next, false, search)? {
            return Ok((next, rate));
        }
        rate = next;
    }
    Ok((0.0, 0.0))
}

fn run_step(
    arguments: &FindMaxArguments,
    rate: f64,
    signals: &Signals,
) -> Result<BenchResult, BenchError> {
    let mut plan = Plan::of(&LoadArguments {
        rate: Some(Rate::Messages(rate)),
        rate_profile: None,
        messages: None,
        ..arguments.load.clone()
    })?;
    plan.duration = arguments.step;
    plan.warmup = Warmup::Fixed(arguments.step / 4);
    let output = OutputArguments {
        name: format!("{}-{rate:.0}", arguments.output.name),
        ..arguments.output.clone()
    };
    Ok(run_plan(&plan, &output, None, signals)?.result)
}

fn step(result: &BenchResult, slo: &Slo, rate: f64, is_hold: bool) -> Step {
    let mut reasons = slo.missed(result);
    let achieved = result.throughput.headline_per_second;
    if achieved < rate * ACHIEVED_MIN {
        reasons.push(format!(
            "{} of {} msg/s were achieved",
            grouped(achieved),
            grouped(rate)
        ));
    }
    // Latency counts from the intended send, so a goal that was met by a late generator was met all the more.
    let is_met = reasons.is_empty();
    let lateness = format!("audit: {SEND_LATENESS}");
    let doubts = result.verdict.reasons.iter();
    reasons.extend(
        doubts
            .filter(|reason| !(is_met && reason.starts_with(&lateness)))
            .cloned(),
    );
    let found = result.headline_latency().map(|(_, found)| found.clone());
    let found = found.unwrap_or_default();
    Step {
        target_per_second: rate,
        achieved_per_second: achieved,
        p50_us: found.p50,
        p99_us: found.p99,
        max_us: found.max,
        meets_goal: reasons.is_empty(),
        is_hold,
        reasons,
    }
}

fn describe(step: &Step) -> String {
    format!(
        "{:>10}/s  achieved {:>10}/s  p50 {:>9}  p99 {:>9}  max {:>9}  {}{}",
        grouped(step.target_per_second),
        grouped(step.achieved_per_second),
        latency(step.p50_us),
        latency(step.p99_us),
        latency(step.max_us),
        if step.meets_goal {
            "meets the goal"
        } else {
            "MISSES: "
        },
        step.reasons.join("; "),
    )
}

fn conclude(search: &Search, output: &OutputArguments) -> Result<(), BenchError> {
    match search.maximum_per_second {
        Some(rate) => output::line(&format!(
            "maximum under {}: {} msg/s, held {HOLDS} times",
            search.goal,
            grouped(rate)
        )),
        None => output::line(&format!("no rate under {} could be held", search.goal)),
    }
    if search.is_generator_bound {
        output::line(
            "that is a lower bound: at least one step was limited by the generator, see its audit",
        );
    }
    let path = output.out.join("find-max.json");
    let text = serde_json::to_string_pretty(search).expect("a search is plain data");
    std::fs::write(&path, format!("{text}\n")).map_err(BenchError::file("write", &path))?;
    output::line(&format!("wrote {}", path.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(failed: u64, doubts: &[&str]) -> BenchResult {
        let mut result = BenchResult::default();
        result.throughput.headline_per_second = 100.0;
        result.errors.failed = failed;
        result.errors.failed_in_window = failed;
        result.verdict.reasons = doubts.iter().map(|doubt| (*doubt).to_owned()).collect();
        result
    }

    #[test]
    fn a_late_generator_spoils_no_goal_that_was_met_and_excuses_none_that_was_not() {
        let slo: Slo = "errors=0".parse().unwrap();
        let late = "audit: send lateness: p99 2000 us while there was room (limit 1000)";
        let met = step(&result(0, &[late]), &slo, 100.0, false);
        assert!(met.meets_goal, "{:?}", met.reasons);
        let missed = step(&result(3, &[late]), &slo, 100.0, false);
        assert_eq!(missed.reasons.len(), 2, "{:?}", missed.reasons);
        let doubted = step(&result(0, &["audit: clamps: 3"]), &slo, 100.0, false);
        assert!(!doubted.meets_goal);
    }
}
