//! `run`: one load, or the same load several times, each with a result of its own.

use std::path::PathBuf;
use std::time::Duration;

use crate::calibration::Calibration;
use crate::cli::{LoadArguments, Mode, OutputArguments, RunArguments};
use crate::client::ClientSettings;
use crate::clock::wall_now;
use crate::collect::{Interval, Row};
use crate::commands::backlog;
use crate::commands::baseline::{self, Promotion};
use crate::compare::{Gates, RUNS_MIN, compare};
use crate::error::BenchError;
use crate::exit::Exit;
use crate::load::{self, Measurement, Sink, Stage};
use crate::model::BenchResult;
use crate::output::{self, Progress};
use crate::plan::{Plan, Warmup};
use crate::report;
use crate::sampling::HostRow;
use crate::signals::Signals;
use crate::slo::Slo;
use crate::store::{self, Store};
use crate::summary::{self, Label};
use crate::topic::{Cluster, TopicLayout};

pub(crate) fn run(arguments: &RunArguments, signals: &Signals) -> Result<Exit, BenchError> {
    let slo: Option<Slo> = arguments.slo.as_deref().map(str::parse).transpose()?;
    let (results, exit) = run_group(arguments, slo.as_ref(), signals)?;
    let is_interrupted = results.iter().any(BenchResult::is_interrupted);
    match &arguments.baseline {
        Some(name) if !is_interrupted => {
            let verdict = judge_against(name, arguments, &results, signals)?;
            Ok(exit.worst(verdict))
        }
        _ => Ok(exit),
    }
}

/// Runs the same load so often, and says what the worst of the runs was.
fn run_group(
    arguments: &RunArguments,
    slo: Option<&Slo>,
    signals: &Signals,
) -> Result<(Vec<BenchResult>, Exit), BenchError> {
    let mut results = Vec::new();
    let mut exit = Exit::Pass;
    let mut dirs = Vec::new();
    let default = match arguments.baseline {
        Some(_) => RUNS_MIN as u32,
        None => 1,
    };
    'repeats: for _ in 0..arguments.repeat.unwrap_or(default).max(1) {
        for part in parts(&arguments.load)? {
            let output = OutputArguments {
                name: part.name(&arguments.output.name),
                ..arguments.output.clone()
            };
            let mut done = run_plan(&part.plan, &output, None, signals)?;
            if let Some(slo) = slo {
                judge(slo, &mut done)?;
            }
            publish(&done.result, &output)?;
            let verdict = done.result.verdict.exit.unwrap_or(Exit::Pass);
            exit = exit.worst(verdict);
            results.push(done.result);
            dirs.push(done.dir);
            if results.last().is_some_and(BenchResult::is_interrupted) {
                break 'repeats;
            }
        }
    }
    introduce(&mut results, &dirs)?;
    Ok((results, exit))
}

/// Tells each result of a command about the others.
fn introduce(results: &mut [BenchResult], dirs: &[PathBuf]) -> Result<(), BenchError> {
    if results.len() < 2 {
        return Ok(());
    }
    let names = dirs.iter().filter_map(|dir| dir.file_name());
    let names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    for (result, dir) in results.iter_mut().zip(dirs) {
        result.repeats.clone_from(&names);
        store::write_result(&dir.join("result.json"), result)?;
    }
    Ok(())
}

/// Compares with a baseline, and measures again before anything is called slower.
fn judge_against(
    name: &str,
    arguments: &RunArguments,
    results: &[BenchResult],
    signals: &Signals,
) -> Result<Exit, BenchError> {
    let gates: Gates = arguments.fail_on.parse()?;
    let Promotion {
        results: base,
        maximum_per_second,
        ..
    } = baseline::load(&arguments.baselines, name)?;
    let gates = gates.below(maximum_per_second);
    let mut comparison = compare(&base, results, None, &gates);
    let mut reruns = 0;
    while comparison.exit == Exit::Inconclusive && reruns < arguments.confirm {
        reruns += 1;
        output::note("over the threshold: measuring again");
        let (rerun, exit) = run_group(arguments, None, signals)?;
        if rerun.iter().any(BenchResult::is_interrupted) {
            return Ok(exit);
        }
        comparison = compare(&base, results, Some(&rerun), &gates);
    }
    super::compare::print(&comparison, false);
    Ok(comparison.exit)
}

/// One of the loads that a mode consists of; most consist of one.
pub(crate) struct Part {
    pub(crate) name: Option<&'static str>,
    pub(crate) plan: Plan,
}

impl Part {
    /// What its result is called.
    pub(crate) fn name(&self, whole: &str) -> String {
        match self.name {
            Some(part) => format!("{whole}-{part}"),
            None => whole.to_owned(),
        }
    }
}

/// The loads to run one after the other.
pub(crate) fn parts(load: &LoadArguments) -> Result<Vec<Part>, BenchError> {
    match load.mode {
        Mode::Backlog => backlog::parts(load),
        _ => Ok(vec![Part {
            name: None,
            plan: Plan::of(load)?,
        }]),
    }
}

/// A result and where it is stored.
pub(crate) struct Done {
    pub(crate) result: BenchResult,
    pub(crate) dir: PathBuf,
}

