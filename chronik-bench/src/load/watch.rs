//! The main thread of a load: looks at everything, decides when the window opens, closes and when the load is over.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::Sink;
use super::crew::Crew;
use super::measurement::{EndReason, Gauge, Measurement};
use super::shared::Shared;
use crate::cli::{Mode, Verify};
use crate::clock::Clock;
use crate::collect::{Collector, Row};
use crate::plan::{Plan, Warmup};
use crate::recorder::Snapshot;
use crate::sampling::HostRow;
use crate::signals::Signals;
use crate::stats;
use crate::window::Window;

/// How often the gauge of outstanding messages is read.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Once given up, messages are reported at once; this is for a client that does not.
const PURGE_BOUND_NS: u64 = 5_000_000_000;
/// Threads look at the end of the load every 20 ms.
const FINISH_BOUND_NS: u64 = 10_000_000_000;
const READ_EVERYTHING_BOUND_NS: u64 = 60_000_000_000;
const WARMUP_MAX_NS: u64 = 120_000_000_000;
/// The rate is steady when so many seconds in a row differ by so little.
const STEADY_SECONDS: usize = 5;
const STEADY_VARIATION: f64 = 0.05;
/// The mean rate is known when its interval is so narrow, after so many seconds at the earliest.
const KNOWN_TO: f64 = 0.02;
const KNOWN_SECONDS_MIN: usize = 10;
const Z_95: f64 = 1.96;
const WINDOW: &str = "window";
/// The window opens a moment later than it is decided, so that no message is judged by two rules.
const OPENING_LEAD_NS: u64 = 20_000_000;
const GAUGE_BATCH: usize = 100;

/// What the threads send.
pub(crate) struct Inlets {
    pub(crate) snapshots: Receiver<Snapshot>,
    pub(crate) statistics: Receiver<Vec<u8>>,
    pub(crate) host_rows: Receiver<HostRow>,
}

/// Where the load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Loading,
    Draining { since_ns: u64 },
    Purging { since_ns: u64 },
    Finishing { since_ns: u64 },
}

/// The state of the watching thread.
pub(crate) struct Watch<'a> {
    plan: &'a Plan,
    crew: &'a Crew,
    shared: Arc<Shared>,
    clock: Clock,
    collector: Collector,
    stage: Stage,
    end: EndReason,
    gauge: GaugeSamples,
    next_checkpoint_ns: u64,
    measurement: Measurement,
}

/// Means of batches, so that the error of the mean can be told although neighbours resemble each other.
///
/// Looks are weighted by the time between them: a starved machine looks less often just when most is outstanding.
#[derive(Debug, Default)]
struct GaugeSamples {
    latest: Option<(u64, f64)>,
    batch_area: f64,
    batch_ns: f64,
    batch_len: usize,
    batches: Vec<(f64, f64)>,
}

impl<'a> Watch<'a> {
    /// What is known of the cluster before the load goes into the measurement.
    pub(crate) fn new(plan: &'a Plan, crew: &'a Crew, clock: Clock, before: Measurement) -> Self {
        Self {
            plan,
            crew,
            shared: crew.shared(),
            clock,
            collector: Collector::new(crew.sources()),
            stage: Stage::Loading,
            end: EndReason::Duration,
            gauge: GaugeSamples::default(),
            next_checkpoint_ns: 0,
            measurement: Measurement {
                started: Some(clock.wall_origin()),
                ..before
            },
        }
    }

    /// Watches until every thread has ended.
    pub(crate) fn run(
        mut self,
        inlets: &Inlets,
        signals: &Signals,
        sink: &mut dyn Sink,
    ) -> Measurement {
        sink.phase("warming up");
        let mut was_open = false;
        while !self.collector.is_complete() {
            self.take(inlets, sink);
            let now_ns = self.clock.now_ns();
            if self.shared.window.contains(now_ns) {
                self.gauge.add(now_ns, self.crew.outstanding() as f64);
                if !was_open {
                    sink.phase("measuring");
                    was_open = true;
                }
            }
            if signals.take_interrupt() {
                self.interrupt(now_ns, sink);
            }
            if signals.take_snapshot() {
                self.fill(EndReason::Running);
                sink.snapshot(&self.measurement);
            }
            if now_ns >= self.next_checkpoint_ns {
                self.next_checkpoint_ns = now_ns + self.plan.checkpoint.as_nanos() as u64;
                self.fill(EndReason::Running);
                sink.checkpoint(&self.measurement);
            }
            self.advance(now_ns, sink);
            if let Stage::Finishing { since_ns } = self.stage
                && now_ns > since_ns + FINISH_BOUND_NS
            {
                break;
            }
        }
        self.finish(inlets, sink)
    }

