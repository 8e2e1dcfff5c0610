//! How long faults may come and last: for a time, or until somebody outside says so.

use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use crate::workload::rest;

const HOLD: u8 = 0;
const HEAL: u8 = 1;
const END: u8 = 2;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The end of the time of faults.
#[derive(Debug)]
pub(super) enum Until {
    Time(Duration),
    /// What was said on standard input so far.
    Told(Arc<AtomicU8>),
}

impl Until {
    pub(super) fn time(duration: Duration) -> Until {
        Until::Time(duration)
    }

    /// Listens to standard input: `heal` ends the faults, the end of the input ends the run.
    pub(super) fn told() -> io::Result<Until> {
        let told = Arc::new(AtomicU8::new(HOLD));
        let listener = Arc::clone(&told);
        thread::Builder::new()
            .name("listener".into())
            .spawn(move || {
                let lines = io::stdin().lock().lines().map_while(Result::ok);
                if lines.into_iter().any(|line| line.trim() == "heal") {
                    listener.store(HEAL, Ordering::Relaxed);
                    // Whatever is said afterwards, only the end of it counts.
                    io::stdin()
                        .lock()
                        .lines()
                        .map_while(Result::ok)
                        .for_each(drop);
                }
                listener.store(END, Ordering::Relaxed);
            })?;
        Ok(Until::Told(told))
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self, Until::Told(_))
    }

    pub(super) fn is_over(&self, elapsed: Duration) -> bool {
        match self {
            Until::Time(duration) => elapsed >= *duration,
            Until::Told(told) => told.load(Ordering::Relaxed) != HOLD,
        }
    }

    /// Waits until nobody outside needs the cluster any more.
    pub(super) fn await_end(&self) {
        if let Until::Told(told) = self {
            while told.load(Ordering::Relaxed) != END {
                rest(LOOK_EVERY);
            }
        }
    }
}
