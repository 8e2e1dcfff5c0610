//! Contenders on the same disk, driven by Kafka's own tools, one at a time and in turn.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chronik_local::contender::{Contender, Cost};
use chronik_local::{Cluster, Store};
use clap::Args;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::cell::{Cell, Measurement};
use super::tools;
use crate::error::XtaskError;
use crate::{output, step};

/// All brokers see some load before anything counts: a JVM needs it to be itself.
const WARM_UP: Cell = Cell {
    record_bytes: 512,
    partitions: 4,
};
/// What a quick look leaves of all lengths.
const QUICK_DIVISOR: u64 = 10;

/// How much is measured, and where.
#[derive(Clone, Args)]
#[group(skip)]
pub(crate) struct Options {
    /// How often each contender is measured
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
    /// One round with a tenth of the records: shows that it works, not what it is worth
    #[arg(long)]
    pub(crate) quick: bool,
    /// Keep what was measured at this commit and measure what is missing
    #[arg(long)]
    pub(crate) resume: bool,
    /// Where the brokers put their data; a folder of the build directory without it
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A server to measure instead of this checkout's
    #[arg(long)]
    server: Option<PathBuf>,
}

/// A contender and the cells it is measured in.
pub(crate) struct Entrant {
    pub(crate) contender: Contender,
    pub(crate) cells: Vec<Cell>,
}

/// One cell of one contender in one round, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) commit: String,
    /// The program that was measured; this checkout's, unless one was named.
    pub(crate) server: PathBuf,
    pub(crate) contender: Contender,
    pub(crate) round: u32,
    pub(crate) cell: Cell,
    pub(crate) start_ms: f64,
    pub(crate) found: Measurement,
}

/// Everything a contender needs to be started, found once.
pub(crate) struct Ground {
    server: PathBuf,
    dir: PathBuf,
    warm_up_records: u64,
}

/// Warmed up nodes; they and their data end with it.
pub(crate) struct Life {
    pub(crate) cluster: Cluster,
    pub(crate) start_ms: f64,
    pub(crate) dir: TempDir,
}

impl Options {
    /// The cells that were asked for, or the ones that belong to the command.
    pub(crate) fn cells(&self, usual: &[Cell]) -> Vec<Cell> {
        match &self.cells[..] {
            [] => usual.to_vec(),
            asked => asked.to_vec(),
        }
    }

    pub(crate) fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    /// A length of the full measurement, or what a quick look leaves of it.
    pub(crate) fn scaled(&self, length: u64) -> u64 {
        match self.quick {
            true => (length / QUICK_DIVISOR).max(1),
            false => length,
        }
    }

    fn records(&self, cell: Cell) -> u64 {
        self.scaled(match cell.record_bytes {
            1024 => self.records_1k,
            _ => self.records_100,
        })
    }

    pub(crate) fn ground(&self) -> Result<Ground, XtaskError> {
        Ok(Ground {
            server: step::server(self.server.as_deref())?,
            dir: match &self.dir {
                Some(dir) => dir.clone(),
                None => step::work_dir("bench")?,
            },
            warm_up_records: self.scaled(self.records_warm_up),
        })
    }
}

impl Ground {
    pub(crate) fn start(&self, contender: Contender) -> Result<Life, XtaskError> {
        let dir = tempfile::tempdir_in(&self.dir)
            .map_err(XtaskError::file("make a folder in", &self.dir))?;
        let (cluster, start) = contender.start(&self.server, dir.path(), &BTreeMap::new())?;
        output::line(&format!("served its first request after {start:.1?}"));
        let life = Life {
            cluster,
            start_ms: start.as_secs_f64() * 1e3,
            dir,
        };
        life.create(contender, WARM_UP)?;
        let (path, bootstrap) = (life.dir.path(), life.cluster.bootstrap());
        tools::produce(path, &bootstrap, WARM_UP, self.warm_up_records)?;
        tools::consume(path, &bootstrap, WARM_UP, self.warm_up_records)?;
        Ok(life)
    }
}

