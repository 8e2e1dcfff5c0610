//! `calibrate`: what this generator can do on this machine, against librdkafka's own mock cluster.

use std::time::Duration;

use clap::Parser;
use rdkafka::mocking::MockCluster;

use crate::calibration::{self, Calibration};
use crate::cli::{CalibrateArguments, Cli};
use crate::commands::run::run_plan;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::model::BenchResult;
use crate::output;
use crate::plan::{Plan, Warmup};
use crate::signals::Signals;
use crate::store;
use crate::units::{grouped, latency};

const TOPIC: &str = "calibrate";
const PARTITIONS: i32 = 6;
const CEILING_CONCURRENCY: u32 = 20_000;
const FLOOR_RATE: u32 = 1_000;
const WARMUP: Duration = Duration::from_secs(2);

pub(crate) fn run(arguments: &CalibrateArguments, signals: &Signals) -> Result<Exit, BenchError> {
    let mock = MockCluster::new(i32::try_from(arguments.mock_brokers).unwrap_or(1))
        .map_err(BenchError::client)?;
    mock.create_topic(TOPIC, PARTITIONS, 1)
        .map_err(BenchError::client)?;
    let bootstrap = mock.bootstrap_servers();
    let size = &arguments.message_size;
    let ceiling = measure(
        arguments,
        &bootstrap,
        &format!(
            "--concurrency {CEILING_CONCURRENCY} --linger-ms 5 --message-size {size} --producers 1"
        ),
        signals,
    )?;
    let floor = measure(
        arguments,
        &bootstrap,
        &format!("--rate {FLOOR_RATE} --linger-ms 0 --message-size {size} --producers 1"),
        signals,
    )?;
    let calibration = summarize(&ceiling, &floor);
    print(&calibration);
    let path = calibration::path(&arguments.output.out);
    store::write_json(&path, &calibration)?;
    output::line(&format!("wrote {}", path.display()));
    Ok(Exit::Pass)
}

fn measure(
    arguments: &CalibrateArguments,
    bootstrap: &str,
    load: &str,
    signals: &Signals,
) -> Result<BenchResult, BenchError> {
    let text = format!(
        "chronik-bench --bootstrap-servers {bootstrap} --topic {TOPIC} --no-create --verify off --host-sample none {load}"
    );
    let cli = Cli::try_parse_from(text.split_whitespace())
        .map_err(|wrong| BenchError::Usage(wrong.to_string()))?;
    let mut plan = Plan::of(&cli.run.load)?;
    plan.duration = arguments.duration;
    plan.warmup = Warmup::Fixed(WARMUP);
    let done = run_plan(&plan, &arguments.output, Some("librdkafka mock"), signals)?;
    match done.result.is_interrupted() {
        true => Err(BenchError::Interrupted),
        false => Ok(done.result),
    }
}

fn summarize(ceiling: &BenchResult, floor: &BenchResult) -> Calibration {
    let cores = ceiling
        .generator()
        .map_or(f64::NAN, |resource| resource.cores_used);
    let rate = ceiling.throughput.msgs_per_second;
    let by_tag = &floor.latency_us.by_tag;
    let found = by_tag.get("ack-response").cloned().unwrap_or_default();
    Calibration {
        measured_utc: ceiling.time.started_utc.clone(),
        fingerprint: ceiling.fingerprint.clone(),
        message_bytes: ceiling.workload.message_bytes_mean,
        ceiling_msgs_per_second: rate,
        ceiling_msgs_per_second_per_core: rate / cores,
        ceiling_cores_used: cores,
        cpu_s_per_million_msgs: cores / rate * 1e6,
        floor_p50_us: found.p50,
        floor_p99_us: found.p99,
        lateness_p99_us: by_tag.get("lateness").map_or(f64::NAN, |found| found.p99),
    }
}

fn print(calibration: &Calibration) {
    output::line(&format!(
        "ceiling: {} msg/s of {} B with one instance, on {:.2} cores with the mock brokers: {} msg/s per core, {:.2} CPU s per million",
        grouped(calibration.ceiling_msgs_per_second),
        calibration.message_bytes,
        calibration.ceiling_cores_used,
        grouped(calibration.ceiling_msgs_per_second_per_core),
        calibration.cpu_s_per_million_msgs,
    ));
    output::line(&format!(
        "floor:   p50 {}, p99 {} from the intended send at {FLOOR_RATE} msg/s; sends late by p99 {}",
        latency(calibration.floor_p50_us),
        latency(calibration.floor_p99_us),
        latency(calibration.lateness_p99_us),
    ));
    output::line("both are bounds from below: the mock cluster shares the processor");
}
