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
/// A run goes on for so long after its last fault.
const AFTERMATH_MS: u64 = 8_000;
/// A longer pause between two faults is tried without its rest.
const PAUSE_MS: u64 = 5_000;
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
        again.scenario.duration = needed(injections).min(again.scenario.duration);
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
            match try_often(&mut try_once, &fewer, tries)? {
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
    // What is left stands far apart, where the others were.
    let closer = closer_together(&best);
    if closer != best
        && start.elapsed() < within.0
        && let Some(dir) = try_often(&mut try_once, &closer, tries)?
    {
        (best, best_dir) = (closer, dir);
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

/// A run's folder that hit, unless so many runs in a row did not.
fn try_often(
    try_once: &mut impl FnMut(&[Injection]) -> Result<Option<PathBuf>, CommandFault>,
    injections: &[Injection],
    tries: u32,
) -> Result<Option<PathBuf>, CommandFault> {
    for _ in 0..tries {
        if let Some(dir) = try_once(injections)? {
            return Ok(Some(dir));
        }
    }
    Ok(None)
}

/// How long a run has to last for these faults and what follows from them.
fn needed(injections: &[Injection]) -> Span {
    let ends = injections.iter().map(|injection| {
        let lasts_ns = injection.lasts.map_or(0, Span::ns);
        injection.at_ns + lasts_ns
    });
    let end_ms = ends.max().unwrap_or(0) / 1_000_000;
    Span::from_ms(end_ms + AFTERMATH_MS)
}

/// The same faults with the pauses between them cut to what a cluster needs to recover.
fn closer_together(injections: &[Injection]) -> Vec<Injection> {
    let (mut saved_ns, mut quiet_since_ns) = (0, 0);
    let mut closer = injections.to_vec();
    for injection in &mut closer {
        let pause_ns = injection.at_ns.saturating_sub(quiet_since_ns);
        saved_ns += pause_ns.saturating_sub(PAUSE_MS * 1_000_000);
        let end_ns = injection.at_ns + injection.lasts.map_or(0, Span::ns);
        quiet_since_ns = quiet_since_ns.max(end_ns);
        injection.at_ns -= saved_ns;
    }
    closer
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

    #[test]
    fn pauses_are_cut_and_what_overlaps_stays_together() {
        let fault = |at_ms: u64, lasts_ms: u64| Injection {
            id: "kill1".into(),
            fault: crate::scenario::Fault::Kill,
            target: "n1".into(),
            nodes: vec![1],
            links: Vec::new(),
            at_ns: at_ms * 1_000_000,
            healed_ns: None,
            lasts: Some(Span::from_ms(lasts_ms)),
            with: crate::scenario::Parameters::default(),
            proof: None,
            doubt: None,
            may_miss: false,
            acked_before: 0,
            acked_at_heal: None,
        };
        let closer =
            closer_together(&[fault(20_000, 4_000), fault(21_000, 1_000), fault(60_000, 0)]);
        let times: Vec<u64> = closer.iter().map(|fault| fault.at_ns / 1_000_000).collect();
        assert_eq!(times, [5_000, 6_000, 14_000]);
        assert_eq!(needed(&closer), Span::from_ms(14_000 + AFTERMATH_MS));
    }
}
