//! `shrink`: fewer and shorter faults that still break the same promise.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::launch::{launch, plan, show};
use super::replay::{classes, is_hit};
use super::{CommandFault, Done};
use crate::cli::Place;
use crate::output;
use crate::run::Plan;
use crate::schedule::Injection;
use crate::span::Span;
use crate::verdict::{Facts, Outcome, judge};

/// Runs to learn how often the whole schedule breaks its promise.
const SURVEY_RUNS: u32 = 3;
/// A removal that seems to matter is tried so often at most.
const TRIES_MAX: u32 = 8;

pub(crate) fn shrink(run_dir: &Path, within: Span, place: &Place) -> Done {
    let first_plan = Plan::read(run_dir)?;
    let (first, _) = judge(
        run_dir,
        first_plan.target.contract(),
        &first_plan.scenario.expect,
    )?;
    if first.outcome == Outcome::Pass {
        return Err(CommandFault::Usage(
            "this run broke nothing; there is nothing to shrink".into(),
        ));
    }
    let wanted = classes(&first);
    let start = Instant::now();
    let mut best_dir = run_dir.to_owned();
    let mut runs = 0;
    let mut try_once = |injections: &[Injection]| -> Result<Option<PathBuf>, CommandFault> {
        let mut again = plan(
            &first_plan.scenario,
            Some(first_plan.seed),
            Some(injections.to_vec()),
            place,
        )?;
        again.mutant = first_plan.mutant;
        let (verdict, dir) = launch(&again, &place.out)?;
        runs += 1;
        Ok(is_hit(&verdict, &first, &wanted).then_some(dir))
    };
    let mut best = Facts::read(run_dir)?.injections;
    let mut hits = 0;
    for _ in 0..SURVEY_RUNS {
        hits += u32::from(try_once(&best)?.is_some());
    }
    let tries = tries_for(hits);
    output::line(format!(
        "{} faults, {hits} of {SURVEY_RUNS} runs hit; {tries} tries for each removal",
        best.len()
    ));
    let mut chunk = best.len().div_ceil(2);
    while chunk > 0 && start.elapsed() < within.0 {
        let mut from = 0;
        while from < best.len() && start.elapsed() < within.0 {
            let fewer = without(&best, from, chunk);
            let mut found = None;
            for _ in 0..tries {
                found = try_once(&fewer)?;
                if found.is_some() {
                    break;
                }
            }
            match found {
                Some(dir) => {
                    best = fewer;
                    best_dir = dir;
                    output::line(format!("{} faults are enough", best.len()));
                }
                None => from += chunk,
            }
        }
        chunk /= 2;
    }
    output::line(format!("{} faults are left after {runs} runs:", best.len()));
    for injection in &best {
        output::line(format!(
            "  {} {} n{:?}",
            injection.id, injection.fault, injection.nodes
        ));
    }
    let (verdict, _) = judge(
        &best_dir,
        first_plan.target.contract(),
        &first_plan.scenario.expect,
    )?;
    show(&verdict, &best_dir);
    Ok(verdict.outcome.exit_code())
}

/// So many misses in a row are less than 5 % likely where the removed faults do not matter.
fn tries_for(hits: u32) -> u32 {
    let rate = f64::from(hits) / f64::from(SURVEY_RUNS);
    if rate >= 1.0 {
        return 1;
    }
    let tries = (0.05f64.ln() / (1.0 - rate.max(0.2)).ln()).ceil();
    (tries as u32).clamp(1, TRIES_MAX)
}

fn without(injections: &[Injection], from: usize, count: usize) -> Vec<Injection> {
    let end = (from + count).min(injections.len());
    [&injections[..from], &injections[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_hits_need_more_tries() {
        assert_eq!(tries_for(SURVEY_RUNS), 1);
        assert_eq!(tries_for(2), 3);
        assert_eq!(tries_for(0), TRIES_MAX);
    }
}
