//! `soak`: a fixed load for hours, every record accounted for, slopes of memory and handles; survives its own death.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Parser;
use serde::{Deserialize, Serialize};

use crate::cli::{Cli, LoadArguments, Mode, OutputArguments, SoakArguments, Verb, Verify};
use crate::clock::{utc, utc_compact, wall_now};
use crate::collect::Row;
use crate::commands::run::run_plan;
use crate::commands::verify::Reading;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::leak::{self, LeakLimits};
use crate::merge::Sum;
use crate::model::BenchResult;
use crate::output;
use crate::plan::Plan;
use crate::report::{self, Story};
use crate::sampling::{GENERATOR, HostRow};
use crate::signals::Signals;
use crate::store::{self, read_json, write_json, write_lines};
use crate::units::{grouped, spell};

const STATE: &str = "soak.json";
/// Longest time without a record while the records of a killed life are read back.
const READ_BACK_PATIENCE: Duration = Duration::from_secs(30);

/// What a resumed soak has to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    argv: Vec<String>,
    total_s: f64,
    lives: Vec<Life>,
}

/// One life of the tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Life {
    started_utc: String,
    started_unix_s: f64,
    incarnation: u32,
    /// Of a life that was killed before it could account for its records itself.
    read_back: Option<ReadBack>,
}

/// What the next life found of the records of one that was killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ReadBack {
    read: u64,
    duplicated: u64,
    reordered: u64,
    corrupt: u64,
    /// Between the first and the last record of a writer: lost, or never sent.
    missing: u64,
    /// Before the first: retention has taken them.
    retired: u64,
    problem: Option<String>,
}

pub(crate) fn run(arguments: &SoakArguments, signals: &Signals) -> Result<Exit, BenchError> {
    let Some(dir) = &arguments.resume else {
        let started = utc_compact(wall_now());
        let folder = format!("{started}-{}-soak", arguments.output.name);
        let dir = arguments.output.out.join(folder);
        fs::create_dir_all(&dir).map_err(BenchError::file("make the folder", &dir))?;
        let state = State {
            argv: std::env::args().collect(),
            total_s: arguments.load.duration.as_secs_f64(),
            lives: Vec::new(),
        };
        return live(&dir, state, arguments, signals);
    };
    let state: State = read_json(&dir.join(STATE))?;
    let cli =
        Cli::try_parse_from(&state.argv).map_err(|wrong| BenchError::Usage(wrong.to_string()))?;
    match &cli.verb {
        Some(Verb::Soak(original)) => live(dir, state, original, signals),
        _ => Err(BenchError::Usage(
            "the stored command is no soak".to_owned(),
        )),
    }
}

/// Runs what is left, then reports over all lives.
fn live(
    dir: &Path,
    mut state: State,
    arguments: &SoakArguments,
    signals: &Signals,
) -> Result<Exit, BenchError> {
    let mut plan = Plan::of(&load(arguments)?)?;
    read_back_killed(dir, &mut state, &plan)?;
    let left_s = state.total_s - measured_s(dir, &state);
    if left_s >= 1.0 {
        plan.duration = Duration::from_secs_f64(left_s);
        plan.incarnation = state.lives.len() as u32;
        plan.checkpoint = arguments.checkpoint;
        let started = wall_now();
        state.lives.push(Life {
            started_utc: utc(started),
            started_unix_s: unix_s(started),
            incarnation: plan.incarnation,
            read_back: None,
        });
        write_json(&dir.join(STATE), &state)?;
        let output = OutputArguments {
            name: format!("life-{}", plan.incarnation),
            out: dir.to_path_buf(),
            ..arguments.output.clone()
        };
        output::note(&format!(
            "soak in {}: {} to go, life {} of this soak",
            dir.display(),
            spell(plan.duration),
            plan.incarnation + 1
        ));
        run_plan(&plan, &output, None, signals)?;
    }
    conclude(dir, &state, arguments)
}

fn load(arguments: &SoakArguments) -> Result<LoadArguments, BenchError> {
    let mut load = arguments.load.clone();
    if load.rate.is_none() && load.rate_profile.is_none() {
        return Err(BenchError::Usage("soak needs a fixed --rate".to_owned()));
    }
    if load.mode == Mode::Produce {
        // Reading while writing bounds both the memory of the account and the retention that is needed.
        load.mode = Mode::E2e;
    }
    load.verify = Verify::Full;
    Ok(load)
}

