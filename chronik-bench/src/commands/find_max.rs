//! `find-max`: the highest rate that meets a goal. Gallop, then bisect, then hold the answer.

use std::fs;

use serde::Serialize;

use crate::audit::SEND_LATENESS;
use crate::cli::{FindMaxArguments, LoadArguments, OutputArguments};
use crate::commands::run::run_plan;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::model::BenchResult;
use crate::output;
use crate::plan::{Plan, Warmup};
use crate::report::{Chart, Series, Table, sheet};
use crate::signals::Signals;
use crate::slo::Slo;
use crate::store::write_json;
use crate::units::{Rate, grouped, latency};

/// The answer is known to this share of itself.
const PRECISION: f64 = 0.03;
const GALLOP: f64 = 2.0;
const HOLDS: u32 = 3;
/// A step must send what it was asked to.
const ACHIEVED_MIN: f64 = 0.99;
const STEPS_MAX: usize = 40;
/// The p99 at the knee, over that of the lowest rate.
const KNEE: f64 = 2.0;

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
    /// Above this rate latency grows faster than the rate.
    knee_per_second: Option<f64>,
    steps: Vec<Step>,
}

/// Why a step was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Search,
    Hold,
}

/// A search on its way.
struct Seeker<'a> {
    arguments: &'a FindMaxArguments,
    signals: &'a Signals,
    slo: Slo,
    search: Search,
    exit: Exit,
}

pub(crate) fn run(arguments: &FindMaxArguments, signals: &Signals) -> Result<Exit, BenchError> {
    let mut seeker = Seeker {
        arguments,
        signals,
        slo: arguments.slo.parse()?,
        search: Search {
            goal: arguments.slo.clone(),
            ..Search::default()
        },
        exit: Exit::Pass,
    };
    match seeker.seek() {
        // The steps that were made are told all the same.
        Ok(()) | Err(BenchError::Interrupted) => {}
        Err(failed) => return Err(failed),
    }
    let Seeker {
        mut search, exit, ..
    } = seeker;
    search.knee_per_second = knee(&search.steps);
    conclude(&search, &arguments.output)?;
    Ok(match search.maximum_per_second {
        Some(_) if !search.is_generator_bound => exit,
        _ => exit.worst(Exit::Inconclusive),
    })
}

impl Seeker<'_> {
    fn seek(&mut self) -> Result<(), BenchError> {
        let message_bytes = self.arguments.load.message_size.mean_bytes();
        let start = self.arguments.start.messages_per_second(message_bytes);
        let (mut good, mut bad) = self.gallop(start)?;
        while bad - good > good * PRECISION && self.has_steps_left() {
            let middle = f64::midpoint(good, bad);
            match self.meets_goal_at(middle, Purpose::Search)? {
                true => good = middle,
                false => bad = middle,
            }
        }
        // An answer that was met once may be luck: it has to hold.
        while good > 0.0 && self.search.held < HOLDS && self.has_steps_left() {
            match self.meets_goal_at(good, Purpose::Hold)? {
                true => self.search.held += 1,
                false => {
                    self.search.held = 0;
                    good *= 1.0 - PRECISION;
                }
            }
        }
        if self.search.held == HOLDS {
            self.search.maximum_per_second = Some(good);
        }
        Ok(())
    }

    /// Doubles until the goal is missed, or halves until it is met.
    fn gallop(&mut self, start: f64) -> Result<(f64, f64), BenchError> {
        let mut rate = start;
        if self.meets_goal_at(rate, Purpose::Search)? {
            while self.has_steps_left() {
                let next = rate * GALLOP;
                if !self.meets_goal_at(next, Purpose::Search)? {
                    return Ok((rate, next));
                }
                rate = next;
            }
            return Ok((rate, rate));
        }
        while rate > 1.0 && self.has_steps_left() {
            let next = rate / GALLOP;
            if self.meets_goal_at(next, Purpose::Search)? {
                return Ok((next, rate));
            }
            rate = next;
        }
        Ok((0.0, 0.0))
    }

    fn meets_goal_at(&mut self, rate: f64, purpose: Purpose) -> Result<bool, BenchError> {
        let result = run_step(self.arguments, rate, self.signals)?;
        if result.is_interrupted() {
            self.exit = self.exit.worst(Exit::Interrupted);
            return Err(BenchError::Interrupted);
        }
        let verdict = result.verdict.exit.unwrap_or(Exit::Pass);
        if verdict == Exit::Integrity {
            self.exit = self.exit.worst(verdict);
        }
        let step = step(&result, &self.slo, rate, purpose);
        self.search.is_generator_bound |= !step.meets_goal && verdict == Exit::Invalid;
        output::line(&describe(&step));
        let meets_goal = step.meets_goal;
        self.search.steps.push(step);
        Ok(meets_goal)
    }

    fn has_steps_left(&self) -> bool {
        self.search.steps.len() < STEPS_MAX
    }
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

