//! How far something is, on standard error: one line that changes on a terminal, a line now and then elsewhere.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::note;

#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
    shown: Option<(Instant, String)>,
}

/// Where lines stay, they come so often at most.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The cursor goes back, and what was written goes away.
const AGAIN: &str = "\r\x1b[K";

impl Progress {
    pub(crate) fn new(is_terminal: bool) -> Progress {
        Progress {
            is_terminal,
            shown: None,
        }
    }

    pub(crate) fn show(&mut self, line: &str) {
        let is_same = self.shown.as_ref().is_some_and(|(_, shown)| shown == line);
        if is_same {
            return;
        }
        if self.is_terminal {
            // Nobody can be told that standard error is closed.
            _ = write!(io::stderr(), "{AGAIN}{line}");
        } else if let Some((at, _)) = &self.shown
            && at.elapsed() < LINE_EVERY
        {
            return;
        } else {
            note(line);
        }
        self.shown = Some((Instant::now(), line.to_owned()));
    }

    /// What follows begins on a line of its own.
    pub(crate) fn end(&mut self) {
        if self.is_terminal && self.shown.take().is_some() {
            _ = write!(io::stderr(), "{AGAIN}");
        }
    }
}

/// Also where an interruption ends it.
impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
