//! How many messages one sender may have outstanding: the sender waits at the gate, deliveries open it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// A missed wake costs at most this.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Shared by one sender and its poll thread.
#[derive(Debug)]
pub(crate) struct Gate {
    limit: u64,
    outstanding: AtomicU64,
    is_awaited: AtomicBool,
    sender: OnceLock<Thread>,
}

impl Gate {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            outstanding: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            sender: OnceLock::new(),
        }
    }

    pub(crate) fn outstanding(&self) -> u64 {
        self.outstanding.load(Ordering::Relaxed)
    }

    pub(crate) fn has_room(&self) -> bool {
        self.outstanding() < self.limit
    }

    /// Only the sender enters, so that nothing can fill the room it saw.
    pub(crate) fn enter(&self) {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
    }

    /// One message is decided.
    pub(crate) fn leave(&self) {
        self.outstanding.fetch_sub(1, Ordering::SeqCst);
        if self.is_awaited.load(Ordering::SeqCst)
            && self.is_awaited.swap(false, Ordering::SeqCst)
            && let Some(sender) = self.sender.get()
        {
            sender.unpark();
        }
    }

    /// Waits a moment for room; the caller looks again.
    pub(crate) fn await_room(&self) {
        self.sender.get_or_init(thread::current);
        self.is_awaited.store(true, Ordering::SeqCst);
        if self.outstanding.load(Ordering::SeqCst) >= self.limit {
            thread::park_timeout(LOOK_EVERY);
        }
        self.is_awaited.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_full_gate_opens_when_messages_leave() {
        let gate = Arc::new(Gate::new(4));
        let other = Arc::clone(&gate);
        let total = 2_000;
        let leaver = thread::spawn(move || {
            let mut left = 0;
            while left < total {
                if other.outstanding() > 0 {
                    other.leave();
                    left += 1;
                }
                thread::yield_now();
            }
        });
        for _ in 0..total {
            while !gate.has_room() {
                gate.await_room();
            }
            gate.enter();
            assert!(gate.outstanding() <= 4);
        }
        leaver.join().unwrap();
        assert_eq!(gate.outstanding(), 0);
    }
}
