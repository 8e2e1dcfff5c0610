//! Does chronik-bench judge rightly? Pairs of identical builds must not look different, and a planted slowdown must be found.
//!
//! Both sides of a pair are the same program. For a planted slowdown one side is stopped for a share of the time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use chronik_local::contender::{Contender, Kind};
use chronik_local::{Cluster, Node, Store};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cell::median;
use super::loader::Loader;
use super::store;
use crate::error::XtaskError;
use crate::{Outcome, output, step};

const ONE_NODE: Contender = Contender {
    kind: Kind::Chronik,
    nodes: 1,
};
/// A stopped broker and a running one alternate within this time.
const STOP_CYCLE: Duration = Duration::from_millis(20);
/// What must be found of the planted slowdowns: 18 of 20.
const FOUND_MIN: f64 = 0.9;
/// Half of what must be caught.
const GATE: &str = "throughput=-5";
const LOAD: &str = "--topic verdicts --concurrency 64 --warmup 1s --name run";

#[derive(Args)]
pub(crate) struct Options {
    /// What the pairs are
    #[arg(long, value_enum, default_values_t = [Plant::Nothing, Plant::Slowdown])]
    plant: Vec<Plant>,
    /// How many pairs of each kind
    #[arg(long, default_value_t = 20)]
    pairs: u32,
    /// Runs of each side of a pair
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Length of a run's window
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Share of the time for which a slowed broker is stopped
    #[arg(long, default_value_t = 0.1)]
    stopped: f64,
    /// Keep the pairs that were judged at this commit and judge what is missing
    #[arg(long)]
    resume: bool,
    /// A server to load instead of this checkout's
    #[arg(long)]
    server: Option<PathBuf>,
}

/// What is different about the second side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Plant {
    Nothing,
    Slowdown,
}

/// One judged pair, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pair {
    commit: String,
    plant: Plant,
    number: u32,
    runs: u32,
    seconds: u64,
    /// Throughput of the second side over that of the first, and its interval.
    ratio: [f64; 3],
    /// Of the comparison, as chronik-bench says it.
    exit: String,
    reason: String,
    was_measured_again: bool,
}

/// Two brokers of one program, side by side; the one that is not loaded idles.
struct Sides {
    base: Cluster,
    candidate: Cluster,
    dir: tempfile::TempDir,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let store = store::open("verdicts", options.resume)?;
    let server = step::server(options.server.as_deref())?;
    let loader = Loader::new(None)?;
    let mut pairs = Vec::new();
    for plant in &options.plant {
        for number in 0..options.pairs {
            pairs.push(pair(options, *plant, number, &server, &loader, &store)?);
        }
    }
    conclude(options, &pairs)
}

fn pair(
    options: &Options,
    plant: Plant,
    number: u32,
    server: &std::path::Path,
    loader: &Loader,
    store: &Store,
) -> Result<Pair, XtaskError> {
    let name = format!("{}-{number}", plant.word());
    let stored: Option<Pair> = store.read(&name)?;
    let is_same = |pair: &Pair| (pair.runs, pair.seconds) == (options.runs, options.seconds);
    if let Some(pair) = stored.filter(is_same) {
        return Ok(pair);
    }
    let sides = Sides::start(server)?;
    let results = sides.dir.path().join("results");
    let load = |side: &str, cluster: &Cluster| -> Result<(), XtaskError> {
        let arguments = format!(
            "{LOAD} --bootstrap-servers {} --duration {}s",
            cluster.bootstrap(),
            options.seconds
        );
        loader.load(&arguments, &results.join(side)).map(drop)
    };
    let slowed = |side: &str| match plant {
        Plant::Nothing => load(side, &sides.candidate),
        Plant::Slowdown => stopping(sides.candidate.node(1), options.stopped, || {
            load(side, &sides.candidate)
        }),
    };
    for run in 0..options.runs {
        // Machines drift, so the two take turns, also at going first.
        match run % 2 {
            0 => load("base", &sides.base).and_then(|()| slowed("candidate"))?,
            _ => slowed("candidate").and_then(|()| load("base", &sides.base))?,
        }
    }
    let compare = |rerun: &str| {
        let path = |side: &str| results.join(side).display().to_string();
        loader.ask(&format!(
            "compare {} {} --fail-on {GATE} --json {rerun}",
            path("base"),
            path("candidate")
        ))
    };
    let mut verdict = compare("")?;
    let was_measured_again = verdict["exit"] == "inconclusive";
    if was_measured_again {
        for _ in 0..options.runs {
            slowed("rerun")?;
        }
        let rerun = results.join("rerun");
        verdict = compare(&format!("--rerun {}", rerun.display()))?;
    }
    let pair = Pair::of(&verdict, options, plant, number, was_measured_again, store)?;
    output::line(&pair.row());
    store.write(&name, &pair)?;
    sides.end()?;
    Ok(pair)
}

