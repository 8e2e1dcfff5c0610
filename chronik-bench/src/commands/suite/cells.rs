//! The results of a suite, each under its workload, target and round; the folder is the only memory.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::commands::compare::result_dirs;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::model::BenchResult;
use crate::report::Story;
use crate::store::read_result;

/// Which result: its name in the folder says the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) workload: String,
    pub(super) target: String,
    pub(super) round: u32,
}

/// All results that count.
#[derive(Debug, Default)]
pub(super) struct Cells {
    found: BTreeMap<String, Cell>,
}

#[derive(Debug)]
struct Cell {
    result: BenchResult,
    dir: PathBuf,
}

impl Key {
    pub(super) fn new(workload: &str, target: &str, round: u32) -> Self {
        Self {
            workload: workload.to_owned(),
            target: target.to_owned(),
            round,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}", self.workload, self.target, self.round + 1)
    }
}

impl Cells {
    /// Complete results of an earlier life of the suite.
    pub(super) fn read(dir: &Path) -> Result<Self, BenchError> {
        let mut cells = Self::default();
        for dir in result_dirs(dir)? {
            cells.add(read_result(&dir)?, dir);
        }
        Ok(cells)
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.found.contains_key(&key.to_string())
    }

    /// One that was cut short does not count.
    pub(super) fn add(&mut self, result: BenchResult, dir: PathBuf) {
        if result.complete {
            self.found.insert(result.name.clone(), Cell { result, dir });
        }
    }

    /// The results of all rounds.
    pub(super) fn of(&self, workload: &str, target: &str, rounds: u32) -> Vec<&BenchResult> {
        let cells = self.rounds_of(workload, target, rounds).into_iter();
        cells.map(|cell| &cell.result).collect()
    }

    /// The plots of the round whose rate is in the middle.
    pub(super) fn middle_story(&self, workload: &str, target: &str, rounds: u32) -> Option<Story> {
        let mut cells = self.rounds_of(workload, target, rounds);
        let rate = |cell: &&Cell| cell.result.throughput.headline_per_second;
        cells.sort_by(|one, other| rate(one).total_cmp(&rate(other)));
        Story::read(&cells.get(cells.len() / 2)?.dir).ok()
    }

    fn rounds_of(&self, workload: &str, target: &str, rounds: u32) -> Vec<&Cell> {
        let names = (0..rounds).map(|round| Key::new(workload, target, round).to_string());
        names.filter_map(|name| self.found.get(&name)).collect()
    }

    /// The worst that any run said of itself.
    pub(super) fn exit(&self) -> Exit {
        let verdicts = self.found.values();
        verdicts
            .filter_map(|cell| cell.result.verdict.exit)
            .fold(Exit::Pass, Exit::worst)
    }

    /// What speaks against results.
    pub(super) fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        for (name, cell) in &self.found {
            let reasons = cell.result.verdict.reasons.iter();
            doubts.extend(reasons.map(|reason| format!("{name}: {reason}")));
        }
        doubts
    }

    pub(super) fn any(&self) -> Option<&BenchResult> {
        self.found.values().next().map(|cell| &cell.result)
    }
}
