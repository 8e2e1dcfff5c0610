//! One measured combination of record size and partitions, and what is measured in it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A gigabyte is 10^9 bytes of record values, for both brokers.
const GIGABYTE: f64 = 1e9;

/// A workload of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) record_bytes: u64,
    pub(crate) partitions: u32,
}

/// The result of one run of one cell on one contender; brokers are summed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) produced_records: u64,
    pub(crate) read_back_records: u64,
    pub(crate) produce: Phase,
    pub(crate) consume: Phase,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    /// Given to the disk by the brokers while the producer ran.
    pub(crate) written_bytes: u64,
    /// The peaks since the brokers started.
    pub(crate) resident_peak_bytes: u64,
}

/// One direction of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) records_per_second: f64,
    /// Of record values.
    pub(crate) bytes: u64,
    pub(crate) broker_cpu_seconds: f64,
    pub(crate) client_cpu_seconds: f64,
    pub(crate) wall_seconds: f64,
}

impl Cell {
    pub(crate) fn name(self) -> String {
        let size = match self.record_bytes {
            1024 => "1 KiB".to_owned(),
            bytes => format!("{bytes} B"),
        };
        format!("{size} x {} partitions", self.partitions)
    }

    /// As the command line and the names of stored results have it.
    pub(crate) fn word(self) -> String {
        format!("{}x{}", self.record_bytes, self.partitions)
    }

    pub(crate) fn topic(self) -> String {
        format!("bench-{}-{}", self.record_bytes, self.partitions)
    }
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('x').and_then(|(bytes, partitions)| {
            Some(Cell {
                record_bytes: bytes.parse().ok().filter(|bytes| *bytes > 0)?,
                partitions: partitions.parse().ok().filter(|count| *count > 0)?,
            })
        });
        numbers.ok_or_else(|| "a cell is RECORD_BYTESxPARTITIONS, as in 1024x16".to_owned())
    }
}

impl Measurement {
    /// What the disk took for a byte of record values, all replicas together.
    pub(crate) fn written_per_byte(&self) -> f64 {
        self.written_bytes as f64 / self.produce.bytes as f64
    }
}

impl Phase {
    pub(crate) fn megabytes_per_second(&self, record_bytes: u64) -> f64 {
        self.records_per_second * record_bytes as f64 / 1e6
    }

    /// What the broker burns for a gigabyte of values.
    pub(crate) fn cpu_seconds_per_gigabyte(&self) -> f64 {
        self.broker_cpu_seconds / (self.bytes as f64 / GIGABYTE)
    }

    /// How many cores the client kept busy; a Java producer saturates at about one core plus its sender thread.
    pub(crate) fn client_cores(&self) -> f64 {
        self.client_cpu_seconds / self.wall_seconds
    }
}

/// The middle value; of two middle ones the mean.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }
}
