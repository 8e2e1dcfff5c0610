//! From a measurement to a result: every rate with its divisor, every percentile from a merged histogram.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use rdkafka::util::get_rdkafka_version;

use crate::audit;
use crate::calibration::Calibration;
use crate::cli::{Mode, Verify};
use crate::clock;
use crate::exit::Exit;
use crate::fingerprint;
use crate::load::{EndReason, Measurement};
use crate::model::{
    Batches, BenchResult, Decomposition, Errors, INTERRUPTED, Integrity, Latency, LatencySection,
    RateSpread, Resource, SCHEMA, Target, Throughput, Time, Tool, Verdict, Workload,
};
use crate::plan::{Drive, Plan};
use crate::recorder::Tag;
use crate::sampling::HostRow;
use crate::stats;
use crate::topic::TopicLayout;

const GIGABYTE: f64 = 1e9;
const MEGABYTE: f64 = 1e6;
/// Points of the percentile curve per halving of the distance to the maximum.
const CURVE_STEPS: u32 = 5;

/// What the result is called and what was typed.
pub(crate) struct Label<'a> {
    pub(crate) name: &'a str,
    pub(crate) software: Option<&'a str>,
    pub(crate) cluster_id: Option<String>,
    pub(crate) calibration: Option<Calibration>,
}

/// Puts a result together and lets the audit judge it.
pub(crate) fn summarize(
    plan: &Plan,
    topics: &[TopicLayout],
    measurement: &Measurement,
    label: &Label<'_>,
) -> BenchResult {
    let throughput = throughput(plan, measurement);
    let mut result = BenchResult {
        schema: SCHEMA.to_owned(),
        name: label.name.to_owned(),
        run: format!("{:016x}", plan.run),
        complete: measurement.has_window
            && !matches!(measurement.end, EndReason::Interrupted | EndReason::Running),
        argv: std::env::args().collect(),
        time: time(measurement),
        tool: Tool {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            librdkafka: get_rdkafka_version().1,
        },
        fingerprint: fingerprint::of_this_machine(measurement.is_co_located),
        target: target(plan, topics, measurement, label),
        workload: workload(plan),
        latency_us: latency(plan, measurement),
        decomposition_us: Decomposition {
            client_queue: measurement.statistics.queue_us,
            client_socket: measurement.statistics.socket_us,
            network_and_broker: measurement.statistics.broker_us,
            throttle: measurement.statistics.throttle_us,
        },
        batches: Batches {
            bytes: measurement.statistics.batch_bytes,
            messages: measurement.statistics.batch_messages,
        },
        errors: errors(measurement),
        integrity: integrity(plan, measurement),
        calibration: label.calibration.clone(),
        resources: resources(measurement, &throughput),
        throughput,
        ..BenchResult::default()
    };
    if measurement.end != EndReason::Running {
        result.audit = audit::audit(plan, measurement, &result);
    }
    result.verdict = verdict(&result, measurement);
    result
}

fn time(measurement: &Measurement) -> Time {
    let end = match measurement.end {
        EndReason::Duration => "duration",
        EndReason::Messages => "messages",
        EndReason::EndOfData => "end-of-data",
        EndReason::Steady => "steady",
        EndReason::Interrupted => INTERRUPTED,
        EndReason::Running => "running",
    };
    let drain_ns = measurement
        .drained_ns
        .saturating_sub(measurement.window_end_ns);
    Time {
        started_utc: measurement.started.map(clock::utc).unwrap_or_default(),
        warmup_s: match measurement.has_window {
            true => measurement.window_start_ns as f64 / 1e9,
            false => 0.0,
        },
        window_s: measurement.window_s(),
        window_end: end.to_owned(),
        drain_s: drain_ns as f64 / 1e9,
        clock_drift_us: measurement.drift_us,
    }
}

fn target(
    plan: &Plan,
    topics: &[TopicLayout],
    measurement: &Measurement,
    label: &Label<'_>,
) -> Target {
    let brokers = measurement.brokers.iter().map(|broker| {
        (
            broker.id.to_string(),
            format!("{}:{}", broker.host, broker.port),
        )
    });
    let first = topics.first();
    Target {
        bootstrap: plan.bootstrap.clone(),
        cluster_id: label.cluster_id.clone(),
        software: label.software.map(str::to_owned),
        brokers: brokers.collect(),
        topics: topics.len() as u32,
        partitions: topics.iter().map(|topic| topic.partitions).sum(),
        replication_factor: first.map_or(0, |topic| topic.replication_factor),
        topics_created: topics.iter().any(|topic| topic.was_created),
    }
}

