//! Is the measurement valid? Each entry can turn red, and then no number of the run counts.

use serde::{Deserialize, Serialize};

use crate::load::Measurement;
use crate::model::BenchResult;
use crate::plan::{Drive, Plan};
use crate::recorder::Tag;

const LITTLE_TOLERANCE: f64 = 0.05;
/// Fewer messages than this in flight on average are too few for a law of averages.
const LITTLE_MIN_IN_FLIGHT: f64 = 0.5;
const LITTLE_MIN_SAMPLES: u64 = 500;
const LATENESS_P99_MAX_US: f64 = 1_000.0;
const ACHIEVED_MIN: f64 = 0.99;
const DRIFT_MAX_US_PER_S: f64 = 200.0;
const GENERATOR_CPU_AMBER: f64 = 0.7;
const CEILING_AMBER: f64 = 0.8;
const REPLY_QUEUE_AMBER: u64 = 1_000;
const SMALL_BATCH_MESSAGES: f64 = 5.0;
const LOOP_FULL_MIN: f64 = 0.9;

/// The entry about how late messages left while there was room for them.
pub(crate) const SEND_LATENESS: &str = "send lateness";

/// All checks of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Audit {
    pub(crate) entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) light: Light,
    /// The numbers that were compared.
    pub(crate) detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Light {
    Green,
    /// Printed, and no baseline is made of it.
    Amber,
    /// The measurement is invalid.
    Red,
    /// Does not apply, and the detail says why.
    Skipped,
}

impl Audit {
    pub(crate) fn red(&self) -> impl Iterator<Item = &Entry> {
        self.of(Light::Red)
    }

    pub(crate) fn amber(&self) -> impl Iterator<Item = &Entry> {
        self.of(Light::Amber)
    }

    fn of(&self, light: Light) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.light == light)
    }
}

/// Everything the audit compares, as plain numbers: a test can turn each entry red.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) is_open_loop: bool,
    pub(crate) is_complete: bool,
    pub(crate) is_exclusive: bool,
    pub(crate) is_idempotent: bool,
    pub(crate) is_co_located: bool,
    pub(crate) seeks_maximum: bool,
    pub(crate) window_s: f64,
    pub(crate) window_name: String,
    pub(crate) run_s: f64,
    /// Acknowledged within the window.
    pub(crate) acked: u64,
    pub(crate) rate: f64,
    pub(crate) service_mean_us: Option<f64>,
    pub(crate) service_count: u64,
    pub(crate) intended_acked: u64,
    pub(crate) censored: u64,
    pub(crate) gauge_mean: f64,
    pub(crate) gauge_error: f64,
    pub(crate) gauge_samples: u64,
    pub(crate) concurrency: Option<u32>,
    pub(crate) percentiles: Vec<(String, Vec<f64>, f64)>,
    pub(crate) clamped: u64,
    pub(crate) saturated: u64,
    pub(crate) acked_in_all: u64,
    pub(crate) markers: u64,
    pub(crate) maybe_stored: u64,
    pub(crate) offset_growth: Option<u64>,
    pub(crate) lateness_p99_us: Option<f64>,
    pub(crate) achieved: Option<f64>,
    pub(crate) blocked: u64,
    pub(crate) drift_us: f64,
    pub(crate) generator_cores: Option<f64>,
    pub(crate) cores: u32,
    pub(crate) batch_messages_mean: Option<f64>,
    pub(crate) payload_mb_per_second: f64,
    pub(crate) replication_factor: u32,
    pub(crate) wire_mb_per_second: f64,
    pub(crate) network_mb_per_second: Option<f64>,
    pub(crate) ceiling_msgs_per_second: Option<f64>,
    /// Most callbacks that ever waited for a poll thread.
    pub(crate) reply_queue_max: u64,
}

/// Audits a finished run.
pub(crate) fn audit(plan: &Plan, measurement: &Measurement, result: &BenchResult) -> Audit {
    judge(&facts(plan, measurement, result))
}

