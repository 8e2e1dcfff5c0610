//! Asks a person, and only a person: nothing in the environment ever answers for one.

use std::io::{self, BufRead, IsTerminal, Write};

/// Asks on the terminal; none if there is nobody to ask.
pub(crate) fn ask(question: &str) -> Option<String> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    // Standard error is a terminal: if it breaks now, the empty answer below declines.
    _ = write!(io::stderr(), "{question} ");
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    Some(read.map(|_| line.trim().to_owned()).unwrap_or_default())
}
