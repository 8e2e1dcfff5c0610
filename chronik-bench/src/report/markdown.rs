//! `report.md`: one result as tables.

use std::fmt::Write as _;

use crate::audit::Light;
use crate::model::BenchResult;
use crate::units::{grouped, latency};

/// The whole report.
pub(crate) fn text(result: &BenchResult) -> String {
    let mut text = format!("# {}\n\n", result.name);
    if !result.complete {
        text.push_str("**Incomplete: the run was interrupted or cut short.**\n\n");
    }
    for reason in &result.verdict.reasons {
        let _ = writeln!(text, "- {reason}");
    }
    overview(&mut text, result);
    latencies(&mut text, result);
    costs(&mut text, result);
    audit(&mut text, result);
    settings(&mut text, result);
    text
}

fn overview(text: &mut String, result: &BenchResult) {
    let workload = &result.workload;
    let target = &result.target;
    let throughput = &result.throughput;
    let load = match workload.target_msgs_per_second {
        Some(rate) => format!("open loop, {} msg/s", grouped(rate)),
        None => format!("closed loop of {}", workload.concurrency.unwrap_or(0)),
    };
    let _ = write!(
        text,
        "\n| | |\n|---|---|\n| started | {} |\n| target | {} brokers at {}, {} topics, {} partitions, RF {} |\n\
         | load | {}, {load}, {} byte messages, {} producers, {} consumers |\n\
         | window | {:.1} s after {:.1} s of warm-up, ended by {} |\n\
         | acknowledged | {} msg/s, {:.1} MB/s |\n| consumed | {} msg/s, {:.1} MB/s |\n\
         | errors | {} failed, {} open at the end |\n| machine | {}, {} cores, {}, class {}{} |\n",
        result.time.started_utc,
        target.brokers.len(),
        target.bootstrap,
        target.topics,
        target.partitions,
        target.replication_factor,
        workload.mode,
        workload.message_bytes_mean,
        workload.producers,
        workload.consumers,
        result.time.window_s,
        result.time.warmup_s,
        result.time.window_end,
        grouped(throughput.msgs_per_second),
        throughput.payload_mb_per_second,
        grouped(throughput.consumed_msgs_per_second),
        throughput.consumed_mb_per_second,
        result.errors.failed,
        result.latency_us.censored,
        result.fingerprint.cpu,
        result.fingerprint.cores,
        result.fingerprint.kernel,
        result.fingerprint.class,
        if result.fingerprint.co_located {
            ", shared with brokers"
        } else {
            ""
        },
    );
}

fn latencies(text: &mut String, result: &BenchResult) {
    let _ = write!(
        text,
        "\n## Latency from {}\n\n| | count | mean | p50 | p90 | p99 | p99.9 | p99.99 | max |\n|---|---|---|---|---|---|---|---|---|\n",
        result.latency_us.basis
    );
    let brokers = result
        .latency_us
        .by_broker
        .iter()
        .map(|(id, found)| (format!("broker {id}"), found));
    let tags = result
        .latency_us
        .by_tag
        .iter()
        .map(|(tag, found)| (tag.clone(), found));
    for (name, found) in tags.chain(brokers) {
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            grouped(found.count as f64),
            latency(found.mean),
            latency(found.p50),
            latency(found.p90),
            latency(found.p99),
            latency(found.p999),
            latency(found.p9999),
            latency(found.max),
        );
    }
    let parts = &result.decomposition_us;
    let _ = writeln!(
        text,
        "\nMean per request, as librdkafka sees it: {} in the client's queue, {} at its socket, {} in network and broker; {:.0} messages per batch.",
        latency(parts.client_queue.mean),
        latency(parts.client_socket.mean),
        latency(parts.network_and_broker.mean),
        result.batches.messages.mean,
    );
}

fn costs(text: &mut String, result: &BenchResult) {
    text.push_str(
        "\n## Cost\n\n| process | cores | CPU s/GB | CPU s/million | resident MB | disk MB/s | files | threads |\n|---|---|---|---|---|---|---|---|\n",
    );
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    for resource in &result.resources {
        let _ = writeln!(
            text,
            "| {} | {:.2} | {} | {} | {:.0} | {} | {} | {} |",
            resource.subject,
            resource.cores_used,
            number(resource.cpu_s_per_gb),
            number(resource.cpu_s_per_million_msgs),
            resource.resident_max_bytes / 1e6,
            number(resource.disk_written_mb_per_second),
            resource.open_files_max,
            resource.threads_max,
        );
    }
}

fn audit(text: &mut String, result: &BenchResult) {
    text.push_str("\n## Audit\n\n| | check | numbers |\n|---|---|---|\n");
    for entry in &result.audit.entries {
        let light = match entry.light {
            Light::Green => "green",
            Light::Amber => "**amber**",
            Light::Red => "**RED**",
            Light::Skipped => "skipped",
        };
        let _ = writeln!(text, "| {light} | {} | {} |", entry.name, entry.detail);
    }
    let integrity = &result.integrity;
    let _ = writeln!(
        text,
        "\nIntegrity ({}): {} acknowledged, logs grew by {}.",
        integrity.level,
        integrity.acked,
        integrity
            .offset_growth
            .map_or("?".to_owned(), |growth| growth.to_string()),
    );
    for remark in integrity
        .violations
        .iter()
        .chain(&integrity.allowed)
        .chain(&integrity.examples)
    {
        let _ = writeln!(text, "- {remark}");
    }
}

fn settings(text: &mut String, result: &BenchResult) {
    let _ = write!(
        text,
        "\n## Settings\n\nchronik-bench {}, librdkafka {}\n\n```\n{}\n```\n\n| property | value |\n|---|---|\n",
        result.tool.version,
        result.tool.librdkafka,
        result.argv.join(" ")
    );
    for (key, value) in &result.workload.client_config {
        let _ = writeln!(text, "| {key} | {value} |");
    }
}
