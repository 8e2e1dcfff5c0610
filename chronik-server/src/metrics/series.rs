//! The kinds of metrics: numbers that many threads change without waiting for each other.

use std::fmt::Write as _;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use super::RELAXED;
use super::label::Label;

/// What the text format and the documentation need from a metric.
pub(super) trait Series {
    /// The type in the text format.
    fn kind(&self) -> &'static str;

    /// The name of its label, if it has one.
    fn label(&self) -> Option<&'static str> {
        None
    }

    /// Whether nothing was ever recorded.
    fn is_untouched(&self) -> bool;

    /// Appends its samples. `labels` is empty or `name="text"`.
    fn render(&self, name: &str, labels: &str, text: &mut String);
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

/// One of a few numbered states, also zero; not shown before it is first set.
#[derive(Debug)]
pub struct State(AtomicI64);

/// A gauge that counts something as long as this lives, however its owner ends.
#[derive(Debug)]
pub struct Raised<'gauge>(&'gauge Gauge);

/// The largest number ever seen.
#[derive(Debug, Default)]
pub struct Peak(AtomicU64);

/// Time that only grows.
#[derive(Debug, Default)]
pub struct SecondsCounter(AtomicU64);

/// A distribution of durations, told in seconds.
pub type Seconds = Histogram<1>;

/// A distribution of durations, told in milliseconds.
pub type Milliseconds = Histogram<1_000>;

/// A distribution of durations in fixed buckets, told in `PER_SECOND` units per second.
#[derive(Debug, Default)]
pub struct Histogram<const PER_SECOND: u64> {
    /// The last bucket holds what exceeds every bound.
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

/// A distribution whose quantiles somebody else computes.
#[derive(Debug, Default)]
pub struct SecondsSummary {
    median_us: AtomicU64,
    p99_us: AtomicU64,
    max_us: AtomicU64,
    sum_us: AtomicU64,
    count: AtomicU64,
}

/// One metric per value of a label, found by position: no hashing, no lock.
#[derive(Debug)]
pub struct Family<L, M> {
    members: Box<[M]>,
    label: PhantomData<fn(L)>,
}

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, RELAXED);
    }

    /// Follows a count that is kept elsewhere.
    pub fn follow(&self, total: u64) {
        self.0.fetch_max(total, RELAXED);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(RELAXED)
    }
}

impl Gauge {
    /// The number from now on.
    pub fn set(&self, value: i64) {
        self.0.store(value, RELAXED);
    }

    /// A size or count from now on.
    pub fn set_len(&self, len: usize) {
        self.set(i64::try_from(len).unwrap_or(i64::MAX));
    }

    /// More, or less if the amount is negative.
    pub fn add(&self, amount: i64) {
        self.0.fetch_add(amount, RELAXED);
    }

    /// One more for as long as the answer lives.
    pub fn raise(&self) -> Raised<'_> {
        self.add(1);
        Raised(self)
    }

    /// The number.
    pub fn get(&self) -> i64 {
        self.0.load(RELAXED)
    }
}

impl State {
    /// The state from now on.
    pub fn set(&self, state: i64) {
        self.0.store(state, RELAXED);
    }

    /// The state; -1 if it was never set.
    pub fn get(&self) -> i64 {
        self.0.load(RELAXED)
    }
}

impl Default for State {
    fn default() -> Self {
        Self(AtomicI64::new(NEVER_SET))
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

impl Peak {
    /// A number that may be the largest.
    pub fn observe(&self, value: u64) {
        // Most values are no new peak, and reading does not take the cache line from other threads.
        if value > self.0.load(RELAXED) {
            self.0.fetch_max(value, RELAXED);
        }
    }
}

impl SecondsCounter {
    /// Some time more.
    pub fn add(&self, duration: Duration) {
        self.0.fetch_add(nanoseconds(duration), RELAXED);
    }

    /// Follows a time that is measured elsewhere.
    pub fn follow(&self, total: Duration) {
        self.0.fetch_max(nanoseconds(total), RELAXED);
    }

    /// All of it.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(RELAXED))
    }
}

impl<const PER_SECOND: u64> Histogram<PER_SECOND> {
    /// One duration.
    pub fn observe(&self, duration: Duration) {
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound_us| *bound_us < duration_us);
        self.counts[bucket].fetch_add(1, RELAXED);
        self.sum_us.fetch_add(duration_us, RELAXED);
    }

    /// How many durations there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(RELAXED)).sum()
    }
}

impl SecondsSummary {
    /// Replaces the quantiles, the sum and the count, all of them since the process started.
    pub fn set(&self, median_us: u64, p99_us: u64, max_us: u64, sum_us: u64, count: u64) {
        self.median_us.store(median_us, RELAXED);
        self.p99_us.store(p99_us, RELAXED);
        self.max_us.store(max_us, RELAXED);
        self.sum_us.store(sum_us, RELAXED);
        self.count.store(count, RELAXED);
    }
}

impl<L: Label, M> Family<L, M> {
    /// The metric of one label value.
    pub fn at(&self, label: L) -> &M {
        &self.members[label.position()]
    }
}

