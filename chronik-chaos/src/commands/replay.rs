//! `replay`: the same faults at the same times and places, and how often the same promise breaks.

use std::collections::BTreeSet;
use std::path::Path;

use super::launch::{launch, plan, show, worst};
use super::{CommandFault, Done};
use crate::cli::Place;
use crate::output;
use crate::run::Plan;
use crate::verdict::{Facts, Verdict, judge};

pub(crate) fn replay(run_dir: &Path, times: u32, place: &Place) -> Done {
    let before = Plan::read(run_dir)?;
    let injections = Facts::read(run_dir)?.injections;
    let (first, _) = judge(run_dir, before.target.contract(), &before.scenario.expect)?;
    let wanted = classes(&first);
    let mut outcomes = Vec::new();
    let mut hits = 0;
    for _ in 0..times {
        let mut again = plan(
            &before.scenario,
            Some(before.seed),
            Some(injections.clone()),
            place,
        )?;
        again.mutant = before.mutant;
        let (verdict, run_dir) = launch(&again, &place.out)?;
        show(&verdict, &run_dir);
        hits += u32::from(is_hit(&verdict, &first, &wanted));
        outcomes.push(verdict.outcome);
    }
    if times == 0 {
        return Err(CommandFault::Usage("a replay happens at least once".into()));
    }
    output::line(format!(
        "{hits} of {times} runs ended as the first one did: {}",
        first.outcome.word()
    ));
    Ok(worst(outcomes))
}

/// The classes of errors that were found.
pub(crate) fn classes(verdict: &Verdict) -> BTreeSet<String> {
    let errors = verdict
        .broken
        .iter()
        .filter(|broken| broken.severity == "error");
    errors.map(|broken| broken.anomaly.clone()).collect()
}

/// Whether a run shows one of the same classes, or the same outcome where no promise was broken.
pub(crate) fn is_hit(verdict: &Verdict, first: &Verdict, wanted: &BTreeSet<String>) -> bool {
    if wanted.is_empty() {
        return verdict.outcome == first.outcome;
    }
    !wanted.is_disjoint(&classes(verdict))
}