fn facts(plan: &Plan, measurement: &Measurement, result: &BenchResult) -> Facts {
    let totals = &measurement.totals;
    let service = measurement.window.get(Tag::AckService);
    let tag = |name: &str| result.latency_us.by_tag.get(name);
    Facts {
        is_open_loop: plan.is_open_loop(),
        is_complete: result.complete,
        is_exclusive: result.target.topics_created,
        is_idempotent: plan.idempotent,
        is_co_located: measurement.is_co_located,
        seeks_maximum: !plan.is_open_loop() && plan.has_producers(),
        window_s: result.time.window_s,
        window_name: result.time.window_end.clone(),
        run_s: measurement.drained_ns as f64 / 1e9,
        acked: totals.window_acked,
        rate: result.throughput.msgs_per_second,
        service_mean_us: service.map(hdrhistogram::Histogram::mean),
        service_count: service.map_or(0, hdrhistogram::Histogram::len),
        intended_acked: totals.intended_acked,
        censored: totals.censored,
        gauge_mean: measurement.gauge.mean,
        gauge_error: measurement.gauge.standard_error,
        gauge_samples: measurement.gauge.samples,
        concurrency: match plan.drive {
            Drive::Closed { concurrency } if plan.has_producers() => Some(concurrency),
            _ => None,
        },
        percentiles: result
            .latency_us
            .by_tag
            .iter()
            .map(|(name, latency)| {
                let row = vec![
                    latency.min,
                    latency.p50,
                    latency.p75,
                    latency.p90,
                    latency.p95,
                    latency.p99,
                    latency.p999,
                    latency.p9999,
                    latency.max,
                ];
                (name.clone(), row, latency.mean)
            })
            .collect(),
        clamped: totals.clamped,
        saturated: totals.saturated,
        acked_in_all: totals.acked,
        markers: totals.markers,
        maybe_stored: totals.undecided + measurement.undecided_at_end,
        offset_growth: result.integrity.offset_growth,
        lateness_p99_us: tag("lateness").map(|latency| latency.p99),
        achieved: result.throughput.achieved_of_target,
        blocked: totals.blocked,
        drift_us: measurement.drift_us,
        generator_cores: result.generator().map(|resource| resource.cores_used),
        cores: result.fingerprint.cores,
        batch_messages_mean: (result.batches.messages.count > 0)
            .then_some(result.batches.messages.mean),
        payload_mb_per_second: result.throughput.payload_mb_per_second,
        replication_factor: result.target.replication_factor,
        wire_mb_per_second: result.throughput.wire_mb_per_second,
        network_mb_per_second: result.fingerprint.network_mb_per_second,
        ceiling_msgs_per_second: result
            .calibration
            .as_ref()
            .map(|calibration| calibration.ceiling_msgs_per_second * f64::from(plan.producers)),
        reply_queue_max: measurement.statistics.reply_queue_max,
    }
}

/// Compares what must agree.
pub(crate) fn judge(facts: &Facts) -> Audit {
    let entries = vec![
        divisors(facts),
        littles_law(facts),
        loop_occupancy(facts),
        monotone(facts),
        histogram_count(facts),
        offsets(facts),
        ranges(facts),
        lateness(facts),
        achieved(facts),
        clocks(facts),
        wire(facts),
        generator_cpu(facts),
        ceiling(facts),
        poll_threads(facts),
        shared_host(facts),
        batches(facts),
    ];
    Audit { entries }
}

fn entry(name: &str, light: Light, detail: String) -> Entry {
    Entry {
        name: name.to_owned(),
        light,
        detail,
    }
}

fn red_if(is_red: bool) -> Light {
    match is_red {
        true => Light::Red,
        false => Light::Green,
    }
}

fn amber_if(is_amber: bool) -> Light {
    match is_amber {
        true => Light::Amber,
        false => Light::Green,
    }
}

fn divisors(facts: &Facts) -> Entry {
    let expected = facts.acked as f64 / facts.window_s;
    let is_wrong = facts.window_s <= 0.0 || (expected - facts.rate).abs() > expected * 1e-6;
    let detail = format!(
        "{} completions / {:.3} s (window, ended by {}) = {:.1} per second",
        facts.acked, facts.window_s, facts.window_name, facts.rate
    );
    entry("divisor", red_if(is_wrong), detail)
}

