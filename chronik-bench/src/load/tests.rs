//! Loads against librdkafka's own mock cluster, where the truth is known because the test decides it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::*;
use crate::audit::Light;
use crate::cli::Cli;
use crate::model::BenchResult;
use crate::recorder::Tag;
use crate::summary::{Label, summarize};

const TOPIC: &str = "stalled";
const WARMUP_S: u64 = 1;
const WINDOW_S: u64 = 4;

/// Counts the seconds that pass and tells whoever waits for the window.
#[derive(Default)]
struct Silence {
    is_measuring: std::sync::Arc<AtomicBool>,
}

impl Sink for Silence {
    fn phase(&mut self, phase: &str) {
        if phase == "measuring" {
            self.is_measuring.store(true, Ordering::SeqCst);
        }
    }

    fn interval(&mut self, _interval: &Interval, _row: &Row) {}

    fn host(&mut self, _row: &HostRow) {}

    fn checkpoint(&mut self, _so_far: &Measurement) {}

    fn snapshot(&mut self, _so_far: &Measurement) {}
}

fn mock(brokers: i32) -> MockCluster<'static, DefaultProducerContext> {
    let mock = MockCluster::new(brokers).expect("a mock cluster");
    mock.create_topic(TOPIC, 3, brokers.min(3))
        .expect("a topic of the mock cluster");
    mock
}

fn plan(bootstrap: &str, arguments: &str) -> Plan {
    let fixed = format!(
        "chronik-bench --bootstrap-servers {bootstrap} --topic {TOPIC} --no-create --warmup {WARMUP_S}s \
         --duration {WINDOW_S}s --verify off --message-size 100 --producers 1 --host-sample none {arguments}"
    );
    let cli = Cli::parse_from(fixed.split_whitespace());
    Plan::of(&cli.run.load).expect("a plan")
}

/// Runs a load; when the window has opened, brokers hold every answer back for a second. Also says how long that
/// second was in truth.
fn run(arguments: &str, stall: bool) -> (Measurement, BenchResult, Duration) {
    let mock = mock(1);
    let mut stalled = Duration::ZERO;
    let (measurement, result) = execute_on(&mock, arguments, |is_measuring| {
        if !stall {
            return;
        }
        chronik_local::wait::until("the window", Duration::from_secs(30), || {
            is_measuring.load(Ordering::SeqCst).then_some(())
        })
        .expect("the window opens");
        let begun = Instant::now();
        mock.broker_round_trip_time(1, Duration::from_secs(5))
            .expect("a slow broker");
        // The stall itself is what is tested: it lasts a second by definition.
        thread::sleep(Duration::from_secs(1));
        mock.broker_round_trip_time(1, Duration::ZERO)
            .expect("a fast broker");
        stalled = begun.elapsed();
    });
    (measurement, result, stalled)
}

/// Runs a load, and something else meanwhile, which is told when the window opens.
fn execute_on(
    mock: &MockCluster<'_, DefaultProducerContext>,
    arguments: &str,
    meanwhile: impl FnOnce(&AtomicBool),
) -> (Measurement, BenchResult) {
    let bootstrap = mock.bootstrap_servers();
    let plan = plan(&bootstrap, arguments);
    let cluster = Cluster::connect(&bootstrap, &plan.client).expect("a connection");
    let topics = [cluster
        .ensure_topic(TOPIC, 3, None, false)
        .expect("the topic of the mock cluster")];
    let signals = Signals::default();
    let stage = Stage {
        cluster: &cluster,
        topics: &topics,
        signals: &signals,
    };
    let mut sink = Silence::default();
    let is_measuring = std::sync::Arc::clone(&sink.is_measuring);
    let measurement = thread::scope(|scope| {
        let load = scope.spawn(|| execute(&plan, &stage, &mut sink));
        meanwhile(&is_measuring);
        load.join().expect("the load does not panic")
    });
    let measurement = measurement.expect("a measurement");
    let label = Label {
        name: "test",
        software: None,
        cluster_id: None,
        calibration: None,
    };
    let result = summarize(&plan, &topics, &measurement, &label);
    (measurement, result)
}

/// Samples of the response time between two bounds in milliseconds.
fn between(measurement: &Measurement, tag: Tag, from_ms: u64, to_ms: u64) -> u64 {
    let histogram = measurement.window.get(tag).expect("a histogram");
    histogram.count_between(from_ms * 1_000, to_ms * 1_000)
}

