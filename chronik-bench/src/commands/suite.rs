//! `suite`: several workloads against several targets, interleaved, with one report over all of them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use chronik_local::{ChronikOptions, KafkaOptions, Node, kafka, target_dir};
use clap::Parser;
use serde::Deserialize;

use crate::cli::{Cli, LoadArguments, OutputArguments, SuiteArguments};
use crate::clock::{utc, utc_compact, wall_now};
use crate::commands::run::run_plan;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::model::BenchResult;
use crate::output;
use crate::plan::Plan;
use crate::report::{Story, page};
use crate::signals::Signals;
use crate::stats;
use crate::units::{grouped, latency};

const SMOKE: &str = include_str!("../../suites/smoke.toml");
const SIDE_BY_SIDE: &str = include_str!("../../suites/side-by-side.toml");

/// A suite as it is written down.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    name: String,
    /// One sentence for the report.
    about: String,
    targets: Vec<Target>,
    workloads: Vec<Workload>,
}

/// A cluster to start, or one that is there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    name: String,
    kind: Kind,
    /// Of a target that is there.
    bootstrap: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Kafka,
    Chronik,
    Running,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Workload {
    name: String,
    /// As on the command line.
    arguments: String,
}

/// A target that serves; a started one ends with its handle.
struct Serving {
    bootstrap: String,
    node: Option<Node>,
}

/// One result with what it was made of.
struct Cell {
    target: String,
    workload: String,
    result: BenchResult,
    dir: PathBuf,
}

pub(crate) fn run(arguments: &SuiteArguments, signals: &Signals) -> Result<Exit, BenchError> {
    let suite = read(&arguments.suite)?;
    let started = wall_now();
    let dir = arguments
        .output
        .out
        .join(format!("{}-{}", utc_compact(started), suite.name));
    fs::create_dir_all(&dir).map_err(BenchError::file("make the folder", &dir))?;
    let mut cells = Vec::new();
    let mut exit = Exit::Pass;
    'rounds: for round in 0..arguments.rounds.max(1) {
        // Whoever goes second finds a disk that was just busy, so they take turns at that as well.
        let mut targets = suite.targets.clone();
        let turn = round as usize % targets.len().max(1);
        targets.rotate_left(turn);
        for target in &targets {
            output::note(&format!(
                "== round {} of {}: {}",
                round + 1,
                arguments.rounds,
                target.name
            ));
            let verdict = run_target(arguments, &suite, target, round, &dir, signals, &mut cells)?;
            exit = exit.worst(verdict);
            if verdict == Exit::Interrupted {
                break 'rounds;
            }
        }
    }
    let markdown = markdown(&suite, &cells, &utc(started));
    let path = dir.join("report.md");
    fs::write(&path, &markdown).map_err(BenchError::file("write", &path))?;
    write_page(&dir, &suite, &cells)?;
    output::line(&markdown);
    output::line(&format!("wrote {}", path.display()));
    Ok(exit)
}

fn read(name: &str) -> Result<Suite, BenchError> {
    let text = match name {
        "builtin:smoke" => SMOKE.to_owned(),
        "builtin:side-by-side" | "side-by-side" => SIDE_BY_SIDE.to_owned(),
        path => fs::read_to_string(path).map_err(BenchError::file("read", path))?,
    };
    toml::from_str(&text).map_err(|wrong| BenchError::Usage(format!("{name}: {wrong}")))
}

/// All workloads of one round on one target, which has the machine to itself meanwhile.
fn run_target(
    arguments: &SuiteArguments,
    suite: &Suite,
    target: &Target,
    round: u32,
    dir: &Path,
    signals: &Signals,
    cells: &mut Vec<Cell>,
) -> Result<Exit, BenchError> {
    let data = arguments
        .data
        .clone()
        .unwrap_or_else(|| dir.join("data"))
        .join(format!("{}-{round}", target.name));
    let mut serving = start(target, arguments, &data)?;
    let mut exit = Exit::Pass;
    for (number, workload) in suite.workloads.iter().enumerate() {
        let load = load(workload, &serving.bootstrap, number)?;
        let mut plan = Plan::of(&load)?;
        plan.duration = plan.duration.mul_f64(arguments.scale);
        let output = OutputArguments {
            name: format!("{}-{}", workload.name, target.name),
            out: dir.to_path_buf(),
            ..arguments.output.clone()
        };
        output::note(&format!("-- {}: {}", target.name, workload.name));
        let done = run_plan(&plan, &output, Some(&target.name), signals)?;
        let verdict = done.result.verdict.exit.unwrap_or(Exit::Pass);
        exit = exit.worst(verdict);
        cells.push(Cell {
            target: target.name.clone(),
            workload: workload.name.clone(),
            result: done.result,
            dir: done.dir,
        });
        if verdict == Exit::Interrupted {
            break;
        }
    }
    if let Some(node) = &mut serving.node {
        node.stop()?;
        fs::remove_dir_all(&data).map_err(BenchError::file("remove", &data))?;
    }
    Ok(exit)
}

fn start(target: &Target, arguments: &SuiteArguments, data: &Path) -> Result<Serving, BenchError> {
    if target.kind == Kind::Running {
        let bootstrap = target.bootstrap.clone().ok_or_else(|| {
            BenchError::Usage(format!(
                "target {} is running, but where? (bootstrap)",
                target.name
            ))
        })?;
        return Ok(Serving {
            bootstrap,
            node: None,
        });
    }
    fs::create_dir_all(data).map_err(BenchError::file("make the folder", data))?;
    // Brokers run elsewhere than this program, so their folder must not depend on where it was started.
    let data = fs::canonicalize(data).map_err(BenchError::file("find", data))?;
    let node = match target.kind {
        Kind::Kafka => KafkaOptions::new(&data).start()?,
        _ => {
            let server = arguments
                .server
                .clone()
                .unwrap_or_else(|| target_dir().join("release/chronik-server"));
            ChronikOptions::new(server, &data).start()?
        }
    };
    Ok(Serving {
        bootstrap: node.bootstrap(),
        node: Some(node),
    })
}