/// Messages in flight = rate x time in flight; a wrong divisor or a lost sample breaks it.
fn littles_law(facts: &Facts) -> Entry {
    let name = "little's law";
    let Some(mean_us) = facts.service_mean_us else {
        return entry(
            name,
            Light::Skipped,
            "no acknowledgements are timed".to_owned(),
        );
    };
    if facts.gauge_samples < LITTLE_MIN_SAMPLES {
        let detail = format!("only {} looks at the gauge", facts.gauge_samples);
        return entry(name, Light::Skipped, detail);
    }
    if facts.gauge_mean < LITTLE_MIN_IN_FLIGHT {
        let detail = format!("{:.2} messages in flight are too few", facts.gauge_mean);
        return entry(name, Light::Skipped, detail);
    }
    let computed = facts.rate * mean_us / 1e6;
    // Three standard errors of the gauge: what chance alone explains is no fault.
    let allowed = LITTLE_TOLERANCE * facts.gauge_mean + 3.0 * facts.gauge_error;
    let difference = (computed - facts.gauge_mean).abs();
    let detail = format!(
        "{:.1} per second x {:.3} ms = {computed:.2} in flight; the gauge saw {:.2} +- {:.2}",
        facts.rate,
        mean_us / 1e3,
        facts.gauge_mean,
        facts.gauge_error,
    );
    entry(name, red_if(difference > allowed), detail)
}

/// A closed loop that is not full measures the generator.
fn loop_occupancy(facts: &Facts) -> Entry {
    let name = "closed loop is full";
    let Some(concurrency) = facts.concurrency.filter(|_| !facts.is_open_loop) else {
        return entry(
            name,
            Light::Skipped,
            "not a closed loop of producers".to_owned(),
        );
    };
    let share = facts.gauge_mean / f64::from(concurrency);
    let detail = format!(
        "{:.1} of {concurrency} messages were outstanding on average ({:.0} %)",
        facts.gauge_mean,
        share * 100.0
    );
    let is_known = facts.gauge_samples >= LITTLE_MIN_SAMPLES;
    entry(name, amber_if(is_known && share < LOOP_FULL_MIN), detail)
}

fn monotone(facts: &Facts) -> Entry {
    let broken: Vec<&str> = facts
        .percentiles
        .iter()
        .filter(|(_, row, mean)| {
            let max = row.last().copied().unwrap_or(0.0);
            // The histogram rounds a value by up to 0.1 %.
            !row.is_sorted() || *mean > max * 1.001
        })
        .map(|(name, ..)| name.as_str())
        .collect();
    let detail = match broken.is_empty() {
        true => format!("{} distributions", facts.percentiles.len()),
        false => format!("broken: {}", broken.join(", ")),
    };
    entry("percentiles ascend", red_if(!broken.is_empty()), detail)
}

fn histogram_count(facts: &Facts) -> Entry {
    let name = "histogram count";
    if facts.service_mean_us.is_none() {
        return entry(
            name,
            Light::Skipped,
            "no acknowledgements are timed".to_owned(),
        );
    }
    let expected = facts.intended_acked + facts.censored;
    let detail = format!(
        "{} values; {} acknowledged + {} censored of those intended in the window",
        facts.service_count, facts.intended_acked, facts.censored
    );
    entry(name, red_if(facts.service_count != expected), detail)
}

fn offsets(facts: &Facts) -> Entry {
    let name = "acknowledged against broker offsets";
    let Some(growth) = facts.offset_growth else {
        return entry(name, Light::Skipped, "offsets were not compared".to_owned());
    };
    let stored = growth.saturating_sub(facts.markers);
    let detail = format!(
        "{} acknowledged, {} more perhaps; end offsets grew by {growth}, {} of it markers",
        facts.acked_in_all, facts.maybe_stored, facts.markers
    );
    let light = if stored < facts.acked_in_all {
        Light::Red
    } else if stored <= facts.acked_in_all + facts.maybe_stored {
        Light::Green
    } else if facts.is_exclusive && facts.is_idempotent {
        Light::Red
    } else {
        // Retries without idempotence, or somebody else's records.
        Light::Amber
    };
    entry(name, light, detail)
}

fn ranges(facts: &Facts) -> Entry {
    let is_red = facts.clamped + facts.saturated > 0;
    let detail = format!(
        "{} values beyond the histogram, {} latenesses beyond their 24 bits",
        facts.clamped, facts.saturated
    );
    entry("no clamps", red_if(is_red), detail)
}

/// Only messages that had room count: with a full queue the lateness is the cluster's.
fn lateness(facts: &Facts) -> Entry {
    let name = SEND_LATENESS;
    let Some(p99_us) = facts.lateness_p99_us.filter(|_| facts.is_open_loop) else {
        return entry(
            name,
            Light::Skipped,
            "no schedule to be late for".to_owned(),
        );
    };
    let detail = format!(
        "p99 {:.0} us while there was room (limit {LATENESS_P99_MAX_US:.0})",
        p99_us
    );
    entry(name, red_if(p99_us > LATENESS_P99_MAX_US), detail)
}

