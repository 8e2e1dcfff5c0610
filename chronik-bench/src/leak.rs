//! Does a process grow? Slopes over one-minute medians, and when it would be out of memory.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sampling::HostRow;
use crate::stats::{self, Slope};

const MINUTE_S: f64 = 60.0;
/// Caches fill at the beginning: that is no leak.
const SKIPPED_SHARE: f64 = 0.1;
const SKIPPED_MIN: Duration = Duration::from_secs(5 * 60);
const LONG_RUN: Duration = Duration::from_secs(5 * 3_600);
const SKIPPED_MIN_LONG: Duration = Duration::from_secs(30 * 60);

const MEMORY: &str = "resident bytes";

/// One number of a sample.
type Reading = fn(&HostRow) -> Option<f64>;

/// How much growth is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeakLimits {
    pub(crate) bytes_per_minute: f64,
    pub(crate) handles_per_minute: f64,
}

/// One resource of one process over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Leak {
    pub(crate) subject: String,
    pub(crate) resource: String,
    /// Per minute.
    pub(crate) slope: Slope,
    pub(crate) limit_per_minute: f64,
    /// The lower bound of the slope is over the limit.
    pub(crate) is_over: bool,
    /// Until the memory of this machine is full, at this pace.
    pub(crate) hours_to_exhaustion: Option<f64>,
}

/// Slopes of everything that was sampled long enough.
pub(crate) fn find(rows: &[HostRow], total: Duration, limits: &LeakLimits) -> Vec<Leak> {
    let skipped_s = skipped(total).as_secs_f64();
    let mut by_subject: BTreeMap<&str, Vec<&HostRow>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.at_s >= skipped_s) {
        by_subject.entry(&row.subject).or_default().push(row);
    }
    let resources: [(&str, Reading, f64); 3] = [
        (MEMORY, |row| row.resident_bytes, limits.bytes_per_minute),
        (
            "open files",
            |row| row.open_files,
            limits.handles_per_minute,
        ),
        ("threads", |row| row.threads, limits.handles_per_minute),
    ];
    let mut leaks = Vec::new();
    for (subject, rows) in by_subject {
        for (resource, of, limit) in &resources {
            let minutes = minute_medians(&rows, *of);
            let Some(slope) = stats::slope(&minutes) else {
                continue;
            };
            let latest = minutes.last().map_or(0.0, |(_, value)| *value);
            leaks.push(Leak {
                subject: subject.to_owned(),
                resource: (*resource).to_owned(),
                slope,
                limit_per_minute: *limit,
                is_over: slope.low > *limit,
                hours_to_exhaustion: hours_left(resource, slope, latest),
            });
        }
    }
    leaks
}

impl Leak {
    pub(crate) fn verdict(&self) -> &'static str {
        if self.is_over { "LEAK" } else { "steady" }
    }

    /// A number of this resource: megabytes of memory, or a count.
    pub(crate) fn amount(&self, value: f64) -> String {
        match self.resource == MEMORY {
            true => format!("{:.2} MB", value / 1e6),
            false => format!("{value:.2}"),
        }
    }

    pub(crate) fn describe(&self) -> String {
        let end = self.hours_to_exhaustion.map_or_else(String::new, |hours| {
            format!(", memory full in {hours:.1} h")
        });
        format!(
            "{}: {} of {} grow by {} per minute [{}, {}], limit {}{end} ({} minutes)",
            self.verdict(),
            self.resource,
            self.subject,
            self.amount(self.slope.value),
            self.amount(self.slope.low),
            self.amount(self.slope.high),
            self.amount(self.limit_per_minute),
            self.slope.points,
        )
    }
}

fn skipped(total: Duration) -> Duration {
    let share = total.mul_f64(SKIPPED_SHARE);
    match total > LONG_RUN {
        true => share.max(SKIPPED_MIN_LONG),
        false => share.max(SKIPPED_MIN.min(total / 3)),
    }
}

fn minute_medians(rows: &[&HostRow], of: Reading) -> Vec<(f64, f64)> {
    let mut minutes: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for row in rows {
        if let Some(value) = of(row) {
            let minute = (row.at_s / MINUTE_S) as u64;
            minutes.entry(minute).or_default().push(value);
        }
    }
    minutes
        .into_iter()
        .map(|(minute, values)| (minute as f64, stats::median(&values)))
        .collect()
}

fn hours_left(resource: &str, slope: Slope, latest: f64) -> Option<f64> {
    if resource != MEMORY || slope.low <= 0.0 {
        return None;
    }
    let memory = crate::fingerprint::of_this_machine(false).memory_bytes as f64;
    Some((memory - latest).max(0.0) / slope.value / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thirty minutes of a process that grows by so many megabytes a minute, with garbage collection for noise.
    fn rows(megabytes_per_minute: f64) -> Vec<HostRow> {
        let mut random = fastrand::Rng::with_seed(2);
        (0..1_800)
            .map(|second| {
                let noise = 40.0 * random.f64();
                let size = 300.0 + megabytes_per_minute * f64::from(second) / 60.0 + noise;
                HostRow {
                    at_s: f64::from(second),
                    subject: "pid:7".into(),
                    resident_bytes: Some(size * 1e6),
                    open_files: Some(60.0),
                    ..HostRow::default()
                }
            })
            .collect()
    }

    const LIMITS: LeakLimits = LeakLimits {
        bytes_per_minute: 1e6,
        handles_per_minute: 0.5,
    };

    #[test]
    fn five_megabytes_a_minute_are_found_in_half_an_hour() {
        let leaks = find(&rows(5.0), Duration::from_secs(1_800), &LIMITS);
        let memory = leaks.iter().find(|leak| leak.resource == MEMORY).unwrap();
        assert!(memory.is_over, "{}", memory.describe());
        assert!((memory.slope.value / 1e6 - 5.0).abs() < 0.3);
        assert!(memory.hours_to_exhaustion.is_some());
    }

    #[test]
    fn a_steady_process_is_steady() {
        let leaks = find(&rows(0.0), Duration::from_secs(1_800), &LIMITS);
        assert!(leaks.iter().all(|leak| !leak.is_over), "{leaks:?}");
        assert_eq!(leaks.len(), 2);
    }
}
