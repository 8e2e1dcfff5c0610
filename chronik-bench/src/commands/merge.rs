//! `merge`: results of generators that loaded one cluster at the same time become one.
//!
//! Every latency was measured on the clock of one generator; only the seconds of the plots are laid beside each other by
//! wall clocks, so hosts whose clocks differ show it there and nowhere else.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::cli::MergeArguments;
use crate::clock::{utc_compact, wall_now};
use crate::collect::{Row, RowLatency};
use crate::error::BenchError;
use crate::exit::Exit;
use crate::merge::Sum;
use crate::model::BenchResult;
use crate::output;
use crate::report::{self, Story};
use crate::sampling::HostRow;
use crate::store::{self, plain, write_lines};

/// Windows that overlap by less than this share did not load together.
const OVERLAP_MIN: f64 = 0.9;

/// One generator: its result, and when its load began by its own wall clock.
struct Part {
    dir: PathBuf,
    story: Story,
    started_unix_s: f64,
}

pub(crate) fn run(arguments: &MergeArguments) -> Result<Exit, BenchError> {
    let parts: Vec<Part> = arguments
        .dirs
        .iter()
        .map(|dir| Part::read(dir.clone()))
        .collect::<Result<_, _>>()?;
    let overlap = overlap(&parts);
    if overlap < OVERLAP_MIN {
        return Err(BenchError::Usage(format!(
            "the windows overlap by {:.0} % only: these results are of different times, so their rates do not add up",
            overlap.max(0.0) * 100.0
        )));
    }
    let name = &arguments.output.name;
    let folder = format!("{}-{}-merged", utc_compact(wall_now()), plain(name));
    let dir = arguments.output.out.join(folder);
    fs::create_dir_all(&dir).map_err(BenchError::file("make the folder", &dir))?;
    let whole = merge(&parts, name)?;
    store::write_result(&dir.join("result.json"), &whole.result)?;
    write_lines(&dir.join("intervals.ndjson"), &whole.rows)?;
    write_lines(&dir.join("hosts.ndjson"), &whole.hosts)?;
    report::write(&dir, &[])?;
    output::print_summary(&whole.result);
    output::line(&format!("wrote {}", dir.join("report.html").display()));
    Ok(whole.result.verdict.exit.unwrap_or(Exit::Pass))
}

impl Part {
    fn read(dir: PathBuf) -> Result<Self, BenchError> {
        let story = Story::read(&dir)?;
        let started = humantime::parse_rfc3339(&story.result.time.started_utc).map_err(|_| {
            BenchError::Usage(format!("{} does not say when it began", dir.display()))
        })?;
        let since = started.duration_since(SystemTime::UNIX_EPOCH);
        Ok(Self {
            started_unix_s: since.map_or(0.0, |since| since.as_secs_f64()),
            story,
            dir,
        })
    }

    fn window(&self) -> (f64, f64) {
        let time = &self.story.result.time;
        let start = self.started_unix_s + time.warmup_s;
        (start, start + time.window_s)
    }
}

/// The common stretch of all windows over the longest of them.
fn overlap(parts: &[Part]) -> f64 {
    let windows = || parts.iter().map(Part::window);
    let start = windows().map(|window| window.0).fold(f64::MIN, f64::max);
    let end = windows().map(|window| window.1).fold(f64::MAX, f64::min);
    let longest = windows()
        .map(|(start, end)| end - start)
        .fold(0.0, f64::max);
    (end - start) / longest
}

fn merge(parts: &[Part], name: &str) -> Result<Story, BenchError> {
    let origin_s = parts
        .iter()
        .map(|part| part.started_unix_s)
        .fold(f64::MAX, f64::min);
    let mut sum = Sum::default();
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    let mut hosts = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        sum.add(part.story.result.clone(), &part.dir);
        let shift_s = part.started_unix_s - origin_s;
        for row in &part.story.rows {
            let second = row.second + shift_s.round() as u64;
            add_row(rows.entry(second).or_default(), row, second);
        }
        hosts.extend(part.story.hosts.iter().cloned().map(|row| HostRow {
            at_s: row.at_s + shift_s,
            subject: format!("{} of {}", row.subject, number + 1),
            ..row
        }));
    }
    let mut result = sum
        .finish("generator")
        .ok_or_else(|| BenchError::NoResults(PathBuf::new()))?;
    name.clone_into(&mut result.name);
    add_rates(&mut result, parts);
    judge(&mut result, parts);
    Ok(Story {
        result,
        rows: rows.into_values().collect(),
        hosts,
    })
}