/// A killed tool takes its account with it, but its records say whose they are.
fn read_back_killed(dir: &Path, state: &mut State, plan: &Plan) -> Result<(), BenchError> {
    for at in 0..state.lives.len() {
        let Some(life_dir) = life_dir(dir, &state.lives[at]) else {
            continue;
        };
        let result = store::read_result(&life_dir)?;
        if result.time.window_end != "running" || state.lives[at].read_back.is_some() {
            continue;
        }
        output::note(&format!("reading back what life {} wrote", at + 1));
        state.lives[at].read_back = Some(ReadBack::of(plan, &result));
        write_json(&dir.join(STATE), state)?;
    }
    Ok(())
}

impl ReadBack {
    fn of(plan: &Plan, killed: &BenchResult) -> Self {
        let run = u64::from_str_radix(&killed.run, 16).ok();
        let reading = Reading {
            bootstrap: &plan.bootstrap,
            client: &plan.client,
            topics: &plan.topics,
            run,
            patience: READ_BACK_PATIENCE,
        };
        let (accounts, problem) = match reading.accounts() {
            Ok((_, accounts)) => (accounts, None),
            Err(failed) => (Default::default(), Some(output::chain(&failed))),
        };
        let ledgers = || accounts.runs.values();
        Self {
            read: ledgers().map(|ledger| ledger.read).sum(),
            duplicated: ledgers().map(|ledger| ledger.duplicated.count).sum(),
            reordered: ledgers().map(|ledger| ledger.reordered.count).sum(),
            corrupt: accounts.corrupt.count,
            missing: ledgers().map(|ledger| ledger.lost.count).sum(),
            retired: accounts.before_first,
            problem,
        }
    }

    /// Puts into the result of the killed life what it could not say itself. Sends that failed explain gaps.
    fn tell(&self, result: &mut BenchResult, failed: u64, acked: u64) {
        let integrity = &mut result.integrity;
        let is_idempotent = result
            .workload
            .client_config
            .get("producer.enable.idempotence")
            .is_some_and(|value| value == "true");
        // Acknowledged and not there, or a gap that no failed send explains.
        let lost = self
            .missing
            .saturating_sub(failed)
            .max(acked.saturating_sub(self.read + self.retired));
        integrity.acked = acked;
        integrity.read = Some(self.read);
        integrity.lost = Some(lost);
        integrity.duplicated = Some(self.duplicated);
        integrity.reordered = Some(self.reordered);
        integrity.corrupt = Some(self.corrupt);
        let mut judge = |count: u64, what: &str, is_promised: bool| {
            let told = format!("{count} records {what} in a life that was killed");
            match (count, is_promised) {
                (0, _) => {}
                (_, true) => integrity.violations.push(told),
                (_, false) => integrity.allowed.push(told),
            }
        };
        judge(lost, "lost", self.problem.is_none());
        judge(self.corrupt, "corrupt", true);
        judge(self.duplicated, "duplicated", is_idempotent);
        judge(self.reordered, "reordered", is_idempotent);
        if let Some(problem) = &self.problem {
            let told = format!("a life that was killed could not be read back: {problem}");
            integrity.violations.push(told);
        }
    }
}

/// The newest folder of a life; none of one that ended before its load began.
fn life_dir(dir: &Path, life: &Life) -> Option<PathBuf> {
    let mark = format!("-life-{}-", life.incarnation);
    let entries = fs::read_dir(dir).ok()?;
    let dirs = entries.filter_map(|entry| Some(entry.ok()?.path()));
    dirs.filter(|path| store::has_result(path) && path.to_string_lossy().contains(&mark))
        .max()
}

/// Whole seconds of the window that are on disk, over all lives.
fn measured_s(dir: &Path, state: &State) -> f64 {
    let dirs = state.lives.iter().filter_map(|life| life_dir(dir, life));
    dirs.map(|dir| {
        let rows: Vec<Row> = store::read_rows(&dir, "intervals.ndjson").unwrap_or_default();
        rows.iter().filter(|row| row.phase == "window").count() as f64
    })
    .sum()
}

