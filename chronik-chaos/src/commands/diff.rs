//! `diff`: two runs side by side.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{CommandFault, Done};
use crate::output;
use crate::verdict::Verdict;

pub(crate) fn diff(left: &Path, right: &Path) -> Done {
    let (left, right) = (result(left)?, result(right)?);
    let mut is_same = true;
    let mut row = |name: &str, left: String, right: String| {
        let mark = if left == right { " " } else { "*" };
        is_same &= left == right;
        output::line(format!("{mark} {name:<28} {left:<28} {right}"));
    };
    row("scenario", left.scenario.clone(), right.scenario.clone());
    row("target", left.target.clone(), right.target.clone());
    row("seed", left.seed.to_string(), right.seed.to_string());
    row(
        "outcome",
        left.outcome.word().into(),
        right.outcome.word().into(),
    );
    row(
        "faults",
        left.injections.len().to_string(),
        right.injections.len().to_string(),
    );
    row(
        "acknowledged batches",
        left.acked_batches.to_string(),
        right.acked_batches.to_string(),
    );
    row(
        "longest gap",
        format!("{} ms", left.gap_ms),
        format!("{} ms", right.gap_ms),
    );
    row(
        "back after the heal",
        format!("{:?} ms", left.recovery_ms),
        format!("{:?} ms", right.recovery_ms),
    );
    row(
        "p99",
        format!("{:.1} ms", left.latency_p99_ms),
        format!("{:.1} ms", right.latency_p99_ms),
    );
    let anomalies: BTreeSet<&String> = left.totals.keys().chain(right.totals.keys()).collect();
    for anomaly in anomalies {
        let count = |verdict: &Verdict| {
            verdict
                .totals
                .get(anomaly)
                .copied()
                .unwrap_or(0)
                .to_string()
        };
        row(anomaly, count(&left), count(&right));
    }
    Ok(u8::from(!is_same))
}

/// The stored result of a run.
pub(crate) fn result(run_dir: &Path) -> Result<Verdict, CommandFault> {
    let path = run_dir.join("result.json");
    let text = fs::read(&path).map_err(CommandFault::file("read", &path))?;
    serde_json::from_slice(&text)
        .map_err(|_| CommandFault::Usage(format!("{} is not a result", path.display())))
}
