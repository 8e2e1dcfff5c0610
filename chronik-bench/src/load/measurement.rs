//! What a load leaves behind: numbers without an opinion.

use std::collections::BTreeMap;

use super::account::AccountReport;
use crate::collect::Row;
use crate::recorder::{Counters, Tracks};
use crate::sampling::HostRow;
use crate::statistics::ClientStatistics;
use crate::topic::{BrokerAddress, Offsets};

/// Why the window ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The fixed end of the window.
    #[default]
    Duration,
    /// The last completion of a counted load.
    Messages,
    /// The end of the topic.
    EndOfData,
    /// The mean rate is known well enough.
    Steady,
    Interrupted,
    /// It has not ended: these are the numbers so far.
    Running,
}

/// How many messages were outstanding, looked at from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Gauge {
    pub(crate) samples: u64,
    pub(crate) mean: f64,
    /// Of the mean, from batches of samples, because neighbours resemble each other.
    pub(crate) standard_error: f64,
}

/// Everything that was counted and timed.
#[derive(Debug, Default)]
pub(crate) struct Measurement {
    pub(crate) started: Option<std::time::SystemTime>,
    pub(crate) window_start_ns: u64,
    pub(crate) window_end_ns: u64,
    pub(crate) drained_ns: u64,
    pub(crate) end: EndReason,
    /// The window was open long enough to say anything.
    pub(crate) has_window: bool,
    pub(crate) totals: Counters,
    pub(crate) window: Tracks,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) rows: Vec<Row>,
    pub(crate) host_rows: Vec<HostRow>,
    pub(crate) gauge: Gauge,
    pub(crate) statistics: ClientStatistics,
    pub(crate) offsets_before: Offsets,
    pub(crate) offsets_after: Offsets,
    pub(crate) account: Option<AccountReport>,
    pub(crate) read_back_problem: Option<String>,
    /// Messages nobody heard of again, even after they were given up.
    pub(crate) undecided_at_end: u64,
    /// Readers did not see everything before the drain ended.
    pub(crate) unread_at_end: u64,
    pub(crate) brokers: Vec<BrokerAddress>,
    pub(crate) is_co_located: bool,
    pub(crate) drift_us: f64,
}

impl Measurement {
    /// The divisor of every rate.
    pub(crate) fn window_s(&self) -> f64 {
        self.window_end_ns.saturating_sub(self.window_start_ns) as f64 / 1e9
    }

    /// Rows that lie completely inside the window.
    pub(crate) fn window_rows(&self) -> impl Iterator<Item = &Row> {
        let is_inside = |row: &&Row| {
            row.second * 1_000_000_000 >= self.window_start_ns
                && (row.second + 1) * 1_000_000_000 <= self.window_end_ns
        };
        self.rows.iter().filter(is_inside)
    }
}
