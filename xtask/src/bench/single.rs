//! One Chronik node next to one Apache Kafka node: same disk, same tools, one broker at a time, in turn.

use chronik_local::contender::{Contender, Kind};
use clap::Args;

use super::cell::{Cell, Measurement, median};
use super::rounds::{self, Entrant, Entry};
use super::store;
use super::table::{self, median_of};
use super::verdict::{self, Check, THROUGHPUT_CELL};
use crate::Outcome;

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
const KAFKA: Contender = Contender {
    kind: Kind::Kafka,
    nodes: 1,
};
const CHRONIK: Contender = Contender {
    kind: Kind::Chronik,
    nodes: 1,
};
/// Chronik's throughput over Kafka's, at 1 KiB and 16 partitions.
const THROUGHPUT_MIN: f64 = 1.5;
/// Chronik's peak of resident memory over Kafka's.
const RESIDENT_MAX: f64 = 0.25;
/// From `exec` to the first served request.
const START_MS_MAX: f64 = 300.0;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    rounds: rounds::Options,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let options = &options.rounds;
    let store = store::open("single", options.resume)?;
    let cells = options.cells(&CELLS);
    let entrants = [KAFKA, CHRONIK].map(|contender| Entrant {
        contender,
        cells: cells.clone(),
    });
    let entries = rounds::run(options, &options.ground()?, &entrants, &store)?;
    table::print(&entries, &entrants, &cells);
    let checks = check(&entries, &cells);
    store.write("checks", &checks)?;
    verdict::conclude(&checks)
}

fn check(entries: &[Entry], cells: &[Cell]) -> Vec<Check> {
    let ratio = |cell: Cell, value: &dyn Fn(&Measurement) -> f64| {
        median_of(entries, CHRONIK, cell, value) / median_of(entries, KAFKA, cell, value)
    };
    let of_lives = |contender: Contender, value: &dyn Fn(&Entry) -> f64| {
        let entries = entries.iter();
        median(
            entries
                .filter(|entry| entry.contender == contender)
                .map(value),
        )
    };
    let mut checks = Vec::new();
    if cells.contains(&THROUGHPUT_CELL) {
        let what = format!("throughput at {}", THROUGHPUT_CELL.name());
        let value = ratio(THROUGHPUT_CELL, &|found| found.produce.records_per_second);
        checks.push(Check::at_least(what, THROUGHPUT_MIN, value, " x"));
    }
    for &cell in cells {
        let produce = ratio(cell, &|found| found.produce.cpu_seconds_per_gigabyte());
        let consume = ratio(cell, &|found| found.consume.cpu_seconds_per_gigabyte());
        checks.push(verdict::cpu(cell, "produce", produce));
        checks.push(verdict::cpu(cell, "consume", consume));
    }
    // Peaks only grow, so a life's own is that of its last cell.
    let last = cells.last().copied();
    let resident = |contender| {
        last.map_or(f64::NAN, |cell| {
            median_of(entries, contender, cell, |found| {
                found.resident_peak_bytes as f64
            })
        })
    };
    let value = resident(CHRONIK) / resident(KAFKA);
    checks.push(Check::at_most(
        "peak of resident memory",
        RESIDENT_MAX,
        value,
        " x",
    ));
    let start_ms = of_lives(CHRONIK, &|entry| entry.start_ms);
    checks.push(Check::at_most(
        "first served request",
        START_MS_MAX,
        start_ms,
        " ms",
    ));
    checks.extend(entries.iter().map(verdict::read_back));
    checks
}
