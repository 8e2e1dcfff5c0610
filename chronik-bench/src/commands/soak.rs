//! `soak`: a fixed load for hours, every record accounted for, slopes of memory and handles; survives its own death.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Parser;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::cli::{Cli, Mode, OutputArguments, SoakArguments, Verb, Verify};
use crate::clock::{utc, utc_compact, wall_now};
use crate::collect::Row;
use crate::commands::run::run_plan;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::leak::{self, Leak, LeakLimits};
use crate::model::BenchResult;
use crate::output;
use crate::plan::Plan;
use crate::report::{self, Story};
use crate::sampling::HostRow;
use crate::signals::Signals;
use crate::store::{self, read_histograms};
use crate::summary;
use crate::units::{grouped, spell};

const STATE: &str = "soak.json";

/// What a resumed soak has to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    argv: Vec<String>,
    total_s: f64,
    segments: Vec<Segment>,
}

/// One life of the tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Segment {
    started_utc: String,
    started_unix_s: f64,
    incarnation: u32,
    dir: Option<PathBuf>,
}

pub(crate) fn run(arguments: &SoakArguments, signals: &Signals) -> Result<Exit, BenchError> {
    match &arguments.resume {
        None => {
            let dir = arguments.output.out.join(format!(
                "{}-{}-soak",
                utc_compact(wall_now()),
                arguments.output.name
            ));
            fs::create_dir_all(&dir).map_err(BenchError::file("make the folder", &dir))?;
            let state = State {
                argv: std::env::args().collect(),
                total_s: arguments.load.duration.as_secs_f64(),
                segments: Vec::new(),
            };
            run_segment(&dir, state, arguments, signals)
        }
        Some(dir) => {
            let state = read_state(dir)?;
            let cli = Cli::try_parse_from(&state.argv)
                .map_err(|wrong| BenchError::Usage(wrong.to_string()))?;
            let Some(Verb::Soak(original)) = &cli.verb else {
                return Err(BenchError::Usage(
                    "the stored command is no soak".to_owned(),
                ));
            };
            run_segment(dir, state, original, signals)
        }
    }
}