pub(crate) fn workload(plan: &Plan) -> Workload {
    let (load_loop, rate, arrival, concurrency, max_outstanding) = match &plan.drive {
        Drive::Closed { concurrency } => ("closed", None, None, Some(*concurrency), None),
        Drive::Open {
            profile,
            arrival,
            max_outstanding,
        } => (
            "open",
            Some(profile.rate_at(0)),
            Some(format!("{arrival:?}").to_lowercase()),
            None,
            Some(*max_outstanding),
        ),
    };
    Workload {
        mode: mode_name(plan.mode).to_owned(),
        load_loop: load_loop.to_owned(),
        target_msgs_per_second: rate,
        arrival,
        concurrency,
        max_outstanding,
        producers: if plan.has_producers() {
            plan.producers
        } else {
            0
        },
        consumers: if plan.has_consumers() {
            plan.consumers
        } else {
            0
        },
        groups: if plan.has_consumers() { plan.groups } else { 0 },
        message_bytes_mean: plan.size.mean_bytes(),
        entropy: plan.entropy,
        key: format!("{:?}", plan.key),
        transaction_messages: plan.transaction_messages,
        pacing: format!("{:?}", plan.pacing).to_lowercase(),
        seed: plan.seed,
        client_config: plan.client.effective(),
    }
}

pub(crate) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Produce => "produce",
        Mode::Consume => "consume",
        Mode::E2e => "e2e",
        Mode::RoundTrip => "round-trip",
        Mode::Mixed => "mixed",
        Mode::Fanout => "fanout",
        Mode::Backlog => "backlog",
        Mode::Connect => "connect",
        Mode::Metadata => "metadata",
    }
}

fn throughput(plan: &Plan, measurement: &Measurement) -> Throughput {
    let totals = &measurement.totals;
    let window_s = measurement.window_s();
    let per_second = |count: u64| match window_s > 0.0 {
        true => count as f64 / window_s,
        false => 0.0,
    };
    let is_consume = plan.mode == Mode::Consume;
    let load_s = measurement.drained_ns.max(measurement.window_end_ns) as f64 / 1e9;
    let wire =
        measurement.statistics.wire_sent_bytes() + measurement.statistics.wire_received_bytes();
    let msgs_per_second = per_second(totals.window_acked);
    let consumed_msgs_per_second = per_second(totals.window_consumed);
    let target = match &plan.drive {
        // A counted load ends with its last completion, some time after its last send was due.
        Drive::Open { profile, .. }
            if measurement.has_window && measurement.end != EndReason::Messages =>
        {
            let due = due_messages(profile, measurement);
            (due > 0.0).then(|| totals.intended as f64 / due)
        }
        _ => None,
    };
    Throughput {
        acked: totals.window_acked,
        msgs_per_second,
        payload_mb_per_second: per_second(totals.window_acked_bytes) / MEGABYTE,
        wire_mb_per_second: match load_s > 0.0 {
            true => wire as f64 / load_s / MEGABYTE,
            false => 0.0,
        },
        consumed: totals.window_consumed,
        consumed_msgs_per_second,
        consumed_mb_per_second: per_second(totals.window_consumed_bytes) / MEGABYTE,
        headline_per_second: match is_consume {
            true => consumed_msgs_per_second,
            false => msgs_per_second,
        },
        achieved_of_target: target,
        spread: spread(measurement, is_consume),
    }
}

/// Messages the profile asks for within the window, by small steps.
fn due_messages(profile: &crate::pacer::Profile, measurement: &Measurement) -> f64 {
    const STEP_NS: u64 = 10_000_000;
    let mut due = 0.0;
    let mut at_ns = measurement.window_start_ns;
    while at_ns < measurement.window_end_ns {
        let step_ns = STEP_NS.min(measurement.window_end_ns - at_ns);
        due += profile.rate_at(at_ns + step_ns / 2) * step_ns as f64 / 1e9;
        at_ns += step_ns;
    }
    due
}

