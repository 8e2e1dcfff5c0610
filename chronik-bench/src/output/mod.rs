//! The only place that prints: results to standard output, progress to standard error.

mod live;
mod progress;
mod summary;

pub(crate) use progress::Progress;
pub(crate) use summary::print_summary;

use std::io::{self, Write};

/// A line of the result. A reader that has gone away is no reason to fail a measurement.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// A remark on the way.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// An error with everything that caused it.
pub(crate) fn error(error: &dyn std::error::Error) {
    note(&format!("error: {}", chain(error)));
}

/// The words of an error and of everything that caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
