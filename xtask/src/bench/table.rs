//! The measured cells as lines of a table, and the medians that requirements are about.

use chronik_local::contender::Contender;

use super::cell::{Cell, Measurement, median};
use super::rounds::{Entrant, Entry};
use crate::output;

const MEBIBYTE: f64 = 1024.0 * 1024.0;

impl Entry {
    pub(crate) fn row(&self) -> String {
        let found = &self.found;
        let (produce, consume) = (&found.produce, &found.consume);
        format!(
            "{:<16} {:<22} {:>10.0} {:>6.1} {:>7.0} {:>7.0} {:>8.0} {:>9.2} {:>8.2} {:>13.2} {:>11.0} {:>6.1} {:>9.2} {:>8.0}   {} / {}",
            self.contender.name(),
            self.cell.name(),
            produce.records_per_second,
            produce.megabytes_per_second(self.cell.record_bytes),
            found.p50_ms,
            found.p99_ms,
            found.p999_ms,
            produce.cpu_seconds_per_gigabyte(),
            found.written_per_byte(),
            produce.client_cores(),
            consume.records_per_second,
            consume.megabytes_per_second(self.cell.record_bytes),
            consume.cpu_seconds_per_gigabyte(),
            found.resident_peak_bytes as f64 / MEBIBYTE,
            found.read_back_records,
            found.produced_records,
        )
    }
}

/// All rounds of a cell under each other.
pub(crate) fn print(entries: &[Entry], entrants: &[Entrant], cells: &[Cell]) {
    output::heading("all rounds (brokers summed)");
    output::line(
        "broker           cell                    produce/s   MB/s  p50 ms  p99 ms p99.9 ms  CPU s/GB  written  client cores   \
         consume/s   MB/s  CPU s/GB  RSS MiB   read back / produced",
    );
    for &cell in cells {
        for entrant in entrants {
            for entry in of(entries, entrant.contender, cell) {
                output::line(&entry.row());
            }
        }
    }
}

pub(crate) fn of(
    entries: &[Entry],
    contender: Contender,
    cell: Cell,
) -> impl Iterator<Item = &Entry> {
    entries
        .iter()
        .filter(move |entry| entry.contender == contender && entry.cell == cell)
}

/// The median over all rounds of a contender in a cell.
pub(crate) fn median_of(
    entries: &[Entry],
    contender: Contender,
    cell: Cell,
    value: impl Fn(&Measurement) -> f64,
) -> f64 {
    median(of(entries, contender, cell).map(|entry| value(&entry.found)))
}