/// Runs what is left, then reports over all segments.
fn run_segment(
    dir: &Path,
    mut state: State,
    arguments: &SoakArguments,
    signals: &Signals,
) -> Result<Exit, BenchError> {
    let mut load = arguments.load.clone();
    if load.rate.is_none() && load.rate_profile.is_none() {
        return Err(BenchError::Usage("soak needs a fixed --rate".to_owned()));
    }
    if load.mode == Mode::Produce {
        // Reading while writing bounds both the memory of the account and the retention that is needed.
        load.mode = Mode::E2e;
    }
    load.verify = Verify::Full;
    let left_s = state.total_s - measured_s(dir, &state);
    if left_s >= 1.0 {
        let mut plan = Plan::of(&load)?;
        plan.duration = Duration::from_secs_f64(left_s);
        plan.incarnation = state.segments.len() as u32;
        let started = wall_now();
        state.segments.push(Segment {
            started_utc: utc(started),
            started_unix_s: unix_s(started),
            incarnation: plan.incarnation,
            dir: None,
        });
        write_state(dir, &state)?;
        let output = OutputArguments {
            name: format!("segment-{}", plan.incarnation),
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

/// Folders of segments in the order of their lives; the newest of a name wins.
fn segment_dirs(dir: &Path, state: &State) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut dirs: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    dirs.sort();
    state
        .segments
        .iter()
        .filter_map(|segment| {
            let mark = format!("-segment-{}-", segment.incarnation);
            let is_it = |path: &&PathBuf| path.to_string_lossy().contains(&mark);
            dirs.iter().rev().find(is_it).cloned()
        })
        .collect()
}

/// Whole seconds of the window that are on disk, over all lives.
fn measured_s(dir: &Path, state: &State) -> f64 {
    segment_dirs(dir, state)
        .iter()
        .map(|dir| {
            let rows: Vec<Row> = store::read_rows(dir, "intervals.ndjson").unwrap_or_default();
            rows.iter().filter(|row| row.phase == "window").count() as f64
        })
        .sum()
}

/// One report over all lives: rows and samples behind each other, histograms added up.
fn conclude(dir: &Path, state: &State, arguments: &SoakArguments) -> Result<Exit, BenchError> {
    let dirs = segment_dirs(dir, state);
    let stories: Vec<Story> = dirs
        .iter()
        .filter_map(|dir| Story::read_parts(dir).ok())
        .collect();
    let mut merged = merge(state, &dirs, stories)?;
    let limits = LeakLimits {
        bytes_per_minute: arguments.leak_mb_per_minute * 1e6,
        handles_per_minute: arguments.leak_handles_per_minute,
    };
    let total = Duration::from_secs_f64(state.total_s);
    let leaks = leak::find(&merged.hosts, total, &limits);
    judge(&mut merged.result, &leaks, state);
    write(dir, &merged, &leaks)?;
    output::print_summary(&merged.result);
    for leak in &leaks {
        output::line(&format!("  {}", leak.describe()));
    }
    Ok(merged.result.verdict.exit.unwrap_or(Exit::Pass))
}

fn merge(state: &State, dirs: &[PathBuf], stories: Vec<Story>) -> Result<Story, BenchError> {
    let origin_s = state
        .segments
        .first()
        .map_or(0.0, |first| first.started_unix_s);
    let Some(latest) = stories
        .iter()
        .rev()
        .find(|story| story.result.complete || !story.result.name.is_empty())
    else {
        return Err(BenchError::NoResults(
            dirs.first().cloned().unwrap_or_default(),
        ));
    };
    let mut result = latest.result.clone();
    let mut rows = Vec::new();
    let mut hosts = Vec::new();
    let mut histograms: Vec<(String, Histogram<u64>)> = Vec::new();
    let (mut acked, mut window_s, mut failed, mut lost) = (0u64, 0.0, 0u64, 0u64);
    for (segment, (story, dir)) in state.segments.iter().zip(stories.iter().zip(dirs)) {
        let shift_s = segment.started_unix_s - origin_s;
        rows.extend(story.rows.iter().cloned().map(|row| Row {
            second: row.second + shift_s.round() as u64,
            ..row
        }));
        hosts.extend(story.hosts.iter().cloned().map(|row| HostRow {
            at_s: row.at_s + shift_s,
            ..row
        }));
        let counted = || story.rows.iter().filter(|row| row.phase == "window");
        acked += counted().map(|row| row.acked).sum::<u64>();
        window_s += counted().count() as f64;
        failed += story.rows.iter().map(|row| row.failed).sum::<u64>();
        lost += story.result.integrity.lost.unwrap_or(0);
        read_histograms(dir, &mut histograms);
    }
    result.name = "soak".to_owned();
    result.throughput.acked = acked;
    result.throughput.msgs_per_second = acked as f64 / window_s.max(1.0);
    result.throughput.headline_per_second = result.throughput.msgs_per_second;
    result.time.window_s = window_s;
    result.errors.failed = failed;
    result.integrity.lost = Some(lost);
    result.latency_us.by_tag = histograms
        .iter()
        .filter(|(tag, _)| !tag.starts_with("broker="))
        .map(|(tag, histogram)| (tag.clone(), summary::latency_of(histogram)))
        .collect();
    result.complete = window_s + 1.0 >= state.total_s;
    Ok(Story {
        result,
        rows,
        hosts,
    })
}

fn judge(result: &mut BenchResult, leaks: &[Leak], state: &State) {
    let mut exit = result.verdict.exit.unwrap_or(Exit::Pass);
    if state.segments.len() > 1 {
        result.verdict.reasons.push(format!(
            "{} lives of the tool: the gaps between them are the tool's, not the cluster's",
            state.segments.len()
        ));
    }
    for leak in leaks.iter().filter(|leak| leak.is_over) {
        exit = exit.worst(Exit::Fail);
        result.verdict.reasons.push(leak.describe());
    }
    if !result.complete {
        exit = exit.worst(Exit::Interrupted);
    }
    result.verdict.exit = Some(exit);
    result.verdict.code = exit.code();
}

fn write(dir: &Path, merged: &Story, leaks: &[Leak]) -> Result<(), BenchError> {
    store::write_result(&dir.join("result.json"), &merged.result)?;
    let write_lines = |name: &str, lines: String| {
        let path = dir.join(name);
        fs::write(&path, lines).map_err(BenchError::file("write", &path))
    };
    let json = |line: serde_json::Result<String>| line.expect("a row is plain data") + "\n";
    let rows = merged
        .rows
        .iter()
        .map(|row| json(serde_json::to_string(row)));
    write_lines("intervals.ndjson", rows.collect())?;
    let hosts = merged
        .hosts
        .iter()
        .map(|row| json(serde_json::to_string(row)));
    write_lines("hosts.ndjson", hosts.collect())?;
    let found = serde_json::to_string_pretty(leaks).expect("slopes are plain data");
    write_lines("leaks.json", found)?;
    report::write(dir, &[])?;
    output::line(&format!(
        "one report over {} messages: {}",
        grouped(merged.result.throughput.acked as f64),
        dir.join("report.html").display()
    ));
    Ok(())
}

fn read_state(dir: &Path) -> Result<State, BenchError> {
    let path = dir.join(STATE);
    let text = fs::read_to_string(&path).map_err(BenchError::file("read", &path))?;
    serde_json::from_str(&text).map_err(|source| BenchError::NotAResult { path, source })
}

fn write_state(dir: &Path, state: &State) -> Result<(), BenchError> {
    let path = dir.join(STATE);
    let text = serde_json::to_string_pretty(state).expect("a state is plain data");
    fs::write(&path, text).map_err(BenchError::file("write", &path))
}

fn unix_s(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