/// A second of stall under 10,000 messages a second delays 10,000 of them, evenly by up to a second. A tool that omits
/// would see 500 of them.
fn assert_stall_is_seen(measurement: &Measurement, stalled: Duration) {
    let slow = between(measurement, Tag::AckResponse, 100, 2_000) as f64 / stalled.as_secs_f64();
    assert!(
        (8_000.0..=11_500.0).contains(&slow),
        "{slow} slow samples per second of stall, which lasted {stalled:?}"
    );
    let quarters: Vec<u64> = [(100, 325), (325, 550), (550, 775), (775, 1_000)]
        .map(|(from, to)| between(measurement, Tag::AckResponse, from, to))
        .to_vec();
    for quarter in &quarters {
        assert!((1_600..=2_900).contains(quarter), "{quarters:?}");
    }
}

#[test]
fn an_open_loop_sees_a_stall_with_a_roomy_queue() {
    let (measurement, result, stalled) = run("--rate 10k", true);
    assert_stall_is_seen(&measurement, stalled);
    assert_eq!(result.workload.load_loop, "open");
    assert!(result.latency_us.by_tag["ack-response"].p99 > 500_000.0);
}

#[test]
fn an_open_loop_sees_a_stall_that_blocks_the_generator_itself() {
    assert_blocked("--rate 10k --max-outstanding 500");
}

#[test]
fn an_open_loop_sees_a_stall_that_fills_the_queue_of_librdkafka() {
    assert_blocked("--rate 10k -X queue.buffering.max.messages=500");
}

/// Only a blocked generator separates the intended from the actual send; a wrong tool passes with a roomy queue.
fn assert_blocked(arguments: &str) {
    let (measurement, result, stalled) = run(arguments, true);
    assert_stall_is_seen(&measurement, stalled);
    // From the actual send the same stall looks harmless: this is the omission.
    let service = between(&measurement, Tag::AckService, 100, 2_000);
    assert!(
        service <= 600,
        "{service} slow samples from the actual send"
    );
    assert!(measurement.totals.blocked > 0);
    let late = result
        .audit
        .entries
        .iter()
        .find(|entry| entry.name == "send lateness");
    assert_ne!(late.expect("an entry").light, Light::Skipped);
}

#[test]
fn a_closed_loop_hides_the_same_stall_and_says_so() {
    let (measurement, result, _) = run("--concurrency 64", true);
    let slow = between(&measurement, Tag::AckService, 500, 2_000);
    assert!(slow <= 64, "{slow} slow samples");
    assert_eq!(result.workload.load_loop, "closed");
    assert!(result.latency_us.basis.contains("hides itself"));
    assert!(!result.latency_us.by_tag.contains_key("ack-response"));
}

#[test]
fn a_known_round_trip_comes_out_by_broker() {
    let mock = mock(2);
    for (broker, milliseconds) in [(1, 20), (2, 60)] {
        mock.broker_round_trip_time(broker, Duration::from_millis(milliseconds))
            .expect("a slow broker");
    }
    // A key for each message spreads them over partitions, whose leaders are both brokers.
    let (_, result) = execute_on(&mock, "--rate 200 --linger-ms 0 --key seq", |_| ());
    for (broker, milliseconds) in [("1", 20.0), ("2", 60.0)] {
        let found = &result.latency_us.by_broker[broker];
        let ms = |us: f64| us / 1_000.0;
        assert!(found.count > 100, "broker {broker}: {}", found.count);
        assert!(
            ms(found.min) >= milliseconds,
            "broker {broker}: {}",
            found.min
        );
        // What is more is the scheduler's; half of the messages have to be nearer than the other broker's.
        assert!(
            ms(found.p50) < milliseconds + 20.0,
            "broker {broker}: {}",
            found.p50
        );
    }
}

#[test]
fn a_counted_load_is_exact() {
    let (measurement, result, _) = run("--messages 5k --rate 5k", false);
    assert_eq!(measurement.totals.intended, 5_000);
    assert_eq!(measurement.totals.intended_acked, 5_000);
    // Throughput counts completions in the window: a few messages of the warm-up complete in it.
    assert!((5_000..5_100).contains(&result.throughput.acked));
    assert_eq!(result.time.window_end, "messages");
    let histogram = measurement
        .window
        .get(Tag::AckResponse)
        .expect("a histogram");
    assert_eq!(histogram.len(), 5_000);
    assert!(result.latency_us.by_broker.contains_key("1"));
}
