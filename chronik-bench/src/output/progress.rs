//! What is shown while a load runs: a bar on a terminal, lines in a pipe, JSON for programs.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};

use super::live::{Live, News};
use super::note;
use crate::cli::ProgressStyle;
use crate::collect::Row;
use crate::error::BenchError;
use crate::sampling::HostRow;
use crate::signals::Signals;
use crate::units::{grouped, latency};

/// One view of a running load.
pub(crate) struct Progress {
    view: View,
    phase: String,
}

enum View {
    Live(Live),
    Bar(ProgressBar),
    Lines,
    Json,
    None,
}

impl Progress {
    /// `expected` is how long warm-up and window take together, if that is known.
    pub(crate) fn new(
        style: ProgressStyle,
        title: &str,
        expected: Option<Duration>,
        signals: &Signals,
    ) -> Result<Self, BenchError> {
        let is_terminal = io::stderr().is_terminal();
        let view = match style {
            ProgressStyle::Tui => {
                let live = Live::open(title, expected, signals);
                View::Live(live.map_err(|problem| BenchError::Usage(format!("--tui: {problem}")))?)
            }
            ProgressStyle::Auto if is_terminal => View::Bar(bar(expected)),
            ProgressStyle::Auto | ProgressStyle::Lines => View::Lines,
            ProgressStyle::Bar => View::Bar(bar(expected)),
            ProgressStyle::Json => View::Json,
            ProgressStyle::None => View::None,
        };
        Ok(Self {
            view,
            phase: String::new(),
        })
    }

    pub(crate) fn phase(&mut self, phase: &str) {
        phase.clone_into(&mut self.phase);
        match &self.view {
            View::Live(live) => live.tell(News::Phase(phase.to_owned())),
            View::Bar(bar) => bar.set_prefix(self.phase.clone()),
            View::Lines => note(&format!("-- {phase}")),
            View::Json => note(&serde_json::json!({ "phase": phase }).to_string()),
            View::None => {}
        }
    }

    /// Something that does not change the phase.
    pub(crate) fn remark(&self, text: &str) {
        match &self.view {
            View::Live(live) => live.tell(News::Remark(text.to_owned())),
            View::Bar(bar) => bar.println(text),
            View::Lines => note(&format!("-- {text}")),
            View::Json => note(&serde_json::json!({ "remark": text }).to_string()),
            View::None => {}
        }
    }

    pub(crate) fn row(&mut self, row: &Row) {
        match &self.view {
            View::Live(live) => live.tell(News::Row(Box::new(row.clone()))),
            View::Bar(bar) => {
                bar.set_position(row.second + 1);
                bar.set_message(describe(row));
            }
            View::Lines => note(&format!(
                "{:>5}s {:<6} {}",
                row.second + 1,
                row.phase,
                describe(row)
            )),
            View::Json => {
                let text = serde_json::to_string(row).expect("a row is plain data");
                note(&text);
            }
            View::None => {}
        }
    }

    /// Only the live view has room for it.
    pub(crate) fn host(&self, row: &HostRow) {
        if let View::Live(live) = &self.view {
            live.tell(News::Host(Box::new(row.clone())));
        }
    }

    /// Gives the terminal back.
    pub(crate) fn finish(&mut self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
        self.view = View::None;
    }
}

fn bar(expected: Option<Duration>) -> ProgressBar {
    let seconds = expected.map(|expected| expected.as_secs());
    let bar = ProgressBar::with_draw_target(seconds, ProgressDrawTarget::stderr());
    let template = match seconds {
        Some(_) => "{prefix:<12} {bar:20} {pos:>4}/{len}s {msg}",
        None => "{prefix:<12} {spinner} {pos:>4}s {msg}",
    };
    if let Ok(style) = BarStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn describe(row: &Row) -> String {
    let mut parts = Vec::new();
    if row.acked > 0 || row.consumed == 0 {
        let megabytes = row.acked_bytes as f64 / 1e6;
        parts.push(format!(
            "{:>9}/s {megabytes:>6.1} MB/s",
            grouped(row.acked as f64)
        ));
    }
    if row.consumed > 0 {
        let megabytes = row.consumed_bytes as f64 / 1e6;
        parts.push(format!(
            "read {:>9}/s {megabytes:>6.1} MB/s",
            grouped(row.consumed as f64)
        ));
    }
    if let Some((name, found)) = row.headline() {
        parts.push(format!(
            "{name} p50 {} p99 {} max {}",
            latency(found.p50),
            latency(found.p99),
            latency(found.max)
        ));
    }
    parts.push(format!("open {}", row.outstanding));
    if row.failed > 0 {
        parts.push(format!("failed {}", row.failed));
    }
    if row.blocked > 0 {
        parts.push(format!("blocked {}", row.blocked));
    }
    parts.join("  ")
}
