//! What one thread of a run counts and times; nobody else touches it, snapshots leave once a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use hdrhistogram::Histogram;

use crate::window::{Phase, Window};

/// Longer than any `message.timeout.ms` people use (the default is 300 s), in microseconds.
pub(crate) const LATENCY_MAX_US: u64 = 1_200_000_000;
const LATENCY_MIN_US: u64 = 1;
/// Three digits: 0.1 % of the value.
const SIGNIFICANT_DIGITS: u8 = 3;
pub(crate) const INTERVAL_NS: u64 = 1_000_000_000;

/// What a latency is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tag {
    /// From the intended send to the acknowledgement.
    AckResponse,
    /// From the actual send to the acknowledgement.
    AckService,
    /// From the intended send to the receipt.
    EndToEnd,
    /// From a send to its own receipt, one record at a time.
    RoundTrip,
    /// How late messages left while there was room to send them.
    Lateness,
    Commit,
    Connect,
    /// From asking to be in a group to having partitions of it.
    GroupJoin,
    TopicCreate,
    TopicDelete,
    Metadata,
    /// Acknowledgements by the broker that gave them.
    Broker(i32),
}

/// What one thread saw within one second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) second: u64,
    pub(crate) source: usize,
    /// The thread has ended; nothing follows.
    pub(crate) is_last: bool,
    pub(crate) counters: Counters,
    /// Latencies that count: of messages intended within the window.
    pub(crate) window: Tracks,
    /// Latencies before and after it, for the eye.
    pub(crate) outside: Tracks,
    pub(crate) errors: BTreeMap<String, u64>,
}

/// Additive counts of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    pub(crate) acked_bytes: u64,
    pub(crate) failed: u64,
    /// Failed without an answer that says what became of the record.
    pub(crate) undecided: u64,
    pub(crate) consumed: u64,
    pub(crate) consumed_bytes: u64,
    /// Completions inside the window: what throughput counts.
    pub(crate) window_acked: u64,
    pub(crate) window_acked_bytes: u64,
    pub(crate) window_consumed: u64,
    pub(crate) window_consumed_bytes: u64,
    pub(crate) window_failed: u64,
    /// Messages intended inside the window, whatever became of them.
    pub(crate) intended: u64,
    /// Of those, acknowledged ever.
    pub(crate) intended_acked: u64,
    pub(crate) intended_failed: u64,
    /// Of those, still open at the end; their latency is at least what was recorded.
    pub(crate) censored: u64,
    /// Values beyond the histogram's range.
    pub(crate) clamped: u64,
    /// Sends that found the send queue or the limit of outstanding messages full.
    pub(crate) blocked: u64,
    /// Latenesses too long for the 24 bits that carry them.
    pub(crate) saturated: u64,
    pub(crate) transactions: u64,
    /// Partitions touched by committed or aborted transactions: each holds a marker.
    pub(crate) markers: u64,
    pub(crate) operations: u64,
    pub(crate) last_completion_ns: u64,
    pub(crate) first_completion_ns: u64,
}

/// A few histograms by tag; a linear look is faster than a hash for so few.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracks(Vec<(Tag, Histogram<u64>)>);

/// The counting half of a load thread.
#[derive(Debug)]
pub(crate) struct Recorder {
    window: Arc<Window>,
    reports: SyncSender<Snapshot>,
    current: Snapshot,
    second_end_ns: u64,
}

impl Recorder {
    pub(crate) fn new(source: usize, window: Arc<Window>, reports: SyncSender<Snapshot>) -> Self {
        Self {
            window,
            reports,
            current: Snapshot {
                source,
                ..Snapshot::default()
            },
            second_end_ns: INTERVAL_NS,
        }
    }

    /// Hands the interval over once it has ended; to be called often, also when nothing happens.
    pub(crate) fn rotate(&mut self, now_ns: u64) {
        if now_ns < self.second_end_ns {
            return;
        }
        let second = now_ns / INTERVAL_NS;
        self.second_end_ns = (second + 1) * INTERVAL_NS;
        let next = Snapshot {
            second,
            source: self.current.source,
            ..Snapshot::default()
        };
        let full = std::mem::replace(&mut self.current, next);
        if let Err(TrySendError::Full(kept)) = self.reports.try_send(full) {
            // Nothing is lost: the collector gets it with the next interval.
            self.current = Snapshot { second, ..kept };
        }
    }

    pub(crate) fn counters(&mut self) -> &mut Counters {
        &mut self.current.counters
    }

    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    pub(crate) fn record(&mut self, tag: Tag, phase: Phase, latency_us: u64) {
        if latency_us > LATENCY_MAX_US {
            self.current.counters.clamped += 1;
        }
        match phase {
            Phase::Window => self.current.window.record(tag, latency_us),
            Phase::Outside => self.current.outside.record(tag, latency_us),
        }
    }

    pub(crate) fn error(&mut self, name: impl Into<String>) {
        *self.current.errors.entry(name.into()).or_default() += 1;
    }

    /// A message was acknowledged; its latencies are recorded by the caller.
    pub(crate) fn acknowledged(&mut self, intended_ns: u64, now_ns: u64, bytes: u64) -> Phase {
        let phase = self.window.phase_of(intended_ns);
        let is_inside = self.window.contains(now_ns);
        let counters = &mut self.current.counters;
        counters.acked += 1;
        counters.acked_bytes += bytes;
        counters.intended_acked += u64::from(phase == Phase::Window);
        if is_inside {
            counters.window_acked += 1;
            counters.window_acked_bytes += bytes;
            counters.completed_at(now_ns);
        }
        phase
    }