/// Stops the node for this share of the time while the load runs.
fn stopping<T>(
    node: &Node,
    share: f64,
    load: impl FnOnce() -> Result<T, XtaskError>,
) -> Result<T, XtaskError> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopper = scope.spawn(|| -> Result<(), XtaskError> {
            while !is_over.load(Ordering::Relaxed) {
                node.pause()?;
                thread::sleep(STOP_CYCLE.mul_f64(share));
                node.resume()?;
                thread::sleep(STOP_CYCLE.mul_f64(1.0 - share));
            }
            Ok(())
        });
        let loaded = load();
        is_over.store(true, Ordering::Relaxed);
        stopper.join().expect("the stopper does not panic")?;
        loaded
    })
}

impl Sides {
    fn start(server: &std::path::Path) -> Result<Self, XtaskError> {
        let work_dir = step::work_dir("bench")?;
        let dir = tempfile::tempdir_in(&work_dir)
            .map_err(XtaskError::file("make a folder in", &work_dir))?;
        let start = |side: &str| -> Result<Cluster, XtaskError> {
            let dir = dir.path().join(side);
            std::fs::create_dir_all(&dir).map_err(XtaskError::file("create", &dir))?;
            Ok(ONE_NODE.start(server, &dir, &BTreeMap::new())?.0)
        };
        Ok(Self {
            base: start("base")?,
            candidate: start("candidate")?,
            dir,
        })
    }

    fn end(mut self) -> Outcome {
        self.base.stop()?;
        Ok(self.candidate.stop()?)
    }
}

impl Plant {
    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "identical",
            Self::Slowdown => "slowed",
        }
    }
}

impl Pair {
    fn of(
        verdict: &Value,
        options: &Options,
        plant: Plant,
        number: u32,
        was_measured_again: bool,
        store: &Store,
    ) -> Result<Self, XtaskError> {
        let read = || -> Option<Self> {
            let finding = verdict.pointer("/findings/0")?;
            let bound = |name: &str| finding["ratio"][name].as_f64();
            Some(Self {
                commit: store.commit().to_owned(),
                plant,
                number,
                runs: options.runs,
                seconds: options.seconds,
                ratio: [bound("low")?, bound("value")?, bound("high")?],
                exit: verdict["exit"].as_str()?.to_owned(),
                reason: finding["reason"].as_str()?.to_owned(),
                was_measured_again,
            })
        };
        read().ok_or_else(|| XtaskError::Unreadable {
            tool: "chronik-bench compare",
            text: verdict.to_string(),
        })
    }

    fn row(&self) -> String {
        let [low, value, high] = self.ratio;
        format!(
            "{:<10} {:>2}  x{value:.3} [{low:.3}, {high:.3}]  {:<12} {}",
            self.plant.word(),
            self.number + 1,
            self.exit,
            self.reason
        )
    }
}

fn conclude(options: &Options, pairs: &[Pair]) -> Outcome {
    let mut missed = Vec::new();
    for plant in &options.plant {
        let of: Vec<&Pair> = pairs.iter().filter(|pair| pair.plant == *plant).collect();
        let count = |exit: &str| of.iter().filter(|pair| pair.exit == exit).count();
        let regressions = count("fail");
        output::line(&format!(
            "{}: {} pairs of {} and {} runs of {} s, median ratio {:.3}: {regressions} regressions, {} passed, {} inconclusive, {} invalid",
            plant.word(),
            of.len(),
            options.runs,
            options.runs,
            options.seconds,
            median(of.iter().map(|pair| pair.ratio[1])),
            count("pass"),
            count("inconclusive"),
            count("invalid"),
        ));
        let is_met = match plant {
            Plant::Nothing => regressions == 0,
            Plant::Slowdown => regressions as f64 >= of.len() as f64 * FOUND_MIN,
        };
        if !is_met {
            missed.push(plant.word());
        }
    }
    match missed.is_empty() {
        true => Ok(()),
        false => Err(XtaskError::Refused(format!(
            "not judged as required: {}",
            missed.join(", ")
        ))),
    }
}
