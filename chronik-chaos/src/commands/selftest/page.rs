//! The matrix of mutants as lines on a terminal and as a page of the documents.

use std::fmt::Write as _;

use super::Hunt;
use crate::commands::campaign::Ended;
use crate::verdict::{Outcome, Verdict};

/// What hunting one mutant showed.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) hunt: &'static Hunt,
    /// All runs with it; the last one caught it, if any did.
    pub(super) runs: Vec<Ended>,
}

/// What a scenario said where nothing was planted.
#[derive(Debug)]
pub(super) struct Clean {
    pub(super) scenario: String,
    pub(super) runs: Vec<Ended>,
}

impl Row {
    pub(super) fn is_caught(&self) -> bool {
        self.caught().is_some()
    }

    /// The scenario that caught it.
    pub(super) fn scenario(&self) -> Option<&str> {
        self.caught().map(|ended| ended.verdict.scenario.as_str())
    }

    pub(super) fn says(&self) -> String {
        let mark = if self.is_caught() { "ok " } else { "BAD" };
        let by = match self.caught() {
            Some(ended) => format!(
                "{} in run {}: {}",
                ended.verdict.scenario,
                self.runs.len(),
                findings(&ended.verdict)
            ),
            None => format!("nobody in {} runs", self.runs.len()),
        };
        format!(
            "{mark} {:<4} {:<26} caught by {by}",
            self.hunt.number, self.hunt.mutant
        )
    }

    fn caught(&self) -> Option<&Ended> {
        self.runs
            .last()
            .filter(|ended| ended.verdict.outcome.is_failure())
    }
}

impl Clean {
    /// Nothing was planted, so nothing may be found. A run that could not say anything is not held against it.
    pub(super) fn is_good(&self) -> bool {
        self.runs
            .iter()
            .all(|ended| !ended.verdict.outcome.is_failure())
    }

    pub(super) fn says(&self) -> String {
        let mark = if self.is_good() { "ok " } else { "BAD" };
        format!(
            "{mark} nothing planted             {}: {} of {} passed",
            self.scenario,
            self.passed(),
            self.runs.len()
        )
    }

    fn passed(&self) -> usize {
        let passed = |ended: &&Ended| ended.verdict.outcome == Outcome::Pass;
        self.runs.iter().filter(passed).count()
    }
}

/// The classes that were found, or the gates that were missed where no promise was broken.
fn findings(verdict: &Verdict) -> String {
    let errors = verdict
        .broken
        .iter()
        .filter(|broken| broken.severity == "error");
    let mut classes: Vec<&str> = errors.map(|broken| broken.anomaly.as_str()).collect();
    classes.sort_unstable();
    classes.dedup();
    match classes.is_empty() {
        false => classes.join(", "),
        true => verdict.missed_gates.join("; "),
    }
}

/// `docs/chaos-mutants.md`.
pub(super) fn page(commit: &str, rows: &[Row], clean: &[Clean]) -> String {
    let mut page = format!(
        "# Mistakes that chronik-chaos notices\n\n\
         Written by `chronik-chaos selftest --mutants all --clean {} --write docs/chaos-mutants.md` at {commit}. A server \
         that was built with the feature `chaos` makes one mistake on purpose; the run is the one in which the scenario \
         noticed it. A released server has none of them.\n\n\
         | | mistake | a server that has it | noticed by | run | as | expected |\n|---|---|---|---|---|---|---|\n",
        clean
            .iter()
            .map(|clean| clean.runs.len())
            .max()
            .unwrap_or(0)
    );
    for row in rows {
        let (scenario, found) = match row.caught() {
            Some(ended) => (
                format!("`{}`", ended.verdict.scenario),
                findings(&ended.verdict),
            ),
            None => ("**nobody**".to_owned(), "-".to_owned()),
        };
        let _ = writeln!(
            page,
            "| {} | `{}` | {} | {scenario} | {} | {found} | {} |",
            row.hunt.number,
            row.hunt.mutant,
            row.hunt.mutant.says(),
            row.runs.len(),
            row.hunt.predicted,
        );
    }
    if !clean.is_empty() {
        page.push_str("\n## Nothing planted\n\nThe same build without a mistake, under the same scenarios:\n\n| scenario | passed |\n|---|---|\n");
        for clean in clean {
            let _ = writeln!(
                page,
                "| `{}` | {} of {} |",
                clean.scenario,
                clean.passed(),
                clean.runs.len()
            );
        }
    }
    page
}
