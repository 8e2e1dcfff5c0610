//! The tables that both reports of a result have.

use super::table::Table;
use crate::leak::Leak;
use crate::model::{BenchResult, Latency};
use crate::statistics::Spread;
use crate::units::{grouped, latency};

/// A line for each result.
pub(super) fn overview(results: &[&BenchResult]) -> Table {
    let mut table = Table::new([
        "result",
        "load",
        "msg/s",
        "MB/s",
        "read msg/s",
        "latency",
        "p50",
        "p99",
        "p99.9",
        "max",
        "failed",
    ]);
    for result in results {
        let (tag, found) = match result.headline_latency() {
            Some((tag, found)) => (tag, found.clone()),
            None => ("-", Latency::default()),
        };
        table.row([
            result.label().to_owned(),
            result.workload.load(),
            grouped(result.throughput.msgs_per_second),
            format!("{:.1}", result.throughput.payload_mb_per_second),
            grouped(result.throughput.consumed_msgs_per_second),
            tag.to_owned(),
            latency(found.p50),
            latency(found.p99),
            latency(found.p999),
            latency(found.max),
            grouped(result.errors.failed as f64),
        ]);
    }
    table
}

/// A line for each thing that was timed, and for each broker.
pub(super) fn latencies(result: &BenchResult) -> Table {
    let mut table = Table::new([
        "", "count", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max",
    ]);
    let section = &result.latency_us;
    let tags = section.by_tag.iter();
    let tags = tags.map(|(tag, found)| (tag.clone(), found));
    let brokers = section.by_broker.iter();
    let brokers = brokers.map(|(id, found)| (format!("broker {id}"), found));
    for (name, found) in tags.chain(brokers) {
        table.row([
            name,
            grouped(found.count as f64),
            latency(found.mean),
            latency(found.p50),
            latency(found.p90),
            latency(found.p99),
            latency(found.p999),
            latency(found.p9999),
            latency(found.max),
        ]);
    }
    table
}

/// Where librdkafka says that the time of its requests goes.
pub(super) fn decomposition(results: &[&BenchResult]) -> Table {
    let mut table = Table::new([
        "mean (worst p99) of a request",
        "client's queue",
        "its socket",
        "network and broker",
        "throttled",
        "messages per batch",
    ]);
    let cell = |spread: &Spread| match spread.count {
        0 => "-".to_owned(),
        _ => format!("{} ({})", latency(spread.mean), latency(spread.p99_worst)),
    };
    for result in results {
        let parts = &result.decomposition_us;
        table.row([
            result.label().to_owned(),
            cell(&parts.client_queue),
            cell(&parts.client_socket),
            cell(&parts.network_and_broker),
            cell(&parts.throttle),
            grouped(result.batches.messages.mean),
        ]);
    }
    table
}

/// A line for each resource of each process that was watched for growth.
pub(super) fn leaks(leaks: &[Leak]) -> Table {
    let mut table = Table::new([
        "process",
        "resource",
        "per minute",
        "95 % interval",
        "limit",
        "Mann-Kendall z",
        "minutes",
        "full in",
        "verdict",
    ]);
    for leak in leaks {
        let slope = leak.slope;
        table.row([
            leak.subject.clone(),
            leak.resource.clone(),
            leak.amount(slope.value),
            format!("{} to {}", leak.amount(slope.low), leak.amount(slope.high)),
            leak.amount(leak.limit_per_minute),
            format!("{:.1}", slope.kendall_z),
            slope.points.to_string(),
            leak.hours_to_exhaustion
                .map_or("-".to_owned(), |hours| format!("{hours:.1} h")),
            leak.verdict().to_owned(),
        ]);
    }
    table
}

/// A line for each process that was sampled.
pub(super) fn costs(results: &[&BenchResult]) -> Table {
    let mut table = Table::new([
        "process",
        "cores",
        "CPU s/GB",
        "CPU s/million",
        "resident MB",
        "disk MB/s",
        "files",
        "threads",
    ]);
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    for result in results {
        for resource in &result.resources {
            let name = match results.len() {
                1 => resource.subject.clone(),
                _ => format!("{} {}", result.label(), resource.subject),
            };
            table.row([
                name,
                format!("{:.2}", resource.cores_used),
                number(resource.cpu_s_per_gb),
                number(resource.cpu_s_per_million_msgs),
                format!("{:.0}", resource.resident_max_bytes / 1e6),
                number(resource.disk_written_mb_per_second),
                grouped(resource.open_files_max),
                grouped(resource.threads_max),
            ]);
        }
    }
    table
}