fn achieved(facts: &Facts) -> Entry {
    let name = "target rate";
    let Some(achieved) = facts
        .achieved
        .filter(|_| facts.is_open_loop && facts.is_complete)
    else {
        return entry(name, Light::Skipped, "no complete open loop".to_owned());
    };
    let detail = format!(
        "{:.2} % of the schedule was sent; {} sends found no room",
        achieved * 100.0,
        facts.blocked
    );
    let is_short = achieved < ACHIEVED_MIN;
    // Without room the shortfall is the cluster's fault and a goal is there to judge it.
    let light = match (is_short, facts.blocked > 0) {
        (false, _) => Light::Green,
        (true, true) => Light::Amber,
        (true, false) => Light::Red,
    };
    entry(name, light, detail)
}

fn clocks(facts: &Facts) -> Entry {
    let allowed = DRIFT_MAX_US_PER_S * facts.run_s.max(1.0);
    let detail = format!(
        "wall against monotonic: {:.0} us over {:.0} s",
        facts.drift_us, facts.run_s
    );
    entry(
        "clocks agree",
        red_if(facts.drift_us.abs() > allowed),
        detail,
    )
}

/// More than the network can carry was not carried.
fn wire(facts: &Facts) -> Entry {
    let name = "within the network's speed";
    let Some(network) = facts.network_mb_per_second.filter(|_| !facts.is_co_located) else {
        return entry(
            name,
            Light::Skipped,
            "brokers are local, or no interface says how fast it is".to_owned(),
        );
    };
    let detail = format!(
        "{:.1} MB/s on the wire, the interface carries {network:.0}",
        facts.wire_mb_per_second
    );
    // Both directions are counted, and each has the whole speed.
    entry(
        name,
        red_if(facts.wire_mb_per_second > 2.0 * network),
        detail,
    )
}

fn generator_cpu(facts: &Facts) -> Entry {
    let name = "generator has room";
    let Some(used) = facts.generator_cores else {
        return entry(
            name,
            Light::Skipped,
            "the generator was not sampled".to_owned(),
        );
    };
    let share = used / f64::from(facts.cores.max(1));
    let detail = format!(
        "{used:.2} of {} cores ({:.0} %)",
        facts.cores,
        share * 100.0
    );
    entry(name, amber_if(share > GENERATOR_CPU_AMBER), detail)
}

/// Near its own ceiling the generator measures itself.
fn ceiling(facts: &Facts) -> Entry {
    let name = "below the generator's ceiling";
    let Some(ceiling) = facts.ceiling_msgs_per_second else {
        return entry(
            name,
            Light::Skipped,
            "not calibrated: chronik-bench calibrate".to_owned(),
        );
    };
    let share = facts.rate / ceiling;
    let detail = format!("{:.0} % of {ceiling:.0} msg/s", share * 100.0);
    entry(name, amber_if(share > CEILING_AMBER), detail)
}

/// An acknowledgement that waits for its poll thread counts as latency of the cluster.
fn poll_threads(facts: &Facts) -> Entry {
    let detail = format!("at most {} callbacks waited", facts.reply_queue_max);
    entry(
        "acknowledgements are taken at once",
        amber_if(facts.reply_queue_max > REPLY_QUEUE_AMBER),
        detail,
    )
}

fn shared_host(facts: &Facts) -> Entry {
    let name = "host is not shared";
    let is_amber = facts.is_co_located && facts.seeks_maximum;
    let detail = match facts.is_co_located {
        true => format!(
            "brokers run on the generator's machine ({} cores): a maximum is of both together",
            facts.cores
        ),
        false => format!(
            "payload x RF is {:.1} MB/s for the cluster's network and disks",
            facts.payload_mb_per_second * f64::from(facts.replication_factor)
        ),
    };
    entry(name, amber_if(is_amber), detail)
}

fn batches(facts: &Facts) -> Entry {
    let name = "batches";
    let Some(mean) = facts.batch_messages_mean else {
        return entry(
            name,
            Light::Skipped,
            "nothing was batched or reported".to_owned(),
        );
    };
    let detail = format!("{mean:.1} messages per batch on average");
    let is_amber = facts.seeks_maximum && mean < SMALL_BATCH_MESSAGES;
    entry(name, amber_if(is_amber), detail)
}

#[cfg(test)]
mod tests;
