//! `compare`: two groups of stored results, one verdict.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::CompareArguments;
use crate::compare::{Comparison, Gates, Outcome, compare};
use crate::error::BenchError;
use crate::exit::Exit;
use crate::import::import;
use crate::model::BenchResult;
use crate::output;
use crate::store::read_result;
use crate::units::grouped;

pub(crate) fn run(arguments: &CompareArguments) -> Result<Exit, BenchError> {
    let gates: Gates = arguments.fail_on.parse()?;
    let gates = gates.below(arguments.maximum.map(|maximum| maximum as f64));
    let read = |paths: &String| read_group(&split(paths));
    let base = read(&arguments.base)?;
    let candidate = read(&arguments.candidate)?;
    let rerun = arguments.rerun.as_ref().map(read).transpose()?;
    check_machines(&base, &candidate, arguments.force)?;
    let comparison = compare(&base, &candidate, rerun.as_deref(), &gates);
    match arguments.json {
        true => {
            let text = serde_json::to_string_pretty(&comparison).expect("a comparison is data");
            output::line(&text);
        }
        false => print(&comparison, arguments.force),
    }
    Ok(comparison.exit)
}

fn split(paths: &str) -> Vec<PathBuf> {
    paths.split(',').map(PathBuf::from).collect()
}

/// Results of files, folders, and folders of folders.
pub(crate) fn read_group(paths: &[PathBuf]) -> Result<Vec<BenchResult>, BenchError> {
    let mut results = Vec::new();
    for path in paths {
        if path.is_file() {
            results.push(read_file(path)?);
            continue;
        }
        if path.join("result.json").is_file() {
            results.push(read_result(path)?);
            continue;
        }
        for dir in result_dirs(path)? {
            results.push(read_result(&dir)?);
        }
    }
    match results.is_empty() {
        true => Err(BenchError::NoResults(
            paths.first().cloned().unwrap_or_default(),
        )),
        false => Ok(results),
    }
}

/// A result of ours, or one of another tool.
fn read_file(path: &Path) -> Result<BenchResult, BenchError> {
    let text = fs::read_to_string(path).map_err(BenchError::file("read", path))?;
    match import(&text) {
        Some(result) => Ok(result),
        None => read_result(path),
    }
}

/// Folders below that hold a result, oldest first by their names.
pub(crate) fn result_dirs(dir: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let entries = fs::read_dir(dir).map_err(BenchError::file("read", dir))?;
    let mut dirs: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("result.json").is_file())
        .collect();
    dirs.sort();
    Ok(dirs)
}

pub(crate) fn check_machines(
    base: &[BenchResult],
    candidate: &[BenchResult],
    force: bool,
) -> Result<(), BenchError> {
    let mut classes: Vec<&str> = base
        .iter()
        .chain(candidate)
        .map(|result| result.fingerprint.class.as_str())
        .collect();
    classes.sort_unstable();
    classes.dedup();
    if classes.len() > 1 && !force {
        return Err(BenchError::Usage(format!(
            "results of different machines ({}); --force compares them anyway and marks the report",
            classes.join(", ")
        )));
    }
    Ok(())
}

pub(crate) fn print(comparison: &Comparison, is_forced: bool) {
    output::line(&format!(
        "{} base runs, {} candidate runs{}",
        comparison.base_runs,
        comparison.candidate_runs,
        if is_forced {
            ", FORCED across machines"
        } else {
            ""
        }
    ));
    for finding in &comparison.findings {
        let word = match finding.outcome {
            Outcome::Pass => "pass",
            Outcome::Regressed => "REGRESSED",
            Outcome::Inconclusive => "inconclusive",
            Outcome::NotGated => "not gated",
        };
        output::line(&format!(
            "  {word:<13} {:<10} {} -> {}  x{:.3} [{:.3}, {:.3}], threshold x{:.2}: {}",
            finding.metric,
            grouped(finding.base_median),
            grouped(finding.candidate_median),
            finding.ratio.value,
            finding.ratio.low,
            finding.ratio.high,
            finding.threshold,
            finding.reason,
        ));
    }
    for remark in &comparison.remarks {
        output::line(&format!("  {remark}"));
    }
}