    fn take(&mut self, inlets: &Inlets, sink: &mut dyn Sink) {
        match inlets.snapshots.recv_timeout(LOOK_EVERY) {
            Ok(snapshot) => self.collector.add(snapshot),
            Err(RecvTimeoutError::Timeout) => {}
            // Every thread has ended without a last word: only a panic does that, and the scope reports it.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_EVERY),
        }
        while let Ok(json) = inlets.statistics.try_recv() {
            self.measurement.statistics.add(&json);
        }
        while let Ok(row) = inlets.host_rows.try_recv() {
            sink.host(&row);
            self.measurement.host_rows.push(row);
        }
        let now_s = self.clock.now_ns() / 1_000_000_000;
        while let Some(interval) = self.collector.next_closed(now_s) {
            let row = interval.row(self.phase_of(interval.second), self.crew.outstanding());
            sink.interval(&interval, &row);
            self.measurement.rows.push(row);
        }
    }

    /// The stage decides; each arm looks only at what ends it.
    fn advance(&mut self, now_ns: u64, sink: &mut dyn Sink) {
        match self.stage {
            Stage::Loading => {
                self.open_window_if_steady(now_ns);
                if self.is_load_over(now_ns) {
                    self.shared.stop();
                    self.stage = Stage::Draining { since_ns: now_ns };
                    sink.phase("draining");
                }
            }
            Stage::Draining { since_ns } => {
                let waited_ns = now_ns - since_ns;
                let is_patient = waited_ns < self.plan.drain.as_nanos() as u64;
                let is_sent = self.crew.are_drivers_done() && self.crew.outstanding() == 0;
                let is_read = self.unread() == 0;
                let reads_on = !is_read && is_sent && waited_ns < self.reading_bound_ns();
                if is_sent && is_read || !is_patient && !reads_on {
                    self.measurement.unread_at_end = self.unread();
                    self.measurement.drained_ns = now_ns;
                    self.shared.purge();
                    self.stage = Stage::Purging { since_ns: now_ns };
                }
            }
            Stage::Purging { since_ns } => {
                let is_quiet = self.crew.are_drivers_done() && self.crew.outstanding() == 0;
                if is_quiet || now_ns > since_ns + PURGE_BOUND_NS {
                    self.measurement.undecided_at_end = self.crew.outstanding();
                    self.shared.finish();
                    self.stage = Stage::Finishing { since_ns: now_ns };
                }
            }
            Stage::Finishing { .. } => {}
        }
    }

    fn is_load_over(&mut self, now_ns: u64) -> bool {
        let window = &self.shared.window;
        if now_ns >= window.end_ns() {
            return true;
        }
        if self.plan.until_steady && self.knows_rate() {
            window.close(now_ns);
            self.end = EndReason::Steady;
            return true;
        }
        if self.plan.mode == Mode::Consume {
            let is_counted = self
                .plan
                .messages
                .is_some_and(|limit| self.crew.consumed() >= limit);
            if is_counted || self.crew.has_met_all_ends() {
                self.end = match is_counted {
                    true => EndReason::Messages,
                    false => EndReason::EndOfData,
                };
                return true;
            }
            return false;
        }
        if self.crew.are_drivers_done() {
            self.end = match self.plan.messages {
                Some(_) => EndReason::Messages,
                None => self.end,
            };
            return true;
        }
        false
    }

    fn interrupt(&mut self, now_ns: u64, sink: &mut dyn Sink) {
        match self.stage {
            Stage::Loading => {
                sink.phase("interrupted, draining");
                self.end = EndReason::Interrupted;
                self.shared.stop();
                self.shared.window.close(now_ns);
                self.stage = Stage::Draining { since_ns: now_ns };
            }
            Stage::Draining { .. } | Stage::Purging { .. } => {
                self.end = EndReason::Interrupted;
                self.measurement.drained_ns = now_ns;
                self.shared.purge();
                self.shared.finish();
                self.stage = Stage::Finishing { since_ns: now_ns };
            }
            Stage::Finishing { .. } => {}
        }
    }

    fn open_window_if_steady(&mut self, now_ns: u64) {
        if self.shared.window.start_ns() != u64::MAX {
            return;
        }
        let rates: Vec<f64> = rates(self.measurement.rows.iter())
            .rev()
            .take(STEADY_SECONDS)
            .collect();
        let is_steady =
            rates.len() == STEADY_SECONDS && stats::variation(&rates) < STEADY_VARIATION;
        if is_steady || now_ns > WARMUP_MAX_NS {
            open_window(&self.shared.window, self.plan, now_ns + OPENING_LEAD_NS);
        }
    }

    /// Whether the 95 % interval of the mean rate is narrow.
    fn knows_rate(&self) -> bool {
        let rows = self.measurement.rows.iter();
        let rates: Vec<f64> = rates(rows.filter(|row| row.phase == WINDOW)).collect();
        let error = stats::variation(&rates) / (rates.len() as f64).sqrt();
        rates.len() >= KNOWN_SECONDS_MIN && Z_95 * error < KNOWN_TO
    }

