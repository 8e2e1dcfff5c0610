//! One Chronik node next to one Apache Kafka node: same disk, same tools, one broker at a time, in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chronik_local::{ChronikOptions, KafkaOptions, Node};
use clap::Args;
use serde_json::{Value, json};

use super::cell::{Cell, Measurement, median};
use super::tools;
use super::verdict::{self, Check, THROUGHPUT_CELL};
use crate::error::XtaskError;
use crate::{Outcome, output, step};

const CELLS: [Cell; 4] = [
    Cell {
        record_bytes: 1024,
        partitions: 1,
    },
    Cell {
        record_bytes: 1024,
        partitions: 16,
    },
    Cell {
        record_bytes: 100,
        partitions: 1,
    },
    Cell {
        record_bytes: 100,
        partitions: 16,
    },
];
/// Both brokers see some load before anything counts: a JVM needs it to be itself.
const WARM_UP: Cell = Cell {
    record_bytes: 512,
    partitions: 4,
};
const MEBIBYTE: f64 = 1024.0 * 1024.0;

#[derive(Args)]
pub(crate) struct Options {
    /// How often each broker is measured
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Records of 1 KiB per cell
    #[arg(long, default_value_t = 1_000_000)]
    records_1k: u64,
    /// Records of 100 B per cell
    #[arg(long, default_value_t = 5_000_000)]
    records_100: u64,
    /// Only this cell, as in `1024x16` (record size, partitions); may be repeated
    #[arg(long = "cell", value_name = "CELL")]
    cells: Vec<Cell>,
    /// Records of the warm-up
    #[arg(long, default_value_t = 500_000)]
    records_warm_up: u64,
    /// Where the brokers put their data; a folder of the build directory without it
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kafka,
    Chronik,
}

/// One broker's life in one round.
struct Run {
    kind: Kind,
    start: Duration,
    resident_peak_bytes: u64,
    cells: Vec<(Cell, Measurement)>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let server = step::release_server()?;
    let dir = match &options.dir {
        Some(dir) => dir.clone(),
        None => step::work_dir("bench")?,
    };
    let cells = if options.cells.is_empty() {
        &CELLS[..]
    } else {
        &options.cells
    };
    let mut runs = Vec::new();
    for round in 0..options.rounds {
        // Whoever goes second finds a disk that was just busy, so they take turns at that as well.
        let order = match round % 2 {
            0 => [Kind::Kafka, Kind::Chronik],
            _ => [Kind::Chronik, Kind::Kafka],
        };
        for kind in order {
            output::heading(&format!(
                "round {} of {}: {}",
                round + 1,
                options.rounds,
                kind.name()
            ));
            runs.push(measure(kind, cells, &server, &dir, options)?);
        }
    }
    print_table(&runs, cells);
    let checks = check(&runs, cells);
    save(&runs, &checks)?;
    conclude(&checks)
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Kafka => "Apache Kafka",
            Self::Chronik => "Chronik",
        }
    }

    fn start(self, server: &Path, dir: &Path) -> Result<Node, XtaskError> {
        let node = match self {
            Self::Kafka => KafkaOptions::new(dir).start(),
            Self::Chronik => ChronikOptions::new(server, dir).start(),
        };
        Ok(node?)
    }
}

fn measure(
    kind: Kind,
    wanted: &[Cell],
    server: &Path,
    dir: &Path,
    options: &Options,
) -> Result<Run, XtaskError> {
    let dir = tempfile::tempdir_in(dir).map_err(XtaskError::file("make a folder in", dir))?;
    let mut node = kind.start(server, dir.path())?;
    let start = node.time_to_serve();
    output::line(&format!("served its first request after {start:.1?}"));
    tools::create_topic(dir.path(), &node.bootstrap(), WARM_UP)?;
    tools::produce(
        dir.path(),
        &node.bootstrap(),
        WARM_UP,
        options.records_warm_up,
    )?;
    tools::consume(
        dir.path(),
        &node.bootstrap(),
        WARM_UP,
        options.records_warm_up,
    )?;
    let mut cells = Vec::new();
    for &cell in wanted {
        let records = match cell.record_bytes {
            1024 => options.records_1k,
            _ => options.records_100,
        };
        let measurement = measure_cell(&node, dir.path(), cell, records)?;
        output::line(&row(kind, cell, &measurement));
        cells.push((cell, measurement));
    }
    let resident_peak_bytes = node.sample()?.resident_peak_bytes;
    node.stop()?;
    Ok(Run {
        kind,
        start,
        resident_peak_bytes,
        cells,
    })
}

