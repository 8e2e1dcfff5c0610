//! What the system says about this process.

use std::fs;
use std::time::Duration;

use super::ProcessMetrics;

/// Reads the process's figures from `/proc`. A figure that cannot be read keeps its last value.
pub(super) fn refresh(metrics: &ProcessMetrics) {
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        let kibibytes = |name| field(&status, name).map(|number| number << 10);
        set(&metrics.resident_memory, kibibytes("VmRSS:"));
        set(&metrics.resident_memory_peak, kibibytes("VmHWM:"));
        set(&metrics.threads, field(&status, "Threads:"));
    }
    if let Ok(directory) = fs::read_dir("/proc/self/fd") {
        // The directory itself is open while it is counted.
        metrics
            .open_files
            .set_len(directory.count().saturating_sub(1));
    }
    if let Some(times) = Times::read() {
        metrics.cpu.follow(times.cpu);
        let booted = fs::read_to_string("/proc/stat").ok();
        let booted = booted.and_then(|stat| field(&stat, "btime"));
        let started = booted.map(|seconds| seconds.saturating_add_unsigned(times.start.as_secs()));
        set(&metrics.start_time, started);
    }
}

/// The times of `/proc/self/stat`.
struct Times {
    cpu: Duration,
    /// Since the machine booted.
    start: Duration,
}

impl Times {
    fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the process may hold spaces and brackets, so counting starts after its last bracket.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let ticks = |position: usize| fields.get(position)?.parse::<u64>().ok();
        let (user, system, start) = (ticks(11)?, ticks(12)?, ticks(19)?);
        let duration = |ticks: u64| Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND);
        Some(Self {
            cpu: duration(user + system),
            start: duration(start),
        })
    }
}

/// The unit of process times that Linux shows to programs, on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// The first number of the line that starts with a name.
fn field(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn set(gauge: &super::Gauge, value: Option<i64>) {
    if let Some(value) = value {
        gauge.set(value);
    }
}
