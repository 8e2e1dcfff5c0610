//! `baseline`: results that others are measured against, as files per machine; they move by `promote` only.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::{BaselineArguments, BaselineVerb, NewBaseline};
use crate::clock::{utc, wall_now};
use crate::commands::compare::read_group;
use crate::compare::RUNS_MIN;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::fingerprint;
use crate::model::BenchResult;
use crate::output;
use crate::stats;
use crate::units::grouped;

/// One promotion: the newest line of a file is the baseline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Promotion {
    promoted_utc: String,
    /// The highest rate that the cluster could bear, as find-max found it.
    #[serde(default)]
    pub(crate) maximum_per_second: Option<f64>,
    pub(crate) results: Vec<BenchResult>,
}

pub(crate) fn run(arguments: &BaselineArguments) -> Result<Exit, BenchError> {
    let dir = &arguments.baselines;
    match &arguments.verb {
        BaselineVerb::Save(new) => {
            let name = &new.name;
            if file(dir, name).exists() {
                return Err(BenchError::Usage(format!(
                    "baseline {name} is there; `baseline promote` moves it"
                )));
            }
            append(dir, new)?;
        }
        BaselineVerb::Promote(new) => append(dir, new)?,
        BaselineVerb::List => {
            for name in names(dir)? {
                describe(&name, &history(dir, &name)?);
            }
        }
        BaselineVerb::Show { name } => {
            let text = serde_json::to_string_pretty(&load(dir, name)?.results).expect("plain data");
            output::line(&text);
        }
        BaselineVerb::History { name } => {
            for promotion in history(dir, name)? {
                describe(&promotion.promoted_utc, std::slice::from_ref(&promotion));
            }
        }
        BaselineVerb::Rm { name } => {
            let path = file(dir, name);
            fs::remove_file(&path).map_err(BenchError::file("remove", &path))?;
        }
    }
    Ok(Exit::Pass)
}

/// The current baseline of this machine.
pub(crate) fn load(dir: &Path, name: &str) -> Result<Promotion, BenchError> {
    let path = file(dir, name);
    history(dir, name)?.pop().ok_or(BenchError::NoResults(path))
}

fn append(dir: &Path, new: &NewBaseline) -> Result<(), BenchError> {
    let name = &new.name;
    let results = read_group(&new.results)?;
    check(&results)?;
    let path = file(dir, name);
    let parent = path.parent().expect("a baseline lies in a folder");
    fs::create_dir_all(parent).map_err(BenchError::file("make the folder", parent))?;
    let promotion = Promotion {
        promoted_utc: utc(wall_now()),
        maximum_per_second: new
            .maximum
            .map(|rate| rate.messages_per_second(results[0].workload.message_bytes_mean)),
        results,
    };
    let line = serde_json::to_string(&promotion).expect("results are plain data");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(BenchError::file("open", &path))?;
    writeln!(file, "{line}").map_err(BenchError::file("write", &path))?;
    describe(name, &[promotion]);
    Ok(())
}

/// A baseline is made of valid runs, enough of them, of this machine.
fn check(results: &[BenchResult]) -> Result<(), BenchError> {
    let refuse = |why: String| Err(BenchError::Usage(format!("no baseline: {why}")));
    if results.len() < RUNS_MIN {
        return refuse(format!(
            "{} runs, at least {RUNS_MIN} are needed",
            results.len()
        ));
    }
    let here = fingerprint::of_this_machine(false).class;
    for result in results {
        if result.fingerprint.class != here {
            return refuse(format!("{} was measured on another machine", result.name));
        }
        if let Some(entry) = result.audit.red().chain(result.audit.amber()).next() {
            return refuse(format!(
                "audit of {}: {}: {}",
                result.name, entry.name, entry.detail
            ));
        }
        if !result.complete || !result.integrity.violations.is_empty() {
            return refuse(format!("{} is incomplete or broke a promise", result.name));
        }
    }
    Ok(())
}

fn history(dir: &Path, name: &str) -> Result<Vec<Promotion>, BenchError> {
    let path = file(dir, name);
    let text = fs::read_to_string(&path).map_err(BenchError::file("read", &path))?;
    text.lines()
        .map(|line| {
            serde_json::from_str(line).map_err(|source| BenchError::NotAResult {
                path: path.clone(),
                source,
            })
        })
        .collect()
}

fn names(dir: &Path) -> Result<Vec<String>, BenchError> {
    let folder = dir.join(fingerprint::of_this_machine(false).class);
    let entries = fs::read_dir(&folder).map_err(BenchError::file("read", &folder))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join(fingerprint::of_this_machine(false).class)
        .join(format!("{name}.ndjson"))
}

fn describe(name: &str, promotions: &[Promotion]) {
    let Some(latest) = promotions.last() else {
        return;
    };
    let rates: Vec<f64> = latest
        .results
        .iter()
        .map(|result| result.throughput.headline_per_second)
        .collect();
    output::line(&format!(
        "{name}: {} runs, median {} msg/s, promoted {}",
        rates.len(),
        grouped(stats::median(&rates)),
        latest.promoted_utc
    ));
}
