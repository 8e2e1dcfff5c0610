//! What the switch does to packets of each directed link: numbers that faults set and the switch reads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// All directed links between the hosts of a run.
#[derive(Debug)]
pub(crate) struct Links {
    hosts: usize,
    links: Vec<Link>,
}

impl Links {
    pub(crate) fn new(hosts: usize) -> Links {
        Links {
            hosts,
            links: (0..hosts * hosts).map(|_| Link::default()).collect(),
        }
    }

    pub(crate) fn of(&self, from: u32, to: u32) -> &Link {
        &self.links[from as usize * self.hosts + to as usize]
    }
}

/// One direction between two hosts. Chances are parts in a million; zero everywhere is a healthy link.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// How many faults cut it; it passes packets at zero.
    cuts: AtomicU64,
    pub(crate) delay_ns: AtomicU64,
    pub(crate) jitter_ns: AtomicU64,
    pub(crate) loss_ppm: AtomicU64,
    pub(crate) duplicate_ppm: AtomicU64,
    pub(crate) reorder_ppm: AtomicU64,
    pub(crate) bytes_per_second: AtomicU64,
    counts: [AtomicU64; 6],
    /// Set once a packet was seen at all: a link nobody uses proves nothing.
    used: AtomicBool,
}

/// What happened on a link so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) cut: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) delayed: u64,
}

/// Places in `counts`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tally {
    Passed,
    Cut,
    Lost,
    Duplicated,
    Reordered,
    Delayed,
}

impl Link {
    pub(crate) fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn join(&self) {
        let before = self.cuts.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "a link is joined as often as it was cut");
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cuts.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn counts(&self) -> Counts {
        let [passed, cut, lost, duplicated, reordered, delayed] = self
            .counts
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed));
        Counts {
            passed,
            cut,
            lost,
            duplicated,
            reordered,
            delayed,
        }
    }

    pub(super) fn tally(&self, what: Tally) {
        self.used.store(true, Ordering::Relaxed);
        self.counts[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn delay(&self, fraction: f64) -> Duration {
        let jitter = self.jitter_ns.load(Ordering::Relaxed) as f64 * fraction;
        Duration::from_nanos(self.delay_ns.load(Ordering::Relaxed) + jitter as u64)
    }
}
