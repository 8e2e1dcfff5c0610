//! The end of a run on a terminal: what was measured, whether it counts, and where it is stored.

use super::line;
use crate::audit::Light;
use crate::model::BenchResult;
use crate::units::{grouped, latency};

/// Prints a result for people.
pub(crate) fn print_summary(result: &BenchResult) {
    let throughput = &result.throughput;
    line(&format!(
        "{} {}: {} loop, {} of {:.1} s ended by {}",
        result.name,
        result.workload.mode,
        result.workload.load_loop,
        if result.complete {
            "a window"
        } else {
            "an INCOMPLETE window"
        },
        result.time.window_s,
        result.time.window_end,
    ));
    if throughput.acked > 0 {
        line(&format!(
            "  acknowledged  {} msg/s  {:.1} MB/s  ({} in the window, seconds vary by {:.1} %)",
            grouped(throughput.msgs_per_second),
            throughput.payload_mb_per_second,
            grouped(throughput.acked as f64),
            throughput.spread.variation * 100.0,
        ));
    }
    if throughput.consumed > 0 {
        line(&format!(
            "  consumed      {} msg/s  {:.1} MB/s  ({} in the window)",
            grouped(throughput.consumed_msgs_per_second),
            throughput.consumed_mb_per_second,
            grouped(throughput.consumed as f64),
        ));
    }
    if let Some(achieved) = throughput.achieved_of_target {
        line(&format!("  target rate   {:.2} % sent", achieved * 100.0));
    }
    for (tag, found) in &result.latency_us.by_tag {
        line(&format!(
            "  {tag:<13} p50 {}  p90 {}  p99 {}  p99.9 {}  p99.99 {}  max {}  ({})",
            latency(found.p50),
            latency(found.p90),
            latency(found.p99),
            latency(found.p999),
            latency(found.p9999),
            latency(found.max),
            grouped(found.count as f64),
        ));
    }
    line(&format!("  latency from  {}", result.latency_us.basis));
    print_decomposition(result);
    print_costs(result);
    for leak in &result.leaks {
        line(&format!("  growth        {}", leak.describe()));
    }
    print_judgement(result);
}

/// The first question about any latency is whose it is.
fn print_decomposition(result: &BenchResult) {
    let parts = &result.decomposition_us;
    if parts.network_and_broker.count == 0 {
        return;
    }
    line(&format!(
        "  of a request  {} in the client's queue, {} at its socket, {} in network and broker (means; {} messages per batch)",
        latency(parts.client_queue.mean),
        latency(parts.client_socket.mean),
        latency(parts.network_and_broker.mean),
        grouped(result.batches.messages.mean),
    ));
}

fn print_costs(result: &BenchResult) {
    for resource in &result.resources {
        let per_gigabyte = resource
            .cpu_s_per_gb
            .map_or_else(String::new, |cost| format!("  {cost:.2} CPU s/GB"));
        line(&format!(
            "  {:<13} {:.2} cores{per_gigabyte}  {:.0} MB resident",
            resource.subject,
            resource.cores_used,
            resource.resident_max_bytes / 1e6,
        ));
    }
    let errors = &result.errors;
    line(&format!(
        "  errors        {} failed, {} undecided, {} retries, {} still open at the end",
        errors.failed, errors.undecided, errors.retries, result.latency_us.censored,
    ));
    for (name, count) in &errors.by_name {
        line(&format!("                {name}: {count}"));
    }
}

fn print_judgement(result: &BenchResult) {
    let integrity = &result.integrity;
    if integrity.read.is_some() {
        line(&format!("  integrity     {}", integrity.sentence()));
    }
    for remark in integrity.allowed.iter().chain(&integrity.violations) {
        line(&format!("                {remark}"));
    }
    for entry in &result.audit.entries {
        let word = match entry.light {
            Light::Red => "RED",
            Light::Amber => "amber",
            Light::Green | Light::Skipped => continue,
        };
        line(&format!(
            "  audit {word:<7} {}: {}",
            entry.name, entry.detail
        ));
    }
    for reason in &result.verdict.reasons {
        line(&format!("  verdict       {reason}"));
    }
}