impl<L: Label, M: Default> Default for Family<L, M> {
    fn default() -> Self {
        Self {
            members: (0..L::COUNT).map(|_| M::default()).collect(),
            label: PhantomData,
        }
    }
}

impl Series for Counter {
    fn kind(&self) -> &'static str {
        "counter"
    }

    fn is_untouched(&self) -> bool {
        self.get() == 0
    }

    fn render(&self, name: &str, labels: &str, text: &mut String) {
        sample(text, name, labels, self.get());
    }
}

impl Series for Gauge {
    fn kind(&self) -> &'static str {
        "gauge"
    }

    fn is_untouched(&self) -> bool {
        self.get() == 0
    }

    fn render(&self, name: &str, labels: &str, text: &mut String) {
        sample(text, name, labels, self.get());
    }
}

impl Series for State {
    fn kind(&self) -> &'static str {
        "gauge"
    }

    fn is_untouched(&self) -> bool {
        self.get() == NEVER_SET
    }

    fn render(&self, name: &str, labels: &str, text: &mut String) {
        sample(text, name, labels, self.get());
    }
}

impl Series for Peak {
    fn kind(&self) -> &'static str {
        "gauge"
    }

    fn is_untouched(&self) -> bool {
        self.0.load(RELAXED) == 0
    }

    fn render(&self, name: &str, labels: &str, text: &mut String) {
        sample(text, name, labels, self.0.load(RELAXED));
    }
}

impl Series for SecondsCounter {
    fn kind(&self) -> &'static str {
        "counter"
    }

    fn is_untouched(&self) -> bool {
        self.0.load(RELAXED) == 0
    }

    fn render(&self, name: &str, labels: &str, text: &mut String) {
        let seconds = Duration::from_nanos(self.0.load(RELAXED)).as_secs_f64();
        sample(text, name, labels, seconds);
    }
}

impl<const PER_SECOND: u64> Series for Histogram<PER_SECOND> {
    fn kind(&self) -> &'static str {
        "histogram"
    }

    fn is_untouched(&self) -> bool {
        self.count() == 0
    }

    fn render(&self, name: &str, labels: &str, text: &mut String) {
        let comma = if labels.is_empty() { "" } else { "," };
        let bucket = format!("{name}_bucket");
        let mut count = 0;
        for (position, bucket_count) in self.counts.iter().enumerate() {
            count += bucket_count.load(RELAXED);
            let bound = match BOUNDS_US.get(position) {
                Some(bound_us) => in_unit(*bound_us, PER_SECOND).to_string(),
                None => "+Inf".to_owned(),
            };
            sample(
                text,
                &bucket,
                &format!("{labels}{comma}le=\"{bound}\""),
                count,
            );
        }
        let sum = in_unit(self.sum_us.load(RELAXED), PER_SECOND);
        sample(text, &format!("{name}_sum"), labels, sum);
        sample(text, &format!("{name}_count"), labels, count);
    }
}

impl Series for SecondsSummary {
    fn kind(&self) -> &'static str {
        "summary"
    }

    fn is_untouched(&self) -> bool {
        self.count.load(RELAXED) == 0
    }

    fn render(&self, name: &str, labels: &str, text: &mut String) {
        let comma = if labels.is_empty() { "" } else { "," };
        let quantiles = [
            ("0.5", &self.median_us),
            ("0.99", &self.p99_us),
            ("1", &self.max_us),
        ];
        for (quantile, value_us) in quantiles {
            let labels = format!("{labels}{comma}quantile=\"{quantile}\"");
            sample(text, name, &labels, in_unit(value_us.load(RELAXED), 1));
        }
        let sum = in_unit(self.sum_us.load(RELAXED), 1);
        sample(text, &format!("{name}_sum"), labels, sum);
        sample(
            text,
            &format!("{name}_count"),
            labels,
            self.count.load(RELAXED),
        );
    }
}

impl<L: Label, M: Series + Default> Series for Family<L, M> {
    fn kind(&self) -> &'static str {
        M::default().kind()
    }

    fn label(&self) -> Option<&'static str> {
        Some(L::NAME)
    }

    fn is_untouched(&self) -> bool {
        self.members.iter().all(Series::is_untouched)
    }

    fn render(&self, name: &str, _labels: &str, text: &mut String) {
        for (position, member) in self.members.iter().enumerate() {
            if L::IS_SPARSE && member.is_untouched() {
                continue;
            }
            let labels = format!("{}=\"{}\"", L::NAME, L::text(position));
            member.render(name, &labels, text);
        }
    }
}

/// What a state is before it is known.
const NEVER_SET: i64 = -1;

/// Upper ends of the buckets in microseconds: from a write to a fast disk to a client's default timeout.
const BOUNDS_US: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000, 30_000_000,
];

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric of 285 years may be a microsecond off"
)]
fn in_unit(microseconds: u64, per_second: u64) -> f64 {
    (microseconds as f64) * (per_second as f64) / 1e6
}

fn sample(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = match labels {
        "" => writeln!(text, "{name} {value}"),
        labels => writeln!(text, "{name}{{{labels}}} {value}"),
    };
}
