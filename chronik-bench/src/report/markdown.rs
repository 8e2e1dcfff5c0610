//! `report.md`: one result as tables.

use std::fmt::Write as _;

use super::table::Table;
use super::tables;
use crate::audit::Light;
use crate::model::BenchResult;
use crate::units::grouped;

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
    if !result.leaks.is_empty() {
        let _ = write!(
            text,
            "\n## Growth\n\n{}",
            tables::leaks(&result.leaks).markdown()
        );
    }
    audit(&mut text, result);
    settings(&mut text, result);
    text
}

fn overview(text: &mut String, result: &BenchResult) {
    let workload = &result.workload;
    let target = &result.target;
    let throughput = &result.throughput;
    let _ = write!(
        text,
        "\n| | |\n|---|---|\n| started | {} |\n| target | {} brokers at {}, {} topics, {} partitions, RF {} |\n\
         | load | {}, {} byte messages, {} producers, {} consumers |\n\
         | window | {:.1} s after {:.1} s of warm-up, ended by {} |\n\
         | acknowledged | {} msg/s, {:.1} MB/s |\n| consumed | {} msg/s, {:.1} MB/s |\n\
         | errors | {} failed, {} open at the end |\n| machine | {}, {} cores, {}, class {}{} |\n",
        result.time.started_utc,
        target.brokers.len(),
        target.bootstrap,
        target.topics,
        target.partitions,
        target.replication_factor,
        workload.load(),
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
        "\n## Latency from {}\n\n{}\n{}",
        result.latency_us.basis,
        tables::latencies(result).markdown(),
        tables::decomposition(&[result]).markdown(),
    );
}

fn costs(text: &mut String, result: &BenchResult) {
    let _ = write!(text, "\n## Cost\n\n{}", tables::costs(&[result]).markdown());
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
    let _ = writeln!(text, "\n{}", integrity.sentence());
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
    let mut properties = Table::new(["property", "value"]);
    for (key, value) in &result.workload.client_config {
        properties.row([key.clone(), value.clone()]);
    }
    let _ = write!(
        text,
        "\n## Settings\n\nchronik-bench {}, librdkafka {}\n\n```\n{}\n```\n\n{}",
        result.tool.version,
        result.tool.librdkafka,
        result.argv.join(" "),
        properties.markdown()
    );
}
