//! What the live view knows: plain data, changed by news alone.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::News;
use crate::collect::Row;
use crate::sampling::HostRow;

/// Seconds that the curves show.
const SECONDS: usize = 300;

/// A running load as far as it has been told.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) title: String,
    /// How long warm-up and window take together, if that is known.
    pub(super) expected_s: Option<u64>,
    pub(super) phase: String,
    pub(super) remark: String,
    pub(super) rows: VecDeque<Row>,
    pub(super) processes: BTreeMap<String, Process>,
    pub(super) errors: BTreeMap<String, u64>,
}

/// The latest look at a process, and what it did since the one before.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    latest: HostRow,
    pub(super) cores: Option<f64>,
    pub(super) written_mb_per_second: Option<f64>,
}

impl State {
    pub(super) fn new(title: &str, expected: Option<Duration>) -> Self {
        Self {
            title: title.to_owned(),
            expected_s: expected.map(|expected| expected.as_secs()),
            ..Self::default()
        }
    }

    pub(super) fn take(&mut self, news: News) {
        match news {
            News::Phase(phase) => self.phase = phase,
            News::Remark(remark) => self.remark = remark,
            News::Host(row) => {
                let process = self.processes.entry(row.subject.clone()).or_default();
                process.take(*row);
            }
            News::Row(row) => {
                for (name, count) in &row.errors {
                    *self.errors.entry(name.clone()).or_default() += count;
                }
                if self.rows.len() == SECONDS {
                    self.rows.pop_front();
                }
                self.rows.push_back(*row);
            }
        }
    }

    pub(super) fn latest(&self) -> Option<&Row> {
        self.rows.back()
    }

    /// One number of each second.
    pub(super) fn curve(&self, of: impl Fn(&Row) -> Option<f64>) -> Vec<(f64, f64)> {
        let rows = self.rows.iter();
        rows.filter_map(|row| Some((row.second as f64, of(row)?)))
            .collect()
    }
}

impl Process {
    fn take(&mut self, row: HostRow) {
        let seconds = row.at_s - self.latest.at_s;
        let rate = |now: Option<f64>, before: Option<f64>| {
            (seconds > 0.0).then_some((now? - before?) / seconds)
        };
        self.cores = rate(row.cpu_seconds, self.latest.cpu_seconds);
        self.written_mb_per_second =
            rate(row.disk_written_bytes, self.latest.disk_written_bytes).map(|bytes| bytes / 1e6);
        self.latest = row;
    }

    pub(super) fn resident_mb(&self) -> Option<f64> {
        Some(self.latest.resident_bytes? / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_have_rates_from_their_second_look_on() {
        let mut state = State::new("x", None);
        for (at_s, cpu_seconds) in [(1.0, 4.0), (3.0, 5.0)] {
            state.take(News::Host(Box::new(HostRow {
                at_s,
                subject: "broker 1".into(),
                cpu_seconds: Some(cpu_seconds),
                ..HostRow::default()
            })));
        }
        assert_eq!(state.processes["broker 1"].cores, Some(0.5));
    }

    #[test]
    fn curves_forget_and_errors_do_not() {
        let mut state = State::new("x", None);
        for second in 0..400 {
            state.take(News::Row(Box::new(Row {
                second,
                acked: second,
                errors: BTreeMap::from([("Timeout".to_owned(), 1)]),
                ..Row::default()
            })));
        }
        let curve = state.curve(|row| Some(row.acked as f64));
        assert_eq!(curve.len(), SECONDS);
        assert_eq!(curve.last(), Some(&(399.0, 399.0)));
        assert_eq!(state.errors["Timeout"], 400);
    }
}
