//! Adds the snapshots of all threads up: a row for each second, totals for the run.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::recorder::{Counters, Snapshot, Tag, Tracks};

/// A row waits for slow threads at most so many seconds; what comes later is in the totals only.
const ROW_PATIENCE_S: u64 = 5;

/// One second of a run, as a line of `intervals.ndjson`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Row {
    /// Seconds since the start of the load; the row covers `[second, second + 1)`.
    pub(crate) second: u64,
    /// `warmup`, `window` or `drain`.
    pub(crate) phase: String,
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    pub(crate) acked_bytes: u64,
    pub(crate) failed: u64,
    pub(crate) consumed: u64,
    pub(crate) consumed_bytes: u64,
    pub(crate) operations: u64,
    /// Messages outstanding at the end of the second.
    pub(crate) outstanding: u64,
    /// Sends that found no room.
    pub(crate) blocked: u64,
    /// Percentiles of this second alone, in microseconds, by what is timed.
    pub(crate) latency_us: BTreeMap<String, RowLatency>,
    pub(crate) errors: BTreeMap<String, u64>,
}

/// Percentiles of one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct RowLatency {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// A finished second with its histograms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interval {
    pub(crate) second: u64,
    pub(crate) counters: Counters,
    /// What counts, for the histogram log.
    pub(crate) window: Tracks,
    /// Everything, for the eye.
    pub(crate) all: Tracks,
    pub(crate) errors: BTreeMap<String, u64>,
}

/// Snapshots in, intervals and totals out.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    live: BTreeSet<usize>,
    /// The second up to which each live source has reported.
    reported: BTreeMap<usize, u64>,
    open: BTreeMap<u64, Interval>,
    closed_before: u64,
    pub(crate) totals: Counters,
    pub(crate) window: Tracks,
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Collector {
    /// Sources are numbered from zero.
    pub(crate) fn new(sources: usize) -> Self {
        Self {
            live: (0..sources).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.live.is_empty()
    }

    pub(crate) fn add(&mut self, snapshot: Snapshot) {
        self.totals.add(&snapshot.counters);
        self.window.add(&snapshot.window);
        for (name, count) in &snapshot.errors {
            *self.errors.entry(name.clone()).or_default() += count;
        }
        if snapshot.is_last {
            self.live.remove(&snapshot.source);
            self.reported.remove(&snapshot.source);
        } else {
            self.reported.insert(snapshot.source, snapshot.second + 1);
        }
        let second = snapshot.second.max(self.closed_before);
        let interval = self.open.entry(second).or_insert_with(|| Interval {
            second,
            ..Interval::default()
        });
        interval.counters.add(&snapshot.counters);
        interval.window.add(&snapshot.window);
        interval.all.add(&snapshot.window);
        interval.all.add(&snapshot.outside);
        for (name, count) in snapshot.errors {
            *interval.errors.entry(name).or_default() += count;
        }
    }

    /// The next second that nobody will add to any more, also if nothing happened in it.
    pub(crate) fn next_closed(&mut self, now_s: u64) -> Option<Interval> {
        let second = self.closed_before;
        let reported = self
            .live
            .iter()
            .map(|source| self.reported.get(source).copied().unwrap_or_default());
        let known_before = reported.min().unwrap_or(u64::MAX);
        let is_closed = second < known_before || second + ROW_PATIENCE_S < now_s;
        let has_passed = second < now_s || !self.open.is_empty() && self.is_complete();
        if !is_closed || !has_passed {
            return None;
        }
        self.closed_before += 1;
        Some(self.open.remove(&second).unwrap_or_else(|| Interval {
            second,
            ..Interval::default()
        }))
    }
}

impl Interval {
    pub(crate) fn row(&self, phase: &str, outstanding: u64) -> Row {
        let counters = &self.counters;
        let timed = self
            .all
            .iter()
            .filter(|(tag, _)| !matches!(tag, Tag::Broker(_)));
        Row {
            second: self.second,
            phase: phase.to_owned(),
            sent: counters.sent,
            acked: counters.acked,
            acked_bytes: counters.acked_bytes,
            failed: counters.failed,
            consumed: counters.consumed,
            consumed_bytes: counters.consumed_bytes,
            operations: counters.operations,
            outstanding,
            blocked: counters.blocked,
            latency_us: timed
                .map(|(tag, histogram)| {
                    let at = |quantile| histogram.value_at_quantile(quantile) as f64;
                    let latency = RowLatency {
                        count: histogram.len(),
                        p50: at(0.5),
                        p90: at(0.9),
                        p99: at(0.99),
                        p999: at(0.999),
                        max: histogram.max() as f64,
                    };
                    (tag.name(), latency)
                })
                .collect(),
            errors: self.errors.clone(),
        }
    }
}

impl Row {
    /// The latency that a person looks at first.
    pub(crate) fn headline(&self) -> Option<(&str, &RowLatency)> {
        const ORDER: [&str; 9] = [
            "e2e",
            "ack-response",
            "ack-service",
            "round-trip",
            "connect",
            "topic-create",
            "group-join",
            "metadata",
            "topic-delete",
        ];
        ORDER
            .iter()
            .find_map(|name| Some((*name, self.latency_us.get(*name)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(source: usize, second: u64, acked: u64, is_last: bool) -> Snapshot {
        Snapshot {
            second,
            source,
            is_last,
            counters: Counters {
                acked,
                ..Counters::default()
            },
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_second_closes_when_every_thread_has_reported_it() {
        let mut collector = Collector::new(2);
        collector.add(snapshot(0, 0, 5, false));
        assert!(collector.next_closed(2).is_none());
        collector.add(snapshot(1, 0, 7, false));
        assert_eq!(collector.next_closed(2).unwrap().counters.acked, 12);
        assert!(collector.next_closed(2).is_none());
    }

    #[test]
    fn seconds_without_news_are_rows_too() {
        let mut collector = Collector::new(1);
        collector.add(snapshot(0, 3, 1, true));
        let seconds: Vec<u64> = std::iter::from_fn(|| collector.next_closed(4))
            .map(|interval| interval.counters.acked)
            .collect();
        assert_eq!(seconds, [0, 0, 0, 1]);
        assert!(collector.is_complete());
    }

    #[test]
    fn nobody_is_waited_for_too_long_and_nothing_is_lost() {
        let mut collector = Collector::new(2);
        collector.add(snapshot(0, 9, 1, false));
        assert!(collector.next_closed(10).is_some());
        collector.add(snapshot(1, 0, 100, false));
        assert_eq!(collector.totals.acked, 101);
    }
}