/// One report over all lives: rows and samples behind each other, histograms added up.
fn conclude(dir: &Path, state: &State, arguments: &SoakArguments) -> Result<Exit, BenchError> {
    let mut whole = merge(dir, state)?;
    let limits = LeakLimits {
        bytes_per_minute: arguments.leak_mb_per_minute * 1e6,
        handles_per_minute: arguments.leak_handles_per_minute,
    };
    let total = Duration::from_secs_f64(state.total_s);
    whole.result.leaks = leak::find(&whole.hosts, total, &limits);
    judge(&mut whole.result, state);
    store::write_result(&dir.join("result.json"), &whole.result)?;
    write_lines(&dir.join("intervals.ndjson"), &whole.rows)?;
    write_lines(&dir.join("hosts.ndjson"), &whole.hosts)?;
    report::write(dir, &[])?;
    output::print_summary(&whole.result);
    output::line(&format!(
        "one report over {} messages: {}",
        grouped(whole.result.throughput.acked as f64),
        dir.join("report.html").display()
    ));
    Ok(whole.result.verdict.exit.unwrap_or(Exit::Pass))
}

fn merge(dir: &Path, state: &State) -> Result<Story, BenchError> {
    let origin_s = state.lives.first().map_or(0.0, |life| life.started_unix_s);
    let mut sum = Sum::default();
    let (mut rows, mut hosts) = (Vec::new(), Vec::new());
    let mut window_s = 0.0;
    let mut repeats = Vec::new();
    for (number, life) in state.lives.iter().enumerate() {
        let Some(life_dir) = life_dir(dir, life) else {
            continue;
        };
        let Story {
            mut result,
            rows: life_rows,
            hosts: life_hosts,
        } = Story::read(&life_dir)?;
        let all = |of: fn(&Row) -> u64| life_rows.iter().map(of).sum::<u64>();
        let counted = || life_rows.iter().filter(|row| row.phase == "window");
        // A life that was killed has counted on since it wrote its result for the last time.
        result.throughput.acked = counted().map(|row| row.acked).sum();
        result.throughput.consumed = counted().map(|row| row.consumed).sum();
        result.errors.failed = all(|row| row.failed);
        if let Some(read_back) = &life.read_back {
            read_back.tell(&mut result, all(|row| row.failed), all(|row| row.acked));
        }
        window_s += counted().count() as f64;
        sum.add(result, &life_dir);
        let shift_s = life.started_unix_s - origin_s;
        rows.extend(life_rows.into_iter().map(|row| Row {
            second: row.second + shift_s.round() as u64,
            ..row
        }));
        hosts.extend(life_hosts.into_iter().map(|row| HostRow {
            at_s: row.at_s + shift_s,
            subject: subject(row.subject, number),
            ..row
        }));
        repeats.extend(
            life_dir
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
        );
    }
    let mut result = sum
        .finish("life")
        .ok_or_else(|| BenchError::NoResults(dir.to_path_buf()))?;
    result.name = "soak".to_owned();
    result.repeats = repeats;
    let per_second = |count: u64| count as f64 / window_s.max(1.0);
    let throughput = &mut result.throughput;
    throughput.msgs_per_second = per_second(throughput.acked);
    throughput.consumed_msgs_per_second = per_second(throughput.consumed);
    throughput.headline_per_second = throughput.msgs_per_second;
    let megabytes_per_message = result.workload.message_bytes_mean / 1e6;
    throughput.payload_mb_per_second = throughput.msgs_per_second * megabytes_per_message;
    throughput.consumed_mb_per_second = throughput.consumed_msgs_per_second * megabytes_per_message;
    result.time.window_s = window_s;
    result.complete = window_s + 1.0 >= state.total_s;
    Ok(Story {
        result,
        rows,
        hosts,
    })
}

/// Each life is another process of the tool; the brokers stay who they are.
fn subject(name: String, life: usize) -> String {
    match name == GENERATOR && life > 0 {
        true => format!("{GENERATOR} of life {}", life + 1),
        false => name,
    }
}

fn judge(result: &mut BenchResult, state: &State) {
    let (mut exit, mut reasons) = result.doubts();
    if state.lives.len() > 1 {
        reasons.push(format!(
            "{} lives of the tool: the gaps between them are the tool's, not the cluster's",
            state.lives.len()
        ));
    }
    for leak in result.leaks.iter().filter(|leak| leak.is_over) {
        exit = exit.worst(Exit::Fail);
        reasons.push(leak.describe());
    }
    if !result.complete {
        exit = exit.worst(Exit::Interrupted);
        reasons.push("it is not over: --resume goes on".to_owned());
    }
    result.verdict.exit = Some(exit);
    result.verdict.code = exit.code();
    result.verdict.reasons = reasons;
}

fn unix_s(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
