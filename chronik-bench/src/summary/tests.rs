//! A run under a clock that the test moves: rates, percentiles and counts are exact.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use clap::Parser;

use super::*;
use crate::audit::Light;
use crate::cli::Cli;
use crate::collect::Collector;
use crate::pacer::{Arrival, Profile, Schedule};
use crate::recorder::Recorder;
use crate::window::Window;

const SECOND_NS: u64 = 1_000_000_000;
const WARMUP_NS: u64 = 2 * SECOND_NS;
const WINDOW_NS: u64 = 10 * SECOND_NS;
const RATE: u32 = 1_000;
/// From the intended send to the acknowledgement; every hundredth takes longer.
const USUAL_US: u64 = 500;
const SLOW_US: u64 = 40_000;

fn plan() -> Plan {
    let line = format!(
        "chronik-bench -b nowhere:1 --rate {RATE} --warmup 2s --duration 10s --message-size 1000 --verify off"
    );
    let cli = Cli::parse_from(line.split_whitespace());
    Plan::of(&cli.run.load).expect("a plan")
}

/// Sends by the schedule and acknowledges after a known time, for two seconds longer than the window.
fn measurement() -> Measurement {
    let window = Arc::new(Window::fixed(WARMUP_NS, WARMUP_NS + WINDOW_NS));
    let (reports, taken) = sync_channel(64);
    let mut recorder = Recorder::new(0, window, reports);
    let profile = Profile::constant(f64::from(RATE));
    let mut schedule = Schedule::new(profile, Arrival::Uniform, 0, 1, 1);
    let mut completions: Vec<(u64, u64)> = (0..14 * u64::from(RATE))
        .map(|number| {
            let intended_ns = schedule.next_ns();
            let latency_us = match number % 100 {
                99 => SLOW_US,
                _ => USUAL_US,
            };
            (intended_ns + latency_us * 1_000, intended_ns)
        })
        .collect();
    completions.sort_unstable();
    for (now_ns, intended_ns) in completions {
        recorder.rotate(now_ns);
        let phase = recorder.acknowledged(intended_ns, now_ns, 1_000);
        recorder.counters().intended += u64::from(phase == crate::window::Phase::Window);
        let latency_us = (now_ns - intended_ns) / 1_000;
        for tag in [Tag::AckResponse, Tag::AckService] {
            recorder.record(tag, phase, latency_us);
        }
        recorder.record(Tag::Lateness, phase, 0);
    }
    drop(recorder);
    let mut collector = Collector::new(1);
    taken.iter().for_each(|snapshot| collector.add(snapshot));
    let rows = std::iter::from_fn(|| collector.next_closed(14));
    let rows = rows.map(|interval| interval.row("window", 0)).collect();
    let mut measurement = Measurement {
        window_start_ns: WARMUP_NS,
        window_end_ns: WARMUP_NS + WINDOW_NS,
        drained_ns: 14 * SECOND_NS,
        has_window: true,
        totals: collector.totals,
        window: collector.window.clone(),
        rows,
        ..Measurement::default()
    };
    measurement.gauge.samples = 5_000;
    measurement.gauge.mean = f64::from(RATE) * 895.0 / 1e6;
    measurement.gauge.standard_error = 0.01;
    measurement
}

fn result() -> BenchResult {
    let label = Label {
        name: "exact",
        software: None,
        cluster_id: None,
        calibration: None,
    };
    summarize(&plan(), &[], &measurement(), &label)
}

#[test]
fn a_known_rate_has_exact_arithmetic() {
    let result = result();
    assert!(result.complete);
    assert_eq!(result.time.window_s, 10.0);
    // As many messages of the warm-up complete in the window as messages of the window complete after it.
    assert_eq!(result.throughput.acked, 10_000);
    assert_eq!(result.throughput.msgs_per_second, 1_000.0);
    assert_eq!(result.throughput.payload_mb_per_second, 1.0);
    assert_eq!(result.throughput.achieved_of_target, Some(1.0));
    let found = &result.latency_us.by_tag["ack-response"];
    assert_eq!(found.count, 10_000);
    assert_eq!((found.min, found.p50, found.p99), (500.0, 500.0, 500.0));
    // The histogram keeps three digits of larger values.
    assert!((found.max - 40_000.0).abs() < 40.0, "{}", found.max);
    assert!((found.p999 - 40_000.0).abs() < 40.0, "{}", found.p999);
    assert!((found.mean - 895.0).abs() < 1.0, "{}", found.mean);
}

#[test]
fn such_a_run_is_valid_and_one_second_more_in_the_divisor_is_not() {
    let sound = result();
    assert_eq!(sound.verdict.code, 0, "{:?}", sound.verdict.reasons);
    let law = |result: &BenchResult| {
        let entries = &result.audit.entries;
        let law = entries.iter().find(|entry| entry.name == "little's law");
        law.expect("an entry").light
    };
    assert_eq!(law(&sound), Light::Green);
    let label = Label {
        name: "late",
        software: None,
        cluster_id: None,
        calibration: None,
    };
    let mut late = measurement();
    late.window_end_ns += SECOND_NS;
    let spoiled = summarize(&plan(), &[], &late, &label);
    assert_eq!(law(&spoiled), Light::Red);
    assert_eq!(spoiled.verdict.exit, Some(Exit::Invalid));
    assert_eq!(spoiled.verdict.code, 6);
}
