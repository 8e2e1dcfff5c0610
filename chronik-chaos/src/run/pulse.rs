//! Measures how late this program itself is: on a machine without time for it, times say nothing about a cluster.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::workload::rest;

const BEAT: Duration = Duration::from_millis(20);

/// A thread that wants to wake up regularly.
#[derive(Debug)]
pub(super) struct Pulse {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Pulse {
    pub(super) fn start() -> io::Result<Pulse> {
        let ends = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&ends);
        let beat = move || {
            let mut latest = Duration::ZERO;
            while !stops.load(Ordering::Relaxed) {
                let due = Instant::now() + BEAT;
                rest(BEAT);
                latest = latest.max(due.elapsed());
            }
            latest
        };
        let thread = thread::Builder::new().name("pulse".into()).spawn(beat)?;
        Ok(Pulse { ends, thread })
    }

    /// The longest delay since the start.
    pub(super) fn stop(self) -> Duration {
        self.ends.store(true, Ordering::Relaxed);
        let latest = self.thread.join();
        latest.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