/// A missed goal is a verdict like any other.
fn judge(slo: &Slo, done: &mut Done) -> Result<(), BenchError> {
    let missed = slo.missed(&done.result);
    if missed.is_empty() {
        return Ok(());
    }
    let verdict = &mut done.result.verdict;
    let exit = verdict.exit.unwrap_or(Exit::Pass).worst(Exit::Fail);
    verdict.exit = Some(exit);
    verdict.code = exit.code();
    verdict
        .reasons
        .extend(missed.into_iter().map(|reason| format!("goal: {reason}")));
    store::write_result(&done.dir.join("result.json"), &done.result)?;
    report::write(&done.dir, &[])
}

/// Runs one load from its arguments to its stored result.
pub(crate) fn run_once(
    load: &LoadArguments,
    output: &OutputArguments,
    signals: &Signals,
) -> Result<Done, BenchError> {
    let plan = Plan::of(load)?;
    run_plan(&plan, output, None, signals)
}

/// Runs a plan that may come from elsewhere.
pub(crate) fn run_plan(
    plan: &Plan,
    output: &OutputArguments,
    software: Option<&str>,
    signals: &Signals,
) -> Result<Done, BenchError> {
    let cluster = Cluster::connect(&plan.bootstrap, &plan.client)?;
    let topics = topics(plan, &cluster)?;
    let label = Label {
        name: &output.name,
        software,
        cluster_id: cluster.id(),
        calibration: Calibration::find(&output.out, &plan.size),
    };
    let progress = Progress::new(output.progress(), &title(plan), expected(plan), signals)?;
    let mut sink = RunSink {
        plan,
        topics: &topics,
        label: &label,
        store: Store::create(&output.out, &output.name, wall_now())?,
        progress,
    };
    let stage = Stage {
        cluster: &cluster,
        topics: &topics,
        signals,
    };
    let measurement = load::execute(plan, &stage, &mut sink)?;
    sink.progress.finish();
    let result = sink.summarize(&measurement);
    sink.store.result(&result)?;
    report::write(sink.store.dir(), &[])?;
    if output.csv {
        report::write_csv(sink.store.dir())?;
    }
    Ok(Done {
        result,
        dir: sink.store.dir().to_path_buf(),
    })
}

/// Shows a result as the arguments ask for.
pub(crate) fn publish(result: &BenchResult, output: &OutputArguments) -> Result<(), BenchError> {
    match output.json.as_deref().map(|path| (path, path.to_str())) {
        Some((_, Some("-"))) => {
            let text = serde_json::to_string_pretty(result).expect("a result is plain data");
            output::line(&text);
        }
        Some((path, _)) => {
            store::write_result(path, result)?;
            output::print_summary(result);
        }
        None => output::print_summary(result),
    }
    Ok(())
}

/// Both audiences of a load.
struct RunSink<'a> {
    plan: &'a Plan,
    topics: &'a [TopicLayout],
    label: &'a Label<'a>,
    store: Store,
    progress: Progress,
}

impl RunSink<'_> {
    fn summarize(&self, measurement: &Measurement) -> BenchResult {
        summary::summarize(self.plan, self.topics, measurement, self.label)
    }
}

impl Sink for RunSink<'_> {
    fn phase(&mut self, phase: &str) {
        self.progress.phase(phase);
    }

    fn interval(&mut self, interval: &Interval, row: &Row) {
        self.store.interval(interval, row);
        self.progress.row(row);
    }

    fn host(&mut self, row: &HostRow) {
        self.store.host(row);
        self.progress.host(row);
    }

    fn checkpoint(&mut self, so_far: &Measurement) {
        let result = self.summarize(so_far);
        self.store.checkpoint(&result);
    }

    fn snapshot(&mut self, so_far: &Measurement) {
        self.checkpoint(so_far);
        let told = match report::write(self.store.dir(), &[]) {
            Ok(()) => format!("snapshot in {}", self.store.dir().display()),
            Err(failed) => format!("no snapshot: {failed}"),
        };
        self.progress.remark(&told);
    }
}

fn topics(plan: &Plan, cluster: &Cluster) -> Result<Vec<TopicLayout>, BenchError> {
    if plan.mode == Mode::Metadata {
        return Ok(Vec::new());
    }
    plan.topics
        .iter()
        .map(|name| {
            cluster.ensure_topic(
                name,
                plan.partitions,
                plan.replication_factor,
                plan.creates_topics,
            )
        })
        .collect()
}

/// What the load is, for whoever watches it.
fn title(plan: &Plan) -> String {
    format!(
        "{} at {}",
        summary::workload(plan).load(),
        plan.bootstrap.split(',').next().unwrap_or_default()
    )
}

fn expected(plan: &Plan) -> Option<Duration> {
    match (plan.warmup, plan.messages) {
        (Warmup::Fixed(warmup), None) => Some(warmup + plan.duration),
        _ => None,
    }
}

/// Settings for questions only.
pub(crate) fn tool_client(
    bootstrap: &str,
    properties: &[String],
) -> Result<ClientSettings, BenchError> {
    let user = properties
        .iter()
        .map(|line| match line.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(BenchError::Usage(format!("{line:?} is not KEY=VALUE"))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(ClientSettings::for_tools(bootstrap).with_user(user))
}