fn step(result: &BenchResult, slo: &Slo, rate: f64, purpose: Purpose) -> Step {
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
        is_hold: purpose == Purpose::Hold,
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
    if let Some(knee) = search.knee_per_second {
        output::line(&format!(
            "knee: above {} msg/s the p99 is over {KNEE} times that of the lowest rate",
            grouped(knee)
        ));
    }
    write_json(&output.out.join("find-max.json"), search)?;
    let page = output.out.join("find-max.html");
    fs::write(&page, draw(search)).map_err(BenchError::file("write", &page))?;
    output::line(&format!("wrote {}", page.display()));
    Ok(())
}

/// The highest rate whose p99 still resembles that of the lowest one.
fn knee(steps: &[Step]) -> Option<f64> {
    let lowest = steps.iter().min_by(by_rate)?;
    let bound_us = lowest.p99_us * KNEE;
    let is_above = |step: &&Step| step.p99_us > bound_us;
    let first_above = steps.iter().filter(is_above).min_by(by_rate)?;
    let below = |step: &&Step| step.target_per_second < first_above.target_per_second;
    let last_below = steps.iter().filter(below).max_by(by_rate)?;
    Some(last_below.target_per_second)
}

fn by_rate(one: &&Step, other: &&Step) -> std::cmp::Ordering {
    one.target_per_second.total_cmp(&other.target_per_second)
}

/// The curve of latency against rate.
fn draw(search: &Search) -> String {
    let mut steps: Vec<&Step> = search.steps.iter().collect();
    steps.sort_by(by_rate);
    let mut table = Table::new(["rate", "achieved", "p50", "p99", "max", ""]);
    for step in &steps {
        table.row([
            grouped(step.target_per_second),
            grouped(step.achieved_per_second),
            latency(step.p50_us),
            latency(step.p99_us),
            latency(step.max_us),
            match step.meets_goal {
                true => "meets the goal".to_owned(),
                false => step.reasons.join("; "),
            },
        ]);
    }
    let line = |name: &str, colour: usize, of: fn(&Step) -> f64| Series {
        name: name.to_owned(),
        points: steps
            .iter()
            .map(|step| (step.target_per_second, of(step)))
            .collect(),
        colour,
        dash: 0,
    };
    let chart = Chart {
        title: "Latency against rate".to_owned(),
        x_label: "messages per second, as asked for".to_owned(),
        y_label: String::new(),
        is_log_y: true,
        y_text: latency,
        x_ticks: Vec::new(),
        highlight: search.knee_per_second.map(|knee| (0.0, knee)),
        series: vec![
            line("p50", 0, |step| step.p50_us),
            line("p99", 1, |step| step.p99_us),
            line("max", 2, |step| step.max_us),
        ],
    };
    let answer = match search.maximum_per_second {
        Some(rate) => format!("{} msg/s", grouped(rate)),
        None => "none was held".to_owned(),
    };
    let bound = match search.is_generator_bound {
        true => " A lower bound: at least one step was limited by the generator.",
        false => "",
    };
    let lead = format!(
        "The highest rate under {}: {answer}.{bound} Shaded: up to the knee.",
        search.goal
    );
    sheet("find-max", &lead, vec![chart], &table)
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

    fn at(rate: f64, p99_us: f64) -> Step {
        Step {
            target_per_second: rate,
            p99_us,
            ..step(
                &result(0, &[]),
                &"errors=0".parse().unwrap(),
                rate,
                Purpose::Search,
            )
        }
    }

    #[test]
    fn the_knee_is_where_latency_begins_to_grow_faster() {
        let steps = [at(5e3, 4e3), at(10e3, 5e3), at(40e3, 90e3), at(20e3, 7e3)];
        assert_eq!(knee(&steps), Some(20e3));
        assert_eq!(knee(&steps[..2]), None);
        assert_eq!(knee(&[]), None);
    }

    #[test]
    fn a_late_generator_spoils_no_goal_that_was_met_and_excuses_none_that_was_not() {
        let slo: Slo = "errors=0".parse().unwrap();
        let late = "audit: send lateness: p99 2000 us while there was room (limit 1000)";
        let met = step(&result(0, &[late]), &slo, 100.0, Purpose::Search);
        assert!(met.meets_goal, "{:?}", met.reasons);
        let missed = step(&result(3, &[late]), &slo, 100.0, Purpose::Search);
        assert_eq!(missed.reasons.len(), 2, "{:?}", missed.reasons);
        let doubted = step(
            &result(0, &["audit: clamps: 3"]),
            &slo,
            100.0,
            Purpose::Search,
        );
        assert!(!doubted.meets_goal);
    }
}
