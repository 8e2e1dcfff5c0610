//! SIGINT and SIGTERM end a run in order, a second one ends it now, SIGUSR1 asks for a snapshot.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

/// What the user has asked for so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    interrupted: Arc<AtomicBool>,
    snapshot: Arc<AtomicBool>,
}

impl Signals {
    pub(crate) fn install() -> io::Result<Self> {
        let signals = Self::default();
        flag::register(SIGINT, Arc::clone(&signals.interrupted))?;
        flag::register(SIGTERM, Arc::clone(&signals.interrupted))?;
        flag::register(SIGUSR1, Arc::clone(&signals.snapshot))?;
        Ok(signals)
    }

    /// Whether somebody has asked for the end since the last look.
    pub(crate) fn take_interrupt(&self) -> bool {
        self.interrupted.swap(false, Ordering::Relaxed)
    }

    /// As SIGINT does.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }

    /// As SIGUSR1 does.
    pub(crate) fn ask_for_snapshot(&self) {
        self.snapshot.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_snapshot(&self) -> bool {
        self.snapshot.swap(false, Ordering::Relaxed)
    }
}
