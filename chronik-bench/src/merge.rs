//! Adds results up: lives of one soak behind each other, generators of one load beside each other.
//!
//! Counts are summed and percentiles come from added histograms, never from averages. Rates are the caller's business,
//! because only the caller knows whether the windows lay behind or beside each other.

use std::collections::BTreeMap;
use std::path::Path;

use hdrhistogram::Histogram;

use crate::audit::{Audit, Entry, Light};
use crate::model::{BenchResult, Errors, Integrity, Latency};
use crate::store::read_histograms;
use crate::summary::latency_of;

const BROKER_TAG: &str = "broker=";

/// Several results on their way to one.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    parts: Vec<BenchResult>,
    histograms: Vec<(String, Histogram<u64>)>,
}

impl Sum {
    /// Adds a result and the histograms of its folder.
    pub(crate) fn add(&mut self, result: BenchResult, dir: &Path) {
        read_histograms(dir, &mut self.histograms);
        self.parts.push(result);
    }

    /// One result; what does not add up is the last one's. `part` says what the results are to each other.
    pub(crate) fn finish(self, part: &str) -> Option<BenchResult> {
        let mut whole = self.parts.last()?.clone();
        let parts = || self.parts.iter();
        whole.throughput.acked = parts().map(|part| part.throughput.acked).sum();
        whole.throughput.consumed = parts().map(|part| part.throughput.consumed).sum();
        whole.latency_us.clamped = parts().map(|part| part.latency_us.clamped).sum();
        whole.latency_us.censored = parts().map(|part| part.latency_us.censored).sum();
        whole.errors = Errors::default();
        whole.integrity = Integrity {
            level: whole.integrity.level,
            ..Integrity::default()
        };
        for part in parts() {
            whole.errors.add(&part.errors);
            whole.integrity.add(&part.integrity);
        }
        whole.audit = worst_of(parts().map(|part| &part.audit), part);
        let (brokers, tags): (Vec<_>, Vec<_>) = self
            .histograms
            .iter()
            .partition(|(tag, _)| tag.starts_with(BROKER_TAG));
        whole.latency_us.by_tag = latencies(&tags, "");
        whole.latency_us.by_broker = latencies(&brokers, BROKER_TAG);
        Some(whole)
    }
}

impl Errors {
    fn add(&mut self, other: &Self) {
        self.failed += other.failed;
        self.failed_in_window += other.failed_in_window;
        self.undecided += other.undecided;
        self.retries += other.retries;
        self.request_timeouts += other.request_timeouts;
        self.disconnects += other.disconnects;
        for (name, count) in &other.by_name {
            *self.by_name.entry(name.clone()).or_default() += count;
        }
    }
}

impl Integrity {
    fn add(&mut self, other: &Self) {
        self.acked += other.acked;
        self.undecided += other.undecided;
        self.transaction_markers += other.transaction_markers;
        let counts = [
            (&mut self.offset_growth, other.offset_growth),
            (&mut self.read, other.read),
            (&mut self.lost, other.lost),
            (&mut self.duplicated, other.duplicated),
            (&mut self.reordered, other.reordered),
            (&mut self.corrupt, other.corrupt),
            (&mut self.foreign, other.foreign),
        ];
        for (sum, count) in counts {
            if let Some(count) = count {
                *sum = Some(sum.unwrap_or(0) + count);
            }
        }
        self.examples.extend(other.examples.iter().cloned());
        self.violations.extend(other.violations.iter().cloned());
        self.allowed.extend(other.allowed.iter().cloned());
    }
}

fn latencies(histograms: &[&(String, Histogram<u64>)], prefix: &str) -> BTreeMap<String, Latency> {
    histograms
        .iter()
        .map(|(tag, histogram)| {
            let name = tag.strip_prefix(prefix).unwrap_or(tag);
            (name.to_owned(), latency_of(histogram))
        })
        .collect()
}

/// Of each check the worst light that any part had, and whose it was.
fn worst_of<'a>(audits: impl Iterator<Item = &'a Audit>, part: &str) -> Audit {
    let gravity = |light: Light| match light {
        Light::Skipped => 0,
        Light::Green => 1,
        Light::Amber => 2,
        Light::Red => 3,
    };
    let mut entries: Vec<Entry> = Vec::new();
    for (number, audit) in audits.enumerate() {
        for entry in &audit.entries {
            let told = Entry {
                detail: format!("{part} {}: {}", number + 1, entry.detail),
                ..entry.clone()
            };
            match entries.iter_mut().find(|known| known.name == entry.name) {
                Some(known) if gravity(known.light) >= gravity(entry.light) => {}
                Some(known) => *known = told,
                None => entries.push(told),
            }
        }
    }
    Audit { entries }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(acked: u64, light: Light) -> BenchResult {
        let mut result = BenchResult::default();
        result.throughput.acked = acked;
        result.errors.failed = 1;
        result.errors.by_name.insert("x".to_owned(), 2);
        result.integrity.lost = Some(acked / 10);
        result.audit.entries.push(Entry {
            name: "send lateness".to_owned(),
            light,
            detail: "late".to_owned(),
        });
        result
    }

    #[test]
    fn counts_add_up_and_the_worst_light_stays() {
        let nowhere = Path::new("/nowhere");
        let mut sum = Sum::default();
        sum.add(part(100, Light::Red), nowhere);
        sum.add(part(50, Light::Green), nowhere);
        let whole = sum.finish("life").unwrap();
        assert_eq!(whole.throughput.acked, 150);
        assert_eq!((whole.errors.failed, whole.errors.by_name["x"]), (2, 4));
        assert_eq!(whole.integrity.lost, Some(15));
        assert_eq!(whole.integrity.read, None);
        assert_eq!(whole.audit.entries[0].light, Light::Red);
        assert_eq!(whole.audit.entries[0].detail, "life 1: late");
        assert!(Sum::default().finish("life").is_none());
    }
}