fn spread(measurement: &Measurement, is_consume: bool) -> RateSpread {
    let rates: Vec<f64> = measurement
        .window_rows()
        .map(|row| match is_consume {
            true => row.consumed as f64,
            false => row.acked as f64,
        })
        .collect();
    if rates.is_empty() {
        return RateSpread::default();
    }
    let variation = stats::variation(&rates);
    RateSpread {
        min: rates.iter().copied().fold(f64::INFINITY, f64::min),
        median: stats::median(&rates),
        max: rates.iter().copied().fold(0.0, f64::max),
        variation: if variation.is_finite() {
            variation
        } else {
            0.0
        },
    }
}

fn latency(plan: &Plan, measurement: &Measurement) -> LatencySection {
    let mut section = LatencySection {
        basis: match plan.is_open_loop() {
            true => "intended send",
            false => "actual send (closed loop: a stall slows the load and hides itself)",
        }
        .to_owned(),
        clamped: measurement.totals.clamped,
        censored: measurement.totals.censored,
        ..LatencySection::default()
    };
    for (tag, histogram) in measurement.window.iter() {
        match tag {
            Tag::Broker(id) => {
                section
                    .by_broker
                    .insert(id.to_string(), latency_of(histogram));
            }
            tag => {
                section.by_tag.insert(tag.name(), latency_of(histogram));
            }
        }
    }
    let candidates: &[Tag] = match plan.mode {
        Mode::E2e | Mode::Fanout | Mode::Mixed => &[Tag::EndToEnd, Tag::AckResponse],
        Mode::RoundTrip => &[Tag::RoundTrip],
        Mode::Connect => &[Tag::Connect],
        Mode::Metadata => &[Tag::TopicCreate],
        _ => &[Tag::AckResponse, Tag::AckService],
    };
    section.headline = candidates
        .iter()
        .find(|tag| measurement.window.get(**tag).is_some())
        .map(|tag| tag.name());
    section
}

pub(crate) fn latency_of(histogram: &Histogram<u64>) -> Latency {
    let at = |quantile| histogram.value_at_quantile(quantile) as f64;
    Latency {
        count: histogram.len(),
        mean: histogram.mean(),
        min: histogram.min() as f64,
        p50: at(0.5),
        p75: at(0.75),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        p9999: at(0.9999),
        max: histogram.max() as f64,
        curve: histogram
            .iter_quantiles(CURVE_STEPS)
            .map(|point| {
                (
                    point.quantile_iterated_to(),
                    point.value_iterated_to() as f64,
                )
            })
            .collect(),
    }
}

fn errors(measurement: &Measurement) -> Errors {
    let mut by_name: BTreeMap<String, u64> = measurement.errors.clone();
    if measurement.undecided_at_end > 0 {
        by_name.insert("NeverReported".to_owned(), measurement.undecided_at_end);
    }
    Errors {
        failed: measurement.totals.failed,
        failed_in_window: measurement.totals.window_failed,
        undecided: measurement.totals.undecided,
        retries: measurement.statistics.retries(),
        request_timeouts: measurement.statistics.timeouts(),
        disconnects: measurement.statistics.disconnects(),
        by_name,
    }
}

fn integrity(plan: &Plan, measurement: &Measurement) -> Integrity {
    let totals = &measurement.totals;
    let level = match plan.verify {
        Verify::Off => "off",
        Verify::Counts => "counts",
        Verify::Full => "full",
    };
    let mut integrity = Integrity {
        level: level.to_owned(),
        acked: totals.acked,
        undecided: totals.undecided,
        transaction_markers: totals.markers,
        ..Integrity::default()
    };
    if !measurement.offsets_before.is_empty() && !measurement.offsets_after.is_empty() {
        let growth: i64 = measurement
            .offsets_after
            .iter()
            .map(|(place, end)| end - measurement.offsets_before.get(place).copied().unwrap_or(0))
            .sum();
        integrity.offset_growth = Some(u64::try_from(growth).unwrap_or(0));
        let stored = integrity
            .offset_growth
            .unwrap_or(0)
            .saturating_sub(totals.markers);
        if stored < totals.acked {
            integrity.violations.push(format!(
                "{} records were acknowledged, but the logs grew by {stored} only",
                totals.acked
            ));
        }
    }
    if let Some(account) = &measurement.account {
        judge_account(plan, account, &mut integrity);
    }
    if let Some(problem) = &measurement.read_back_problem {
        integrity
            .violations
            .push(format!("the records could not be read back: {problem}"));
    }
    integrity
}