/// Counts add up; of percentiles of one second the worst is kept, because they cannot be added.
fn add_row(whole: &mut Row, part: &Row, second: u64) {
    whole.second = second;
    // A second counts if it does for everybody.
    if whole.phase.is_empty() || part.phase != "window" {
        part.phase.clone_into(&mut whole.phase);
    }
    whole.sent += part.sent;
    whole.acked += part.acked;
    whole.acked_bytes += part.acked_bytes;
    whole.failed += part.failed;
    whole.consumed += part.consumed;
    whole.consumed_bytes += part.consumed_bytes;
    whole.operations += part.operations;
    whole.outstanding += part.outstanding;
    whole.blocked += part.blocked;
    for (tag, found) in &part.latency_us {
        let known = whole.latency_us.entry(tag.clone()).or_default();
        *known = RowLatency {
            count: known.count + found.count,
            p50: known.p50.max(found.p50),
            p90: known.p90.max(found.p90),
            p99: known.p99.max(found.p99),
            p999: known.p999.max(found.p999),
            max: known.max.max(found.max),
        };
    }
    for (name, count) in &part.errors {
        *whole.errors.entry(name.clone()).or_default() += count;
    }
}

/// Each generator's own rate over its own window: generators that load together add up.
fn add_rates(whole: &mut BenchResult, parts: &[Part]) {
    let total = |of: fn(&BenchResult) -> f64| -> f64 {
        parts.iter().map(|part| of(&part.story.result)).sum()
    };
    let throughput = &mut whole.throughput;
    throughput.msgs_per_second = total(|result| result.throughput.msgs_per_second);
    throughput.payload_mb_per_second = total(|result| result.throughput.payload_mb_per_second);
    throughput.wire_mb_per_second = total(|result| result.throughput.wire_mb_per_second);
    throughput.consumed_msgs_per_second =
        total(|result| result.throughput.consumed_msgs_per_second);
    throughput.consumed_mb_per_second = total(|result| result.throughput.consumed_mb_per_second);
    throughput.headline_per_second = total(|result| result.throughput.headline_per_second);
    let rates = parts
        .iter()
        .map(|part| part.story.result.workload.target_msgs_per_second);
    whole.workload.target_msgs_per_second = rates.sum::<Option<f64>>();
    let concurrencies = parts
        .iter()
        .map(|part| part.story.result.workload.concurrency);
    whole.workload.concurrency = concurrencies.sum::<Option<u32>>();
    whole.workload.producers = parts
        .iter()
        .map(|part| part.story.result.workload.producers)
        .sum();
    // Each of them saw the whole topic grow; and what it saw of the brokers is in its own result.
    whole.integrity.offset_growth = None;
    whole.resources = Vec::new();
    whole.repeats = parts
        .iter()
        .map(|part| part.dir.display().to_string())
        .collect();
}

fn judge(whole: &mut BenchResult, parts: &[Part]) {
    whole.complete = parts.iter().all(|part| part.story.result.complete);
    let mut exit = Exit::Pass;
    let mut reasons = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let verdict = &part.story.result.verdict;
        exit = exit.worst(verdict.exit.unwrap_or(Exit::Pass));
        let told = verdict.reasons.iter();
        reasons.extend(told.map(|reason| format!("generator {}: {reason}", number + 1)));
    }
    whole.verdict.exit = Some(exit);
    whole.verdict.code = exit.code();
    whole.verdict.reasons = reasons;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(started_unix_s: f64, rate: f64) -> Part {
        let mut result = BenchResult {
            complete: true,
            ..BenchResult::default()
        };
        result.time.warmup_s = 5.0;
        result.time.window_s = 60.0;
        result.throughput.msgs_per_second = rate;
        result.workload.target_msgs_per_second = Some(rate);
        let row = |second: u64, phase: &str| Row {
            second,
            phase: phase.to_owned(),
            acked: rate as u64,
            ..Row::default()
        };
        Part {
            dir: PathBuf::from("/nowhere"),
            story: Story {
                result,
                rows: vec![row(4, "warmup"), row(5, "window")],
                hosts: Vec::new(),
            },
            started_unix_s,
        }
    }

    #[test]
    fn generators_add_up_second_by_second() {
        let parts = [part(1_000.0, 100.0), part(1_001.0, 50.0)];
        assert!(overlap(&parts) > OVERLAP_MIN);
        let whole = merge(&parts, "both").unwrap();
        assert_eq!(whole.result.throughput.msgs_per_second, 150.0);
        assert_eq!(whole.result.workload.target_msgs_per_second, Some(150.0));
        let acked: Vec<(u64, u64, &str)> = whole
            .rows
            .iter()
            .map(|row| (row.second, row.acked, row.phase.as_str()))
            .collect();
        let expected = [(4, 100, "warmup"), (5, 150, "warmup"), (6, 50, "window")];
        assert_eq!(acked, expected);
    }

    #[test]
    fn loads_of_different_times_do_not_add_up() {
        assert!(overlap(&[part(1_000.0, 1.0), part(2_000.0, 1.0)]) < 0.0);
    }
}