    fn unread(&self) -> u64 {
        if !matches!(self.plan.mode, Mode::E2e | Mode::Fanout) {
            return 0;
        }
        let acked = self.shared.acked.load(std::sync::atomic::Ordering::Relaxed);
        acked.saturating_sub(self.crew.own_read())
    }

    fn reading_bound_ns(&self) -> u64 {
        let drain_ns = self.plan.drain.as_nanos() as u64;
        match self.plan.verify {
            Verify::Full => drain_ns.max(READ_EVERYTHING_BOUND_NS),
            _ => drain_ns,
        }
    }

    fn phase_of(&self, second: u64) -> &'static str {
        let start_ns = second * 1_000_000_000;
        let window = &self.shared.window;
        if start_ns < window.start_ns() {
            "warmup"
        } else if start_ns < window.end_ns() {
            WINDOW
        } else {
            "drain"
        }
    }

    fn finish(mut self, inlets: &Inlets, sink: &mut dyn Sink) -> Measurement {
        // Loads without servants end before anybody was told to.
        self.shared.finish();
        self.take(inlets, sink);
        if self.measurement.drained_ns == 0 {
            self.measurement.drained_ns = self.clock.now_ns();
        }
        if matches!(self.end, EndReason::Messages | EndReason::EndOfData) {
            // What ended the load was a message, not a clock.
            let last_ns = self.collector.totals.last_completion_ns;
            self.shared.window.close(last_ns + 1);
        }
        self.fill(self.end);
        self.measurement
    }

    /// Puts into the measurement what has been collected by now.
    fn fill(&mut self, end: EndReason) {
        let now_ns = self.clock.now_ns();
        let window = &self.shared.window;
        let measurement = &mut self.measurement;
        measurement.has_window = window.start_ns() < window.end_ns() && window.start_ns() < now_ns;
        measurement.window_start_ns = window.start_ns();
        measurement.window_end_ns = match end {
            EndReason::Running => window.end_ns().min(now_ns),
            _ => window.end_ns(),
        };
        measurement.end = end;
        measurement.totals = self.collector.totals;
        measurement.window = self.collector.window.clone();
        measurement.errors = self.collector.errors.clone();
        measurement.gauge = self.gauge.summary();
        measurement.drift_us = self.clock.drift_us();
    }
}

fn rates<'a>(
    rows: impl DoubleEndedIterator<Item = &'a Row>,
) -> impl DoubleEndedIterator<Item = f64> {
    rows.map(|row| (row.acked + row.consumed) as f64)
}

/// A warm-up of known length is decided before the clock starts, so that the very first message is judged by it.
pub(crate) fn open_fixed_window(window: &Window, plan: &Plan) {
    if let Warmup::Fixed(warmup) = plan.warmup {
        open_window(window, plan, warmup.as_nanos() as u64);
    }
}

fn open_window(window: &Window, plan: &Plan, start_ns: u64) {
    let end_ns = match plan.messages {
        Some(_) => u64::MAX,
        None => start_ns + plan.duration.as_nanos() as u64,
    };
    window.open(start_ns, end_ns);
}

impl GaugeSamples {
    fn add(&mut self, now_ns: u64, value: f64) {
        if let Some((before_ns, before)) = self.latest {
            let passed_ns = (now_ns - before_ns) as f64;
            self.batch_area += f64::midpoint(before, value) * passed_ns;
            self.batch_ns += passed_ns;
            self.batch_len += 1;
        }
        self.latest = Some((now_ns, value));
        if self.batch_len == GAUGE_BATCH {
            self.batches.push((self.batch_area, self.batch_ns));
            self.batch_area = 0.0;
            self.batch_ns = 0.0;
            self.batch_len = 0;
        }
    }

    fn summary(&self) -> Gauge {
        let count = self.batches.len() as f64;
        let whole_ns: f64 = self.batches.iter().map(|(_, ns)| ns).sum();
        if whole_ns == 0.0 {
            return Gauge::default();
        }
        let whole_area: f64 = self.batches.iter().map(|(area, _)| area).sum();
        let means: Vec<f64> = self.batches.iter().map(|(area, ns)| area / ns).collect();
        Gauge {
            samples: self.batches.len() as u64 * GAUGE_BATCH as u64,
            // The last batch is not full, but it is as true as the others.
            mean: (whole_area + self.batch_area) / (whole_ns + self.batch_ns),
            standard_error: stats::standard_deviation(&means) / count.sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_weighs_by_time() {
        let mut gauge = GaugeSamples::default();
        // Half of the time nothing is outstanding, but it is looked at ten times as often.
        for step in 0..1_000 {
            gauge.add(step * 10, 0.0);
        }
        for step in 0..100 {
            gauge.add(10_000 + step * 100, 40.0);
        }
        let found = gauge.summary();
        assert!((found.mean - 20.0).abs() < 0.5, "{found:?}");
        assert_eq!(GaugeSamples::default().summary(), Gauge::default());
    }
}