fn judge_account(plan: &Plan, account: &crate::load::AccountReport, integrity: &mut Integrity) {
    let ledger = &account.ledger;
    integrity.read = Some(ledger.read);
    integrity.lost = Some(ledger.lost.count);
    integrity.duplicated = Some(ledger.duplicated.count);
    integrity.reordered = Some(ledger.reordered.count);
    integrity.corrupt = Some(ledger.corrupt.count);
    integrity.foreign = Some(account.foreign);
    let mut judge = |what: &str, tally: &chronik_check::Tally, is_promised: bool| {
        if tally.count == 0 {
            return;
        }
        integrity.examples.extend(
            tally
                .examples
                .iter()
                .map(|example| format!("{what}: {example}")),
        );
        match is_promised {
            true => integrity
                .violations
                .push(format!("{} records {what}", tally.count)),
            false => integrity.allowed.push(format!(
                "{} records {what}, which a producer without idempotence allows",
                tally.count
            )),
        }
    };
    judge("lost", &ledger.lost, true);
    judge("corrupt", &ledger.corrupt, true);
    judge("duplicated", &ledger.duplicated, plan.idempotent);
    judge("reordered", &ledger.reordered, plan.idempotent);
}

/// What each process cost between the samples that enclose the window most closely.
fn resources(measurement: &Measurement, throughput: &Throughput) -> Vec<Resource> {
    let start_s = measurement.window_start_ns as f64 / 1e9;
    let end_s = measurement.window_end_ns as f64 / 1e9;
    let mut by_subject: BTreeMap<&str, Vec<&HostRow>> = BTreeMap::new();
    for row in &measurement.host_rows {
        let is_inside = row.at_s >= start_s - 0.5 && row.at_s <= end_s + 0.5;
        if is_inside {
            by_subject.entry(&row.subject).or_default().push(row);
        }
    }
    by_subject
        .into_iter()
        .filter(|(_, rows)| rows.len() >= 2)
        .map(|(subject, rows)| resource(subject, &rows, throughput))
        .collect()
}

fn resource(subject: &str, rows: &[&HostRow], throughput: &Throughput) -> Resource {
    let (first, last) = (rows[0], rows[rows.len() - 1]);
    let seconds = last.at_s - first.at_s;
    let rate = |of: fn(&HostRow) -> Option<f64>| Some((of(last)? - of(first)?) / seconds);
    let max =
        |of: fn(&HostRow) -> Option<f64>| rows.iter().filter_map(|row| of(row)).fold(0.0, f64::max);
    let cores_used = rate(|row| row.cpu_seconds).unwrap_or(0.0);
    let bytes_per_second = MEGABYTE
        * throughput
            .payload_mb_per_second
            .max(throughput.consumed_mb_per_second);
    let msgs_per_second = throughput
        .msgs_per_second
        .max(throughput.consumed_msgs_per_second);
    Resource {
        subject: subject.to_owned(),
        cores_used,
        cpu_s_per_gb: (bytes_per_second > 0.0).then(|| cores_used / bytes_per_second * GIGABYTE),
        cpu_s_per_million_msgs: (msgs_per_second > 0.0).then(|| cores_used / msgs_per_second * 1e6),
        resident_max_bytes: max(|row| row.resident_bytes),
        disk_written_mb_per_second: rate(|row| row.disk_written_bytes)
            .map(|bytes| bytes / MEGABYTE),
        open_files_max: max(|row| row.open_files),
        threads_max: max(|row| row.threads),
    }
}

fn verdict(result: &BenchResult, measurement: &Measurement) -> Verdict {
    let mut exit = Exit::Pass;
    let mut reasons = Vec::new();
    let cut_short = match measurement.end {
        EndReason::Interrupted => Some("the run was interrupted"),
        EndReason::Running => Some("the run had not ended when this was written"),
        _ => None,
    };
    if let Some(reason) = cut_short {
        exit = exit.worst(Exit::Interrupted);
        reasons.push(reason.to_owned());
    }
    if !measurement.has_window {
        reasons.push("the window never opened, so there is no number".to_owned());
    }
    let (doubt, doubts) = result.doubts();
    exit = exit.worst(doubt);
    reasons.extend(doubts);
    Verdict {
        exit: Some(exit),
        code: exit.code(),
        reasons,
    }
}

#[cfg(test)]
mod tests;
