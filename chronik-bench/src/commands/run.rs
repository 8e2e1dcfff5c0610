//! `run`: one load, or the same load several times, each with a result of its own.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{LoadArguments, Mode, OutputArguments, RunArguments};
use crate::client::ClientSettings;
use crate::clock::wall_now;
use crate::collect::{Interval, Row};
use crate::commands::baseline;
use crate::compare::{Gates, compare};
use crate::error::BenchError;
use crate::exit::Exit;
use crate::load::{self, Sink, Stage};
use crate::model::BenchResult;
use crate::output::{self, Progress};
use crate::plan::{Plan, Warmup};
use crate::recorder::Tracks;
use crate::report;
use crate::sampling::HostRow;
use crate::signals::Signals;
use crate::slo::Slo;
use crate::store::{self, Store};
use crate::summary::{self, Label};
use crate::topic::{Cluster, TopicLayout};

pub(crate) fn run(arguments: &RunArguments, signals: &Signals) -> Result<Exit, BenchError> {
    let slo: Option<Slo> = arguments.slo.as_deref().map(str::parse).transpose()?;
    if arguments.load.mode == Mode::Backlog {
        return super::backlog::run(arguments, signals);
    }
    let (results, exit) = run_group(arguments, slo.as_ref(), signals)?;
    match (&arguments.baseline, exit) {
        (Some(name), exit) if exit != Exit::Interrupted => {
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
    for _ in 0..arguments.repeat.max(1) {
        let mut done = run_once(&arguments.load, &arguments.output, signals)?;
        if let Some(slo) = slo {
            judge(slo, &mut done)?;
        }
        publish(&done.result, &arguments.output)?;
        let verdict = done.result.verdict.exit.unwrap_or(Exit::Pass);
        exit = exit.worst(verdict);
        results.push(done.result);
        if verdict == Exit::Interrupted {
            break;
        }
    }
    Ok((results, exit))
}

/// Compares with a baseline, and measures again before anything is called slower.
fn judge_against(
    name: &str,
    arguments: &RunArguments,
    results: &[BenchResult],
    signals: &Signals,
) -> Result<Exit, BenchError> {
    let gates: Gates = arguments.fail_on.parse()?;
    let base = baseline::load(&arguments.baselines, name)?;
    let mut comparison = compare(&base, results, None, &gates);
    let mut reruns = 0;
    while comparison.exit == Exit::Inconclusive && reruns < arguments.confirm {
        reruns += 1;
        output::note("over the threshold: measuring again");
        let (rerun, exit) = run_group(arguments, None, signals)?;
        if exit == Exit::Interrupted {
            return Ok(exit);
        }
        comparison = compare(&base, results, Some(&rerun), &gates);
    }
    super::compare::print(&comparison, false);
    Ok(comparison.exit)
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
    let mut sink = RunSink {
        store: Store::create(&output.out, &output.name, wall_now())?,
        progress: Progress::new(output.progress, expected(plan)),
    };
    let stage = Stage {
        cluster: &cluster,
        topics: &topics,
        signals,
    };
    let measurement = load::execute(plan, &stage, &mut sink)?;
    sink.progress.finish();
    let label = Label {
        name: &output.name,
        software,
        cluster_id: cluster.id(),
    };
    let result = summary::summarize(plan, &topics, &measurement, &label);
    sink.store.result(&result)?;
    report::write(sink.store.dir(), &[])?;
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
struct RunSink {
    store: Store,
    progress: Progress,
}

impl Sink for RunSink {
    fn phase(&mut self, phase: &str) {
        self.progress.phase(phase);
    }

    fn interval(&mut self, interval: &Interval, row: &Row) {
        self.store.interval(interval, row);
        self.progress.row(row);
    }

    fn host(&mut self, row: &HostRow) {
        self.store.host(row);
    }

    fn snapshot(&mut self, so_far: &Tracks) {
        if let Some(path) = self.store.snapshot(so_far) {
            self.progress
                .phase(&format!("snapshot in {}", path.display()));
        }
    }
}

fn topics(plan: &Plan, cluster: &Cluster) -> Result<Vec<TopicLayout>, BenchError> {
    if matches!(plan.mode, Mode::Connect | Mode::Metadata) {
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