fn measure_cell(
    node: &Node,
    dir: &Path,
    cell: Cell,
    records: u64,
) -> Result<Measurement, XtaskError> {
    let bootstrap = node.bootstrap();
    tools::create_topic(dir, &bootstrap, cell)?;
    let cpu = || -> Result<Duration, XtaskError> {
        Ok(Duration::from_secs_f64(node.sample()?.cpu_seconds))
    };
    let before = cpu()?;
    let (produced, produce_cost) = tools::produce(dir, &bootstrap, cell, records)?;
    let between = cpu()?;
    let (consumed, consume_cost) = tools::consume(dir, &bootstrap, cell, records)?;
    let after = cpu()?;
    let produced_bytes = produced.records * cell.record_bytes;
    let consumed_bytes = consumed.records * cell.record_bytes;
    Ok(Measurement {
        produced_records: produced.records,
        read_back_records: consumed.records,
        produce: produce_cost.phase(
            produced.records_per_second,
            produced_bytes,
            between - before,
        ),
        consume: consume_cost.phase(consumed.records_per_second, consumed_bytes, after - between),
        p50_ms: produced.p50_ms,
        p99_ms: produced.p99_ms,
    })
}

fn print_table(runs: &[Run], cells: &[Cell]) {
    output::heading("all rounds");
    output::line(
        "broker        cell                    produce/s   MB/s  p50 ms  p99 ms  CPU s/GB  client cores   \
         consume/s   MB/s  CPU s/GB   read back / produced",
    );
    for &cell in cells {
        for kind in [Kind::Kafka, Kind::Chronik] {
            for run in runs.iter().filter(|run| run.kind == kind) {
                for (_, measurement) in run.cells.iter().filter(|(found, _)| *found == cell) {
                    output::line(&row(kind, cell, measurement));
                }
            }
        }
    }
    for run in runs {
        output::line(&format!(
            "{:<13} start {:.0} ms, peak of resident memory {:.0} MiB",
            run.kind.name(),
            run.start.as_secs_f64() * 1e3,
            run.resident_peak_bytes as f64 / MEBIBYTE,
        ));
    }
}

fn row(kind: Kind, cell: Cell, measurement: &Measurement) -> String {
    let produce = &measurement.produce;
    let consume = &measurement.consume;
    format!(
        "{:<13} {:<22} {:>10.0} {:>6.1} {:>7.0} {:>7.0} {:>9.2} {:>13.2} {:>11.0} {:>6.1} {:>9.2}   {} / {}",
        kind.name(),
        cell.name(),
        produce.records_per_second,
        produce.megabytes_per_second(cell.record_bytes),
        measurement.p50_ms,
        measurement.p99_ms,
        produce.cpu_seconds_per_gigabyte(),
        produce.client_cores(),
        consume.records_per_second,
        consume.megabytes_per_second(cell.record_bytes),
        consume.cpu_seconds_per_gigabyte(),
        measurement.read_back_records,
        measurement.produced_records,
    )
}

