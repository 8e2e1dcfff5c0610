//! Starts one run in its namespaces, waits for it and judges it: what `run`, `replay`, `fuzz`, `shrink` and `compare`
//! have in common.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use chronik_local::{kafka, target_dir};

use super::CommandFault;
use crate::cli::{Place, TargetName};
use crate::contain::enter::{Janitor, start_stage};
use crate::report;
use crate::run::Plan;
use crate::scenario::Scenario;
use crate::schedule::Injection;
use crate::target::{Attachment, TargetKind};
use crate::verdict::{Outcome, Verdict, judge};
use crate::workload::install_black_boxes;
use crate::{output, seed};

/// The scenario as it will be run, for one target, under one seed.
pub(crate) fn plan(
    scenario: &Scenario,
    seed: Option<u64>,
    schedule: Option<Vec<Injection>>,
    place: &Place,
) -> Result<Plan, CommandFault> {
    let seed = match seed.unwrap_or(scenario.seed) {
        0 => seed::fresh(),
        seed => seed,
    };
    Ok(Plan {
        scenario: Scenario {
            seed,
            ..scenario.clone()
        },
        seed,
        target: target(place)?,
        schedule,
        net: place.net,
        mutant: place.mutant,
        python: match scenario.workload.black_box.is_empty() {
            true => None,
            false => Some(install_black_boxes()?),
        },
        holds: false,
        keeps_going: false,
        is_quiet: place.quiet,
    })
}

/// Runs a plan in a new folder, and judges what it left there.
pub(crate) fn launch(plan: &Plan, out: &Path) -> Result<(Verdict, PathBuf), CommandFault> {
    let run_dir = new_folder(out, &format!("{}-{}", plan.scenario.name, plan.seed))?;
    let scenario = run_dir.join("scenario.toml");
    fs::write(&scenario, plan.scenario.to_toml())
        .map_err(CommandFault::file("write", &scenario))?;
    plan.write(&run_dir)?;
    let janitor = Janitor::start(&run_dir).map_err(CommandFault::Processes)?;
    let stdin = match plan.holds {
        true => Stdio::inherit(),
        false => Stdio::null(),
    };
    let status = start_stage(&run_dir, stdin).and_then(|mut stage| stage.wait());
    let cleaned = janitor.finish().map_err(CommandFault::Processes)?;
    let status = status.map_err(CommandFault::Processes)?;
    if !status.success() || !cleaned.success() {
        return Err(CommandFault::NoResult(run_dir));
    }
    let (verdict, timeline) = judge(&run_dir, plan.target.contract(), &plan.scenario.expect)?;
    report::write_all(&run_dir, plan, &verdict, &timeline)?;
    Ok((verdict, run_dir))
}

/// One line of a verdict, and what it rests on.
pub(crate) fn show(verdict: &Verdict, run_dir: &Path) {
    output::line(format!(
        "{:<13} {} on {}, seed {}: {} batches acknowledged, {} records read at the end, {} faults, longest gap {} ms, longest election {} ms, back after {} ms",
        verdict.outcome.word().to_uppercase(),
        verdict.scenario,
        verdict.target,
        verdict.seed,
        verdict.acked_batches,
        verdict.final_records,
        verdict.injections.len(),
        verdict.gap_ms,
        verdict
            .election_ms
            .map_or("-".to_owned(), |ms| ms.to_string()),
        verdict
            .recovery_ms
            .map_or("?".to_owned(), |ms| ms.to_string()),
    ));
    for (anomaly, count) in &verdict.totals {
        output::line(format!("  {anomaly}: {count}"));
    }
    for broken in verdict.broken.iter().take(5) {
        let place = broken.place.as_deref().unwrap_or("-");
        output::line(format!(
            "    {} at {place}: {} (lines {:?})",
            broken.anomaly, broken.detail, broken.lines
        ));
    }
    for missed in &verdict.missed_gates {
        output::line(format!("  too slow: {missed}"));
    }
    for doubt in &verdict.doubts {
        output::line(format!("  doubt: {doubt}"));
    }
    output::line(format!("  {}", run_dir.join("report.html").display()));
}

/// The worst of several outcomes, as an exit code.
pub(crate) fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> u8 {
    outcomes
        .into_iter()
        .max()
        .unwrap_or(Outcome::Pass)
        .exit_code()
}

fn target(place: &Place) -> Result<TargetKind, CommandFault> {
    match &place.target {
        TargetName::Attach(text) => {
            let found = Attachment::find(text)
                .map_err(|fault| CommandFault::Usage(output::chain(&fault)))?;
            Ok(TargetKind::Attached(found))
        }
        TargetName::Kafka => Ok(TargetKind::Kafka {
            class_path: kafka::class_path()?,
        }),
        TargetName::Chronik => {
            let server = place.server.clone().unwrap_or_else(beside_this_program);
            let server = fs::canonicalize(&server).map_err(|_| {
                CommandFault::Usage(format!(
                    "{} is not there; build it (`cargo build --release -p chronik-server`) or name it with --server",
                    server.display()
                ))
            })?;
            Ok(TargetKind::Chronik { server })
        }
    }
}

/// `chronik-server` is installed and built into the same folder as this program.
fn beside_this_program() -> PathBuf {
    let here = std::env::current_exe().ok();
    let beside = here.and_then(|here| Some(here.parent()?.join("chronik-server")));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| target_dir().join("release/chronik-server"))
}

fn new_folder(out: &Path, name: &str) -> Result<PathBuf, CommandFault> {
    fs::create_dir_all(out).map_err(CommandFault::file("make", out))?;
    let out = fs::canonicalize(out).map_err(CommandFault::file("find", out))?;
    for number in 1.. {
        let name = if number == 1 {
            name.to_owned()
        } else {
            format!("{name}-{number}")
        };
        let path = out.join(name);
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(CommandFault::file("make", path)(source)),
        }
    }
    unreachable!("some number is free")
}
