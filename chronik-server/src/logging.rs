//! What the server says on standard error: human on a terminal, JSON otherwise.

mod digest;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::error;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Log, LogFilter, LogFormat, ValueError};

pub use digest::{Complaint, Digest};

/// Starts logging, for the whole process and once. A panic becomes a log line like any other.
pub fn start(log: &Log, no_color: bool) -> LogControl {
    let is_terminal = io::stderr().is_terminal();
    let is_human = match log.format {
        LogFormat::Auto => is_terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = if is_human {
        lines.with_ansi(is_terminal && !no_color).boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    };
    let (filter, handle) = reload::Layer::new(log.level.targets());
    let digest = Arc::new(Digest::default());
    let remember = digest::Remember(digest.clone()).with_filter(LevelFilter::WARN);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(remember)
        .init();
    panic::set_hook(Box::new(log_panic));
    LogControl {
        handle,
        level: Mutex::new(log.level.text().to_owned()),
        digest,
    }
}

/// Changes what is logged, while the process runs, and knows what was complained of.
pub struct LogControl {
    handle: Handle<Targets, Registry>,
    level: Mutex<String>,
    digest: Arc<Digest>,
}

impl LogControl {
    /// For tests: it changes nothing, because nothing logs.
    #[cfg(test)]
    pub(crate) fn silent() -> LogControl {
        let (_, handle) = reload::Layer::new(Targets::new());
        LogControl {
            handle,
            level: Mutex::new("info".to_owned()),
            digest: Arc::default(),
        }
    }

    /// Warnings and errors since the process began.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What decides, as it was written.
    pub fn level(&self) -> String {
        let level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        level.clone()
    }

    /// Whether something can be a level.
    pub fn check(level: &str) -> Result<(), ValueError> {
        LogFilter::read(level).map(|_| ())
    }

    /// Logs at another level from now on, and returns the one before.
    pub fn set(&self, level: &str) -> Result<String, ValueError> {
        let filter = LogFilter::read(level)?;
        let mut present = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        // An error means that nothing logs any more: the process ends.
        _ = self.handle.reload(filter.targets());
        Ok(std::mem::replace(&mut *present, level.to_owned()))
    }
}

/// An error with everything that led to it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a panic without words");
    let location = panic.location().map(ToString::to_string);
    let thread = std::thread::current().name().map(str::to_owned);
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => Some(backtrace.to_string()),
        _ => None,
    };
    error!(location, thread, backtrace, "panic: {message}");
}