fn check(runs: &[Run], cells: &[Cell]) -> Vec<Check> {
    let ratio = |cell: Cell, value: &dyn Fn(&Measurement) -> f64| {
        let of = |kind| median(measurements(runs, kind, cell).map(value));
        of(Kind::Chronik) / of(Kind::Kafka)
    };
    let of_runs = |kind: Kind, value: &dyn Fn(&Run) -> f64| {
        median(runs.iter().filter(|run| run.kind == kind).map(value))
    };
    let mut checks = Vec::new();
    if cells.contains(&THROUGHPUT_CELL) {
        let throughput = ratio(THROUGHPUT_CELL, &|found| found.produce.records_per_second);
        checks.push(verdict::throughput(throughput));
    }
    for &cell in cells {
        let produce = ratio(cell, &|found| found.produce.cpu_seconds_per_gigabyte());
        let consume = ratio(cell, &|found| found.consume.cpu_seconds_per_gigabyte());
        checks.push(verdict::cpu(cell, "produce", produce));
        checks.push(verdict::cpu(cell, "consume", consume));
    }
    let resident = |run: &Run| run.resident_peak_bytes as f64;
    checks.push(verdict::resident(
        of_runs(Kind::Chronik, &resident) / of_runs(Kind::Kafka, &resident),
    ));
    let start_ms = |run: &Run| run.start.as_secs_f64() * 1e3;
    checks.push(verdict::start(of_runs(Kind::Chronik, &start_ms)));
    for run in runs {
        for (cell, found) in &run.cells {
            let name = run.kind.name();
            checks.push(verdict::read_back(
                *cell,
                name,
                found.produced_records,
                found.read_back_records,
            ));
        }
    }
    checks
}

fn measurements(runs: &[Run], kind: Kind, cell: Cell) -> impl Iterator<Item = &Measurement> {
    runs.iter()
        .filter(move |run| run.kind == kind)
        .flat_map(|run| &run.cells)
        .filter(move |(found, _)| *found == cell)
        .map(|(_, measurement)| measurement)
}

fn save(runs: &[Run], checks: &[Check]) -> Outcome {
    let run_json = |run: &Run| -> Value {
        let cells: Vec<Value> = run
            .cells
            .iter()
            .map(|(cell, found)| {
                json!({
                    "record_bytes": cell.record_bytes,
                    "partitions": cell.partitions,
                    "produced_records": found.produced_records,
                    "read_back_records": found.read_back_records,
                    "produce_records_per_second": found.produce.records_per_second,
                    "produce_cpu_seconds_per_gigabyte": found.produce.cpu_seconds_per_gigabyte(),
                    "produce_client_cores": found.produce.client_cores(),
                    "produce_p50_ms": found.p50_ms,
                    "produce_p99_ms": found.p99_ms,
                    "consume_records_per_second": found.consume.records_per_second,
                    "consume_cpu_seconds_per_gigabyte": found.consume.cpu_seconds_per_gigabyte(),
                })
            })
            .collect();
        json!({
            "broker": run.kind.name(),
            "start_ms": run.start.as_secs_f64() * 1e3,
            "resident_peak_bytes": run.resident_peak_bytes,
            "cells": cells,
        })
    };
    let check_json = |check: &Check| json!({"requirement": check.requirement, "met": check.is_met, "detail": check.detail});
    let report = json!({
        "kafka_version": chronik_local::kafka::VERSION,
        "runs": runs.iter().map(run_json).collect::<Vec<_>>(),
        "checks": checks.iter().map(check_json).collect::<Vec<_>>(),
    });
    #[expect(
        clippy::disallowed_methods,
        reason = "the name of a report says when it was made"
    )]
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let path = step::work_dir("bench")?.join(format!("single-{seconds}.json"));
    fs::write(&path, format!("{report:#}\n")).map_err(XtaskError::file("write", &path))?;
    output::line(&format!("saved {}", path.display()));
    Ok(())
}

fn conclude(checks: &[Check]) -> Outcome {
    output::heading("requirements (medians, Chronik over Apache Kafka)");
    for check in checks {
        let word = if check.is_met { "met   " } else { "MISSED" };
        output::line(&format!("{word} {}: {}", check.requirement, check.detail));
    }
    let missed = checks.iter().filter(|check| !check.is_met).count();
    if missed == 0 {
        return Ok(());
    }
    Err(XtaskError::Refused(format!(
        "{missed} of {} requirements are missed",
        checks.len()
    )))
}
