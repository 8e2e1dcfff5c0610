//! The only place that prints.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program talks to people and scripts here"
)]

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Tells how a run is going.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    is_quiet: bool,
    last_second: AtomicU64,
}

impl Progress {
    pub(crate) fn new(is_quiet: bool) -> Progress {
        Progress {
            is_quiet,
            last_second: AtomicU64::new(0),
        }
    }

    pub(crate) fn say(&self, text: &str) {
        if !self.is_quiet {
            eprintln!("  {text}");
        }
    }

    /// A line every five seconds.
    pub(crate) fn tick(&self, elapsed: Duration, acked: u64, faults: usize) {
        let second = elapsed.as_secs();
        let last = self.last_second.load(Ordering::Relaxed);
        if second >= last + 5 {
            self.last_second.store(second, Ordering::Relaxed);
            self.say(&format!(
                "{second:>4} s  {acked} batches acknowledged, {faults} faults at work"
            ));
        }
    }
}

pub(crate) fn line(text: impl Display) {
    println!("{text}");
}

pub(crate) fn complain(text: impl Display) {
    eprintln!("chronik-chaos: {text}");
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
