//! Loads against librdkafka's own mock cluster, where the truth is known because the test decides it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chronik_local::wait;
use clap::Parser;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::*;
use crate::audit::Light;
use crate::cli::Cli;
use crate::model::BenchResult;
use crate::recorder::{LATENCY_MAX_US, Tag};
use crate::summary::{Label, summarize};

const TOPIC: &str = "stalled";
const BOUND: Duration = Duration::from_secs(30);

/// A load that runs: what can be seen of it, and how to end it.
#[derive(Default)]
struct Running {
    is_measuring: AtomicBool,
    /// Messages acknowledged within the seconds that have been reported.
    acked: AtomicU64,
    signals: Signals,
}

impl Running {
    /// A load that waits in vain is ended as well.
    fn await_that(&self, condition: &'static str, is_met: impl Fn(&Self) -> bool) {
        let met = wait::until(condition, BOUND, || is_met(self).then_some(()));
        if let Err(late) = met {
            self.signals.interrupt();
            panic!("{late}");
        }
    }
}

/// Notes what tests wait for, and shows nothing.
struct Silence<'a>(&'a Running);

impl Sink for Silence<'_> {
    fn phase(&mut self, phase: &str) {
        if phase == "measuring" {
            self.0.is_measuring.store(true, Ordering::SeqCst);
        }
    }

    fn interval(&mut self, _interval: &Interval, row: &Row) {
        self.0.acked.fetch_add(row.acked, Ordering::SeqCst);
    }

    fn host(&mut self, _row: &HostRow) {}

    fn checkpoint(&mut self, _so_far: &Measurement) {}

    fn snapshot(&mut self, _so_far: &Measurement) {}
}

fn mock(brokers: i32) -> MockCluster<'static, DefaultProducerContext> {
    let mock = MockCluster::new(brokers).expect("a mock cluster");
    mock.create_topic(TOPIC, 3, brokers.min(3))
        .expect("a topic of the mock cluster");
    // Else chance may give all partitions to one broker.
    for partition in 0..3 {
        mock.partition_leader(TOPIC, partition, Some(partition % brokers + 1))
            .expect("a leader");
    }
    mock
}

/// The window ends after a count or when the test has seen enough; no test waits for its two minutes.
fn plan(bootstrap: &str, arguments: &str) -> Plan {
    let fixed = format!(
        "chronik-bench --bootstrap-servers {bootstrap} --topic {TOPIC} --no-create --warmup 1s --duration 2m \
         --drain 1m --verify off --message-size 100 --producers 1 --host-sample none {arguments}"
    );
    let cli = Cli::parse_from(fixed.split_whitespace());
    Plan::of(&cli.run.load).expect("a plan")
}

/// Runs a load of `rate` messages a second. In the window the broker holds every answer back for a second; the load
/// ends once everything is answered that was due until a second later. In a closed loop nothing is due.
fn run_stalled(arguments: &str, rate: u64) -> (Measurement, BenchResult) {
    let mock = mock(1);
    let begun = Instant::now();
    execute_on(&mock, arguments, |running| {
        running.await_that("the window", |running| {
            running.is_measuring.load(Ordering::SeqCst)
        });
        mock.broker_round_trip_time(1, Duration::from_secs(5))
            .expect("a slow broker");
        // The stall itself is what is tested: it lasts a second by definition.
        thread::sleep(Duration::from_secs(1));
        mock.broker_round_trip_time(1, Duration::ZERO)
            .expect("a fast broker");
        // The load began later than this clock, so this covers all that is due until a second from now.
        let due = rate * (begun.elapsed().as_secs() + 2);
        running.await_that("the answers to all that was due", |running| {
            running.acked.load(Ordering::SeqCst) >= due
        });
        running.signals.interrupt();
    })
}

