//! Three Chronik nodes next to three Apache Kafka nodes: every record on all of them, one cluster at a time, in turn.

mod steady;

use chronik_local::contender::{Contender, Kind};
use clap::Args;

use self::steady::Steady;
use super::cell::{Cell, Measurement};
use super::rounds::{self, Entrant, Entry};
use super::store;
use super::table::{self, median_of};
use super::verdict::{self, Check, THROUGHPUT_CELL};
use crate::Outcome;
use crate::error::XtaskError;

const KAFKA: Contender = Contender {
    kind: Kind::Kafka,
    nodes: 3,
};
const CHRONIK: Contender = Contender {
    kind: Kind::Chronik,
    nodes: 3,
};
/// What replication is measured against.
const ALONE: Contender = Contender {
    kind: Kind::Chronik,
    nodes: 1,
};
/// Chronik's throughput over Kafka's, at 1 KiB and 16 partitions.
const THROUGHPUT_MIN: f64 = 2.0;
/// Chronik's p99 over Kafka's at the same rate, at 1 KiB and 16 partitions.
const P99_MAX: f64 = 0.5;
/// The bytes that all replicas take per second, over what one node alone takes.
const REPLICATED_MIN: f64 = 0.8;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    rounds: rounds::Options,
    #[command(flatten)]
    steady: steady::Options,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let store = store::open("cluster", options.rounds.resume)?;
    let cells = options.rounds.cells(&usual_cells());
    let ground = options.rounds.ground()?;
    let entrants = entrants(&cells);
    let entries = rounds::run(&options.rounds, &ground, &entrants, &store)?;
    let steady = steady::run(options, &ground, &entries, &cells, &store)?;
    table::print(&entries, &entrants, &cells);
    steady::print(&steady);
    let checks = check(&entries, &steady, &cells)?;
    store.write("checks", &checks)?;
    verdict::conclude(&checks)
}

fn usual_cells() -> Vec<Cell> {
    let sizes = [1024, 100].into_iter();
    sizes
        .flat_map(|record_bytes| {
            [1, 16, 256].map(|partitions| Cell {
                record_bytes,
                partitions,
            })
        })
        .collect()
}

/// A single node takes part only where its rate is asked for.
fn entrants(cells: &[Cell]) -> Vec<Entrant> {
    let of = |contender, cells: Vec<Cell>| Entrant { contender, cells };
    let alone = cells
        .iter()
        .copied()
        .filter(|cell| *cell == THROUGHPUT_CELL);
    vec![
        of(KAFKA, cells.to_vec()),
        of(CHRONIK, cells.to_vec()),
        of(ALONE, alone.collect()),
    ]
}

fn check(entries: &[Entry], steady: &[Steady], cells: &[Cell]) -> Result<Vec<Check>, XtaskError> {
    let ratio = |cell: Cell, value: &dyn Fn(&Measurement) -> f64| {
        median_of(entries, CHRONIK, cell, value) / median_of(entries, KAFKA, cell, value)
    };
    let mut checks = Vec::new();
    if cells.contains(&THROUGHPUT_CELL) {
        checks.push(throughput(entries)?);
        checks.push(replication(entries));
        checks.extend(latency(steady));
    }
    for &cell in cells {
        let produce = ratio(cell, &|found| found.produce.cpu_seconds_per_gigabyte());
        let consume = ratio(cell, &|found| found.consume.cpu_seconds_per_gigabyte());
        checks.push(verdict::cpu(cell, "produce", produce));
        checks.push(verdict::cpu(cell, "consume", consume));
    }
    checks.extend(entries.iter().map(verdict::read_back));
    Ok(checks)
}

fn rate(entries: &[Entry], contender: Contender, cell: Cell) -> f64 {
    median_of(entries, contender, cell, |found| {
        found.produce.records_per_second
    })
}

/// Says as well where the generator would end if the brokers cost it nothing, because all share the same cores.
fn throughput(entries: &[Entry]) -> Result<Check, XtaskError> {
    let cores = std::thread::available_parallelism()
        .map_err(XtaskError::file("count", "the cores of this machine"))?;
    let client_seconds_per_record = median_of(entries, CHRONIK, THROUGHPUT_CELL, |found| {
        found.produce.client_cpu_seconds / found.produced_records as f64
    });
    let ceiling = cores.get() as f64 / client_seconds_per_record;
    let kafka = rate(entries, KAFKA, THROUGHPUT_CELL);
    let chronik = rate(entries, CHRONIK, THROUGHPUT_CELL);
    let what = format!("throughput at {}", THROUGHPUT_CELL.name());
    Ok(
        Check::at_least(what, THROUGHPUT_MIN, chronik / kafka, " x").with(&format!(
            "with brokers that cost nothing the generator would end at {:.2} x: {cores} cores, {:.1} us each record",
            ceiling / kafka,
            client_seconds_per_record * 1e6,
        )),
    )
}

fn replication(entries: &[Entry]) -> Check {
    let cluster = rate(entries, CHRONIK, THROUGHPUT_CELL);
    let alone = rate(entries, ALONE, THROUGHPUT_CELL);
    let replicas = CHRONIK.replicas() as f64;
    let what = format!(
        "replicas x rate at {} over one node alone",
        THROUGHPUT_CELL.name()
    );
    Check::at_least(what, REPLICATED_MIN, replicas * cluster / alone, " x")
        .with(&format!("{replicas} x {cluster:.0}/s, {alone:.0}/s"))
}

fn latency(steady: &[Steady]) -> Option<Check> {
    let p99 = |contender| steady::median_p99_ms(steady, contender, THROUGHPUT_CELL);
    let (kafka, chronik) = (p99(KAFKA)?, p99(CHRONIK)?);
    let what = format!("p99 at the fixed rate at {}", THROUGHPUT_CELL.name());
    let detail = format!("{chronik:.1} ms, {kafka:.1} ms");
    Some(Check::at_most(what, P99_MAX, chronik / kafka, " x").with(&detail))
}
