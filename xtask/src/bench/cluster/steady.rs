//! Latency at a rate that both clusters can bear: half of the slower one's maximum, sent by chronik-bench's open loop.

use std::path::PathBuf;

use chronik_local::Store;
use chronik_local::contender::Contender;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CHRONIK, KAFKA, rate};
use crate::bench::cell::{Cell, median};
use crate::bench::loader::Loader;
use crate::bench::rounds::{Entry, Ground, Life, turn};
use crate::error::XtaskError;
use crate::output;

const SHARE_OF_THE_SLOWER: f64 = 0.5;
const WARM_UP_SECONDS: u64 = 5;

#[derive(Clone, Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Length of each window at a fixed rate, in seconds; 0 leaves the fixed rates out
    #[arg(long, default_value_t = 30)]
    steady_seconds: u64,
    /// A chronik-bench to load with instead of this checkout's
    #[arg(long)]
    loader: Option<PathBuf>,
}

/// One window of one cluster, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Steady {
    commit: String,
    contender: Contender,
    round: u32,
    cell: Cell,
    /// Records that were meant to be sent per second.
    rate: u64,
    seconds: u64,
    achieved_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
    failed: u64,
    broker_cpu_seconds_per_gigabyte: f64,
    /// What speaks against the measurement; empty is good.
    doubts: Vec<String>,
}

/// A window that is to be measured.
struct Window {
    contender: Contender,
    round: u32,
    cell: Cell,
    rate: u64,
    seconds: u64,
}

pub(super) fn run(
    options: &super::Options,
    ground: &Ground,
    entries: &[Entry],
    cells: &[Cell],
    store: &Store,
) -> Result<Vec<Steady>, XtaskError> {
    let seconds = options.steady.steady_seconds;
    if seconds == 0 {
        return Ok(Vec::new());
    }
    let seconds = options.rounds.scaled(seconds).max(WARM_UP_SECONDS);
    let loader = Loader::new(options.steady.loader.as_deref())?;
    let mut found = Vec::new();
    for round in 0..options.rounds.rounds() {
        for position in turn(2, round) {
            let contender = [KAFKA, CHRONIK][position];
            let windows = cells.iter().map(|&cell| Window {
                contender,
                round,
                cell,
                rate: shared_rate(entries, cell),
                seconds,
            });
            found.extend(measure_all(windows.collect(), ground, &loader, store)?);
        }
    }
    Ok(found)
}

/// All windows of one life of a contender, which is not lived if all of them are stored.
fn measure_all(
    windows: Vec<Window>,
    ground: &Ground,
    loader: &Loader,
    store: &Store,
) -> Result<Vec<Steady>, XtaskError> {
    let mut all = Vec::new();
    let mut life = None;
    for window in windows {
        if let Some(found) = window.stored(store)? {
            all.push(found);
            continue;
        }
        let life = match &mut life {
            Some(life) => life,
            none => none.insert(begin(ground, window.contender)?),
        };
        let found = window.measure(life, loader, store)?;
        output::line(&found.row());
        store.write(&window.file_name(), &found)?;
        all.push(found);
    }
    if let Some(mut life) = life {
        life.cluster.stop()?;
    }
    Ok(all)
}

fn begin(ground: &Ground, contender: Contender) -> Result<Life, XtaskError> {
    output::heading(&format!("fixed rates: {}", contender.name()));
    ground.start(contender)
}

fn shared_rate(entries: &[Entry], cell: Cell) -> u64 {
    let slower = rate(entries, KAFKA, cell).min(rate(entries, CHRONIK, cell));
    (slower * SHARE_OF_THE_SLOWER) as u64
}

impl Window {
    fn file_name(&self) -> String {
        format!(
            "steady-{}-{}-round-{}",
            self.contender.word(),
            self.cell.word(),
            self.round
        )
    }

    /// Another rate or length is another measurement.
    fn stored(&self, store: &Store) -> Result<Option<Steady>, XtaskError> {
        let stored: Option<Steady> = store.read(&self.file_name())?;
        Ok(stored.filter(|found| found.rate == self.rate && found.seconds == self.seconds))
    }

    fn measure(&self, life: &Life, loader: &Loader, store: &Store) -> Result<Steady, XtaskError> {
        let arguments = format!(
            "--bootstrap-servers {} --topic steady-{} --partitions {} --replication-factor {} --message-size {} \
             --rate {} --warmup {WARM_UP_SECONDS}s --duration {}s --name {}",
            life.cluster.bootstrap(),
            self.cell.word(),
            self.cell.partitions,
            self.contender.replicas(),
            self.cell.record_bytes,
            self.rate,
            self.seconds,
            self.file_name(),
        );
        let result = loader.load(&arguments, &store.dir().join("loads"))?;
        self.parse(&result, store.commit())
            .ok_or_else(|| XtaskError::Unreadable {
                tool: "chronik-bench",
                text: result.to_string(),
            })
    }

    fn parse(&self, result: &Value, commit: &str) -> Option<Steady> {
        let headline = result.pointer("/latency_us/headline")?.as_str()?;
        let latency = result.pointer("/latency_us/by_tag")?.get(headline)?;
        let ms = |name: &str| Some(latency.get(name)?.as_f64()? / 1e3);
        let brokers = result.get("resources")?.as_array()?.iter();
        let costs = brokers
            .filter(|resource| resource["subject"] != "generator")
            .filter_map(|resource| resource["cpu_s_per_gb"].as_f64());
        let reasons = result.pointer("/verdict/reasons")?.as_array()?.iter();
        Some(Steady {
            commit: commit.to_owned(),
            contender: self.contender,
            round: self.round,
            cell: self.cell,
            rate: self.rate,
            seconds: self.seconds,
            achieved_per_second: result.pointer("/throughput/msgs_per_second")?.as_f64()?,
            p50_ms: ms("p50")?,
            p99_ms: ms("p99")?,
            p999_ms: ms("p999")?,
            max_ms: ms("max")?,
            failed: result.pointer("/errors/failed")?.as_u64()?,
            broker_cpu_seconds_per_gigabyte: costs.sum(),
            doubts: reasons
                .filter_map(|reason| Some(reason.as_str()?.to_owned()))
                .collect(),
        })
    }
}

impl Steady {
    fn row(&self) -> String {
        format!(
            "{:<16} {:<22} {:>8} {:>10.0} {:>8.1} {:>8.1} {:>9.1} {:>8.1} {:>7} {:>9.2}  {}",
            self.contender.name(),
            self.cell.name(),
            self.rate,
            self.achieved_per_second,
            self.p50_ms,
            self.p99_ms,
            self.p999_ms,
            self.max_ms,
            self.failed,
            self.broker_cpu_seconds_per_gigabyte,
            self.doubts.join("; "),
        )
    }
}

pub(super) fn print(windows: &[Steady]) {
    output::heading(
        "at half of the slower one's maximum, from the intended send to the acknowledgement",
    );
    output::line(
        "broker           cell                       rate achieved/s   p50 ms   p99 ms  p99.9 ms   max ms  failed  CPU s/GB  doubts",
    );
    let mut sorted: Vec<&Steady> = windows.iter().collect();
    sorted.sort_by_key(|found| (found.cell.word(), found.contender.word(), found.round));
    for window in sorted {
        output::line(&window.row());
    }
}

/// None if nothing was measured.
pub(super) fn median_p99_ms(windows: &[Steady], contender: Contender, cell: Cell) -> Option<f64> {
    let p99 = median(
        windows
            .iter()
            .filter(|found| found.contender == contender && found.cell == cell)
            .map(|found| found.p99_ms),
    );
    p99.is_finite().then_some(p99)
}