/// Runs a load, and something else meanwhile.
fn execute_on(
    mock: &MockCluster<'_, DefaultProducerContext>,
    arguments: &str,
    meanwhile: impl FnOnce(&Running),
) -> (Measurement, BenchResult) {
    let bootstrap = mock.bootstrap_servers();
    let plan = plan(&bootstrap, arguments);
    let cluster = Cluster::connect(&bootstrap, &plan.client).expect("a connection");
    let topics = [cluster
        .ensure_topic(TOPIC, 3, None, false)
        .expect("the topic of the mock cluster")];
    let running = Running::default();
    let stage = Stage {
        cluster: &cluster,
        topics: &topics,
        signals: &running.signals,
    };
    let measurement = thread::scope(|scope| {
        let load = scope.spawn(|| execute(&plan, &stage, &mut Silence(&running)));
        meanwhile(&running);
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

/// Samples between two bounds in milliseconds.
fn between(measurement: &Measurement, tag: Tag, from_ms: u64, to_ms: u64) -> u64 {
    let histogram = measurement.window.get(tag).expect("a histogram");
    histogram.count_between(from_ms * 1_000, to_ms * 1_000)
}

/// Samples of at least so many milliseconds.
fn at_least(measurement: &Measurement, tag: Tag, from_ms: u64) -> u64 {
    between(measurement, tag, from_ms, LATENCY_MAX_US / 1_000)
}

/// All samples together, in seconds.
fn sum_s(measurement: &Measurement, tag: Tag) -> f64 {
    let histogram = measurement.window.get(tag).expect("a histogram");
    histogram.mean() * histogram.len() as f64 / 1e6
}

/// A second of stall under 10,000 messages a second delays 10,000 of them, evenly by up to a second. A tool that omits
/// would see 500 of them. Other pauses of the machine only add to that, so the only upper bound is that each message
/// counts once.
fn assert_stall_is_seen(measurement: &Measurement) {
    let slow = at_least(measurement, Tag::AckResponse, 100);
    assert!(slow >= 8_000, "{slow} slow samples");
    let quarters = [(100, 325), (325, 550), (550, 775), (775, 1_000)]
        .map(|(from_ms, to_ms)| between(measurement, Tag::AckResponse, from_ms, to_ms));
    for quarter in quarters {
        assert!(quarter >= 1_600, "{quarters:?}");
    }
    let totals = &measurement.totals;
    assert_eq!(
        at_least(measurement, Tag::AckResponse, 0),
        totals.intended_acked + totals.censored
    );
}

#[test]
fn an_open_loop_sees_a_stall_with_a_roomy_queue() {
    let (measurement, result) = run_stalled("--rate 10k", 10_000);
    assert_stall_is_seen(&measurement);
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
    let (measurement, result) = run_stalled(arguments, 10_000);
    assert_stall_is_seen(&measurement);
    // From the actual send the same stall looks harmless, because more than 9,000 messages left late. What they waited
    // before that is the omission: half a second each. Other pauses of the machine only add to it.
    let omitted_s = sum_s(&measurement, Tag::AckResponse) - sum_s(&measurement, Tag::AckService);
    assert!(omitted_s >= 4_000.0, "{omitted_s} s are omitted");
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
    let (measurement, result) = run_stalled("--concurrency 64", 0);
    let slow = at_least(&measurement, Tag::AckService, 500);
    // The stall has 64 slow samples, where the open loop has 5,000. However often the machine pauses, none of the 64
    // can be slow more than twice a second.
    let at_most = 64.0 * (2.0 * measurement.window_s() + 1.0);
    assert!(slow as f64 <= at_most, "{slow} slow samples");
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
    let (_, result) = execute_on(
        &mock,
        "--messages 800 --rate 200 --linger-ms 0 --key seq",
        |_| (),
    );
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
    let (measurement, result) = execute_on(&mock(1), "--messages 5k --rate 5k", |_| ());
    assert_eq!(measurement.totals.intended, 5_000);
    assert_eq!(measurement.totals.intended_acked, 5_000);
    // Throughput counts completions in the window: messages of the warm-up may complete in it.
    assert!((5_000..=measurement.totals.sent).contains(&result.throughput.acked));
    assert_eq!(result.time.window_end, "messages");
    let histogram = measurement
        .window
        .get(Tag::AckResponse)
        .expect("a histogram");
    assert_eq!(histogram.len(), 5_000);
    assert!(result.latency_us.by_broker.contains_key("1"));
}
