//! The same question again and again: frames on a terminal, lines elsewhere.

use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::cli::Command;
use crate::commands::{self, Said};
use crate::exit::{Failure, Verdict};
use crate::output::{Format, Printer, Tone, note, print};
use crate::session::Session;

/// The cursor goes home, and what is below goes away.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Asks until the reader has gone. A question that fails is shown and asked again.
pub(crate) async fn run(
    session: &Session,
    command: &Command,
    every: Duration,
) -> Result<Verdict, Failure> {
    if !commands::is_read(command) {
        return Err(Failure::usage(
            "--watch repeats questions, and this is none",
        ));
    }
    let printer = &session.settings.printer;
    if matches!(printer.format, Format::Json | Format::Yaml) {
        let message = "--watch has no end, and -o json and yaml are one object";
        return Err(Failure::usage(message).hint("-o jsonl"));
    }
    let is_plain = session.settings.plain;
    let is_screen = io::stdout().is_terminal() && printer.is_for_people() && !is_plain;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let text = match commands::run(session, command).await {
            Ok(Said::Answer(answer)) => printer.render(&answer)?,
            Ok(Said::Printed(verdict)) => return Ok(verdict),
            Err(failure) if failure.error.retryable => told(printer, &failure, is_screen),
            Err(failure) => return Err(failure),
        };
        let text = if is_screen { frame(&text) } else { text };
        if print(&text).is_err() {
            return Ok(Verdict::Yes);
        }
    }
}

/// As many lines as the screen has.
fn frame(text: &str) -> String {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let rows = size.map_or(24, |size| usize::from(size.ws_row)).max(2);
    let lines: Vec<&str> = text.lines().take(rows - 1).collect();
    format!("{CLEAR}{}\n", lines.join("\n"))
}

fn told(printer: &Printer, failure: &Failure, is_screen: bool) -> String {
    if is_screen {
        let line = format!("no answer: {}", failure.error.message);
        return format!("{}\n", printer.paint.paint(Tone::Bad, &line));
    }
    note(&format!("no answer: {}", failure.error.message));
    String::new()
}
