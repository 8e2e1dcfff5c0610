//! The only place of this program that prints.

use std::error::Error;

/// A line for the person at the terminal.
#[expect(
    clippy::print_stdout,
    reason = "this is a command line program's output"
)]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// The start of a step, easy to find in a long log.
pub(crate) fn heading(text: &str) {
    line(&format!("\n== {text}"));
}

/// The error and its causes.
#[expect(
    clippy::print_stderr,
    reason = "this is a command line program's error"
)]
pub(crate) fn failure(error: &dyn Error) {
    eprintln!("\nerror: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}
