//! Turns results into a table, a CSV file and a verdict.

use std::fs;
use std::time::Duration;

use super::Options;
use super::lists::{self, Lists};
use super::target::Target;
use crate::error::XtaskError;
use crate::{Outcome, output, step};

/// The share of the denominator that has to pass.
const PASSED_PERCENT_MIN: usize = 90;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Failed,
    /// The suite decided not to run it: that is not a pass.
    Skipped,
    TimedOut,
}

/// One case and how it ended.
#[derive(Clone, Debug)]
pub(super) struct CaseResult {
    pub(super) name: String,
    pub(super) verdict: Verdict,
    pub(super) took: Duration,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::TimedOut => "timed-out",
        }
    }
}

impl CaseResult {
    pub(super) fn line(&self) -> String {
        let seconds = self.took.as_secs_f64();
        format!(
            "{:<10} {:<70} {seconds:>6.1} s",
            self.verdict.word(),
            self.name
        )
    }
}

/// Saves the results and fails when an allowed case did not pass or too few passed.
pub(super) fn conclude(
    suite: &str,
    options: &Options,
    lists: &Lists,
    mut results: Vec<CaseResult>,
) -> Outcome {
    results.sort_by(|one, two| one.name.cmp(&two.name));
    output::heading(&format!("{suite}: results"));
    for result in &results {
        output::line(&result.line());
    }
    let passed: Vec<&str> = names(&results, |verdict| verdict == Verdict::Passed);
    let regressed: Vec<&str> = names(&results, |verdict| verdict != Verdict::Passed)
        .into_iter()
        .filter(|name| lists.allowed.contains(*name))
        .collect();
    if options.only.is_none() {
        save(suite, options, &results)?;
    }
    for name in passed.iter().filter(|name| !lists.allowed.contains(**name)) {
        output::line(&format!(
            "new: {name} passes; add it to {suite}/allow{mark}.txt once it does so every time",
            mark = lists::mark(options.nodes)
        ));
    }
    let denominator = results.len();
    output::line(&format!(
        "{suite}: {} of {denominator} passed ({:.1} %), {} excluded with a reason",
        passed.len(),
        passed.len() as f64 * 100.0 / denominator.max(1) as f64,
        lists.excluded,
    ));
    if !regressed.is_empty() {
        return Err(XtaskError::Refused(format!(
            "allowed cases did not pass: {}",
            regressed.join(", ")
        )));
    }
    let is_enough = passed.len() * 100 >= denominator * PASSED_PERCENT_MIN;
    if options.only.is_none() && !is_enough {
        return Err(XtaskError::Refused(format!(
            "fewer than {PASSED_PERCENT_MIN} % passed"
        )));
    }
    Ok(())
}

fn names(results: &[CaseResult], is_wanted: impl Fn(Verdict) -> bool) -> Vec<&str> {
    results
        .iter()
        .filter(|result| is_wanted(result.verdict))
        .map(|result| result.name.as_str())
        .collect()
}

/// Results of this checkout are kept with it; those of the original are for comparison only.
fn save(suite: &str, options: &Options, results: &[CaseResult]) -> Outcome {
    let mut csv = String::from("case,result,seconds\n");
    for result in results {
        let seconds = result.took.as_secs_f64();
        csv.push_str(&format!(
            "{},{},{seconds:.1}\n",
            result.name,
            result.verdict.word()
        ));
    }
    let mark = lists::mark(options.nodes);
    let path = match options.target {
        Target::Chronik => lists::dir(suite).join(format!("results{mark}.csv")),
        Target::Kafka => step::work_dir("compat")?.join(format!("{suite}-kafka{mark}.csv")),
    };
    fs::write(&path, csv).map_err(XtaskError::file("write", &path))
}
