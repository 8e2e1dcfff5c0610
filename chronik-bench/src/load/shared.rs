//! What all threads of one load share: the clock, the window and a few flags; each is written by one thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::clock::Clock;
use crate::window::Window;

/// One load.
#[derive(Debug)]
pub(crate) struct Shared {
    clock: OnceLock<Clock>,
    pub(crate) window: Arc<Window>,
    /// Identifies the records of this run.
    pub(crate) run: u64,
    is_stopped: AtomicBool,
    is_purged: AtomicBool,
    is_finished: AtomicBool,
    /// Messages decided well, over all senders.
    pub(crate) acked: AtomicU64,
}

impl Shared {
    pub(crate) fn new(run: u64) -> Self {
        Self {
            clock: OnceLock::new(),
            window: Arc::new(Window::undecided()),
            run,
            is_stopped: AtomicBool::new(false),
            is_purged: AtomicBool::new(false),
            is_finished: AtomicBool::new(false),
            acked: AtomicU64::new(0),
        }
    }

    /// Time begins once everybody is ready.
    pub(crate) fn begin(&self) -> Clock {
        *self.clock.get_or_init(Clock::start)
    }

    /// The clock; only for threads behind the starting line.
    pub(crate) fn clock(&self) -> Clock {
        *self.clock.get().expect("the load has begun")
    }

    /// Senders send nothing more.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Open messages are given up.
    pub(crate) fn purge(&self) {
        self.is_purged.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_purged(&self) -> bool {
        self.is_purged.load(Ordering::Relaxed)
    }

    /// All threads end.
    pub(crate) fn finish(&self) {
        self.is_finished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.is_finished.load(Ordering::Relaxed)
    }
}