impl Life {
    fn create(&self, contender: Contender, cell: Cell) -> Result<(), XtaskError> {
        tools::create_topic(
            self.dir.path(),
            &self.cluster.bootstrap(),
            &cell.topic(),
            cell.partitions,
            contender.replicas(),
        )
    }

    fn measure(
        &self,
        contender: Contender,
        cell: Cell,
        records: u64,
    ) -> Result<Measurement, XtaskError> {
        self.create(contender, cell)?;
        let (dir, bootstrap) = (self.dir.path(), self.cluster.bootstrap());
        let before = Cost::of(&self.cluster)?;
        let (produced, produce_cost) = tools::produce(dir, &bootstrap, cell, records)?;
        let between = Cost::of(&self.cluster)?;
        let (consumed, consume_cost) = tools::consume(dir, &bootstrap, cell, records)?;
        let after = Cost::of(&self.cluster)?;
        let cpu = |from: Cost, to: Cost| to.cpu_seconds - from.cpu_seconds;
        Ok(Measurement {
            produced_records: produced.records,
            read_back_records: consumed.records,
            produce: produce_cost.phase(
                produced.records_per_second,
                produced.records * cell.record_bytes,
                cpu(before, between),
            ),
            consume: consume_cost.phase(
                consumed.records_per_second,
                consumed.records * cell.record_bytes,
                cpu(between, after),
            ),
            p50_ms: produced.p50_ms,
            p99_ms: produced.p99_ms,
            p999_ms: produced.p999_ms,
            written_bytes: between.written_bytes - before.written_bytes,
            resident_peak_bytes: after.resident_peak_bytes,
        })
    }
}

/// Measures all entrants in all rounds, except for what the store has already.
pub(crate) fn run(
    options: &Options,
    ground: &Ground,
    entrants: &[Entrant],
    store: &Store,
) -> Result<Vec<Entry>, XtaskError> {
    let mut entries = Vec::new();
    for round in 0..options.rounds() {
        for position in turn(entrants.len(), round) {
            let entrant = &entrants[position];
            let (known, missing) = split(options, entrant, round, store)?;
            entries.extend(known);
            if missing.is_empty() {
                continue;
            }
            output::heading(&format!(
                "round {} of {}: {}",
                round + 1,
                options.rounds(),
                entrant.contender.name()
            ));
            let mut life = ground.start(entrant.contender)?;
            for cell in missing {
                let entry = Entry {
                    commit: store.commit().to_owned(),
                    server: ground.server.clone(),
                    contender: entrant.contender,
                    round,
                    cell,
                    start_ms: life.start_ms,
                    found: life.measure(entrant.contender, cell, options.records(cell))?,
                };
                output::line(&entry.row());
                store.write(&file_name(entrant.contender, cell, round), &entry)?;
                entries.push(entry);
            }
            life.cluster.stop()?;
        }
    }
    Ok(entries)
}

/// Whoever goes second finds a disk that was just busy, so they take turns at that as well.
pub(crate) fn turn(entrants: usize, round: u32) -> impl Iterator<Item = usize> {
    let first = round as usize % entrants.max(1);
    (0..entrants).map(move |place| (first + place) % entrants)
}

/// What is stored of this round, and the cells that are not.
fn split(
    options: &Options,
    entrant: &Entrant,
    round: u32,
    store: &Store,
) -> Result<(Vec<Entry>, Vec<Cell>), XtaskError> {
    let (mut known, mut missing) = (Vec::new(), Vec::new());
    for &cell in &entrant.cells {
        let stored: Option<Entry> = store.read(&file_name(entrant.contender, cell, round))?;
        // Another number of records is another measurement.
        match stored.filter(|entry| entry.found.produced_records == options.records(cell)) {
            Some(entry) => known.push(entry),
            None => missing.push(cell),
        }
    }
    Ok((known, missing))
}

fn file_name(contender: Contender, cell: Cell, round: u32) -> String {
    format!("{}-{}-round-{round}", contender.word(), cell.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_goes_first_in_turn() {
        let order = |round| turn(3, round).collect::<Vec<_>>();
        assert_eq!(order(0), [0, 1, 2]);
        assert_eq!(order(1), [1, 2, 0]);
        assert_eq!(order(3), [0, 1, 2]);
    }
}