    pub(crate) fn consumed(&mut self, now_ns: u64, bytes: u64) {
        let is_inside = self.window.contains(now_ns);
        let counters = &mut self.current.counters;
        counters.consumed += 1;
        counters.consumed_bytes += bytes;
        if is_inside {
            counters.window_consumed += 1;
            counters.window_consumed_bytes += bytes;
            counters.completed_at(now_ns);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.current.is_last = true;
        // The last interval may wait for room: the load is over.
        let _ = self.reports.send(std::mem::take(&mut self.current));
    }
}

impl Counters {
    fn completed_at(&mut self, now_ns: u64) {
        self.last_completion_ns = self.last_completion_ns.max(now_ns);
        if self.first_completion_ns == 0 {
            self.first_completion_ns = now_ns;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            sent,
            acked,
            acked_bytes,
            failed,
            undecided,
            consumed,
            consumed_bytes,
            window_acked,
            window_acked_bytes,
            window_consumed,
            window_consumed_bytes,
            window_failed,
            intended,
            intended_acked,
            intended_failed,
            censored,
            clamped,
            blocked,
            saturated,
            transactions,
            markers,
            operations,
            last_completion_ns,
            first_completion_ns,
        } = other;
        self.sent += sent;
        self.acked += acked;
        self.acked_bytes += acked_bytes;
        self.failed += failed;
        self.undecided += undecided;
        self.consumed += consumed;
        self.consumed_bytes += consumed_bytes;
        self.window_acked += window_acked;
        self.window_acked_bytes += window_acked_bytes;
        self.window_consumed += window_consumed;
        self.window_consumed_bytes += window_consumed_bytes;
        self.window_failed += window_failed;
        self.intended += intended;
        self.intended_acked += intended_acked;
        self.intended_failed += intended_failed;
        self.censored += censored;
        self.clamped += clamped;
        self.blocked += blocked;
        self.saturated += saturated;
        self.transactions += transactions;
        self.markers += markers;
        self.operations += operations;
        self.last_completion_ns = self.last_completion_ns.max(*last_completion_ns);
        self.first_completion_ns = match (self.first_completion_ns, *first_completion_ns) {
            (0, other) => other,
            (mine, 0) => mine,
            (mine, other) => mine.min(other),
        };
    }
}

impl Tracks {
    pub(crate) fn record(&mut self, tag: Tag, latency_us: u64) {
        self.track(tag).saturating_record(latency_us);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (tag, histogram) in &other.0 {
            self.track(*tag)
                .add(histogram)
                .expect("all histograms have one shape");
        }
    }

    pub(crate) fn get(&self, tag: Tag) -> Option<&Histogram<u64>> {
        self.0
            .iter()
            .find(|(found, _)| *found == tag)
            .map(|(_, histogram)| histogram)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Tag, &Histogram<u64>)> {
        self.0.iter().map(|(tag, histogram)| (*tag, histogram))
    }

    fn track(&mut self, tag: Tag) -> &mut Histogram<u64> {
        let at = self.0.iter().position(|(found, _)| *found == tag);
        let at = at.unwrap_or_else(|| {
            self.0.push((tag, empty_histogram()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

impl Tag {
    /// The name in files; Java's HistogramLogProcessor selects by it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::AckResponse => "ack-response".into(),
            Self::AckService => "ack-service".into(),
            Self::EndToEnd => "e2e".into(),
            Self::RoundTrip => "round-trip".into(),
            Self::Lateness => "lateness".into(),
            Self::Commit => "commit".into(),
            Self::Connect => "connect".into(),
            Self::GroupJoin => "group-join".into(),
            Self::TopicCreate => "topic-create".into(),
            Self::TopicDelete => "topic-delete".into(),
            Self::Metadata => "metadata".into(),
            Self::Broker(id) => format!("broker={id}"),
        }
    }
}

/// All histograms of a run have one shape, so that they can be added.
pub(crate) fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(LATENCY_MIN_US, LATENCY_MAX_US, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants and valid")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn intervals_leave_when_they_end_and_nothing_is_lost_while_nobody_takes_them() {
        let (reports, taken) = sync_channel(1);
        let window = Arc::new(Window::fixed(0, 10 * INTERVAL_NS));
        let mut recorder = Recorder::new(4, window, reports);
        for second in 0..5 {
            let now = second * INTERVAL_NS;
            recorder.rotate(now);
            recorder.acknowledged(now, now + 1, 100);
            recorder.record(Tag::AckService, Phase::Window, 7);
        }
        let first = taken.recv().unwrap();
        assert_eq!((first.source, first.second), (4, 0));
        let rest = std::thread::spawn(move || drop(recorder));
        let last = taken.recv().unwrap();
        rest.join().unwrap();
        assert!(last.is_last);
        let acked = first.counters.acked + last.counters.acked;
        assert_eq!(acked, 5);
        assert_eq!(last.window.get(Tag::AckService).unwrap().len(), 4);
    }

    #[test]
    fn values_beyond_the_range_are_counted() {
        let (reports, _taken) = sync_channel(4);
        let mut recorder = Recorder::new(0, Arc::new(Window::fixed(0, 1)), reports);
        recorder.record(Tag::EndToEnd, Phase::Outside, LATENCY_MAX_US + 1);
        assert_eq!(recorder.counters().clamped, 1);
    }

    #[test]
    fn counters_add_up() {
        let mut sum = Counters::default();
        let one = Counters {
            sent: 1,
            markers: 2,
            first_completion_ns: 9,
            last_completion_ns: 11,
            ..Counters::default()
        };
        let other = Counters {
            first_completion_ns: 5,
            last_completion_ns: 6,
            ..one
        };
        sum.add(&one);
        sum.add(&other);
        assert_eq!((sum.sent, sum.markers), (2, 4));
        assert_eq!((sum.first_completion_ns, sum.last_completion_ns), (5, 11));
    }
}