fn load(workload: &Workload, bootstrap: &str, number: usize) -> Result<LoadArguments, BenchError> {
    let text = format!(
        "chronik-bench --bootstrap-servers {bootstrap} --topic suite-{number} {}",
        workload.arguments
    );
    let cli = Cli::try_parse_from(text.split_whitespace())
        .map_err(|wrong| BenchError::Usage(format!("workload {}: {wrong}", workload.name)))?;
    Ok(cli.run.load)
}

/// Medians of all rounds, all targets of a workload under each other, losses as plain as wins.
fn markdown(suite: &Suite, cells: &[Cell], started: &str) -> String {
    let mut text = format!("# {}\n\n{}\n\nStarted {started}", suite.name, suite.about);
    if let Some(first) = cells.first() {
        let machine = &first.result.fingerprint;
        let _ = write!(
            text,
            "; {} ({} cores, Linux {}), generator on the same machine: {}; librdkafka {}; Apache Kafka {}",
            machine.cpu,
            machine.cores,
            machine.kernel,
            if machine.co_located { "yes" } else { "no" },
            first.result.tool.librdkafka,
            kafka::VERSION,
        );
    }
    text.push_str(
        ".\n\nMedians over rounds; CPU is the broker's, per 10^9 payload bytes. `x` is the ratio to the first target: more is better for msg/s, less for the rest.\n\n",
    );
    for workload in &suite.workloads {
        workload_table(&mut text, suite, workload, cells);
    }
    remarks(&mut text, cells);
    text
}

fn workload_table(text: &mut String, suite: &Suite, workload: &Workload, cells: &[Cell]) {
    let _ = write!(
        text,
        "## {}\n\n`{}`\n\n| target | rounds | msg/s | x | p50 | p99 | x | p99.9 | max | broker CPU s/GB | x | RSS MB |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        workload.name, workload.arguments
    );
    let mut first: Option<[f64; 3]> = None;
    for target in &suite.targets {
        let results: Vec<&BenchResult> = cells
            .iter()
            .filter(|cell| cell.target == target.name && cell.workload == workload.name)
            .map(|cell| &cell.result)
            .collect();
        let median = |of: &dyn Fn(&BenchResult) -> Option<f64>| {
            let values: Vec<f64> = results.iter().filter_map(|result| of(result)).collect();
            stats::median(&values)
        };
        let timed = |of: fn(&crate::model::Latency) -> f64| {
            median(&move |result| result.headline_latency().map(|(_, found)| of(found)))
        };
        let rate = median(&|result| Some(result.throughput.headline_per_second));
        let p99 = timed(|found| found.p99);
        let cost = median(&|result| broker(result)?.cpu_s_per_gb);
        let base = *first.get_or_insert([rate, p99, cost]);
        let ratio = |value: f64, base: f64| match (value / base).is_finite() {
            true => format!("{:.2}", value / base),
            false => "-".to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0} |",
            target.name,
            results.len(),
            grouped(rate),
            ratio(rate, base[0]),
            latency(timed(|found| found.p50)),
            latency(p99),
            ratio(p99, base[1]),
            latency(timed(|found| found.p999)),
            latency(timed(|found| found.max)),
            if cost.is_finite() {
                format!("{cost:.2}")
            } else {
                "-".to_owned()
            },
            ratio(cost, base[2]),
            median(&|result| Some(broker(result)?.resident_max_bytes)) / 1e6,
        );
    }
    text.push('\n');
}

fn broker(result: &BenchResult) -> Option<&crate::model::Resource> {
    result
        .resources
        .iter()
        .find(|resource| resource.subject != "generator")
}

/// What the audits said, once each.
fn remarks(text: &mut String, cells: &[Cell]) {
    let mut remarks: Vec<String> = cells
        .iter()
        .flat_map(|cell| {
            cell.result
                .verdict
                .reasons
                .iter()
                .map(move |reason| format!("{}, {}: {reason}", cell.target, cell.workload))
        })
        .collect();
    remarks.sort();
    remarks.dedup();
    if remarks.is_empty() {
        text.push_str("No audit was red and no promise was broken.\n");
        return;
    }
    text.push_str("## Runs that do not count, or broke a promise\n\n");
    for remark in remarks {
        let _ = writeln!(text, "- {remark}");
    }
}

/// A page for each workload: the first round of every target, drawn over each other.
fn write_page(dir: &Path, suite: &Suite, cells: &[Cell]) -> Result<(), BenchError> {
    for workload in &suite.workloads {
        let stories: Vec<Story> = suite
            .targets
            .iter()
            .filter_map(|target| {
                let is_it =
                    |cell: &&Cell| cell.target == target.name && cell.workload == workload.name;
                Story::read(&cells.iter().find(is_it)?.dir).ok()
            })
            .collect();
        let stories: Vec<&Story> = stories.iter().collect();
        let path = dir.join(format!("{}.html", workload.name));
        let title = format!("{}: {}", suite.name, workload.name);
        fs::write(&path, page(&title, &stories)).map_err(BenchError::file("write", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_suites_are_valid_down_to_their_arguments() {
        for name in ["builtin:smoke", "builtin:side-by-side"] {
            let suite = read(name).unwrap();
            assert!(!suite.targets.is_empty() && !suite.workloads.is_empty());
            for workload in &suite.workloads {
                let load = load(workload, "localhost:1", 0).unwrap();
                Plan::of(&load).unwrap();
            }
        }
    }
}
