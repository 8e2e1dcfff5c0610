//! The only place that prints: one answer in any of six forms, on standard output; everything else on standard error.

mod confirm;
mod progress;
mod style;
mod table;
mod words;
mod yaml;

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock;
use crate::exit::{Failure, Verdict};

pub(crate) use confirm::ask;
pub(crate) use progress::Progress;
pub(crate) use style::{Paint, Tone};
pub(crate) use table::{Cell, Column, Table};
pub(crate) use words::{bytes, duration_ms, plural};

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people
    #[default]
    Table,
    /// The same with all columns
    Wide,
    /// One object
    Json,
    /// One object per row and line
    Jsonl,
    /// One object
    Yaml,
    /// Rows with tabulators between the columns
    Tsv,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless the environment says otherwise
    #[default]
    Auto,
    Always,
    Never,
}

/// What a command has to say: data for programs, lines and tables for people.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) kind: &'static str,
    pub(crate) cluster_id: String,
    pub(crate) data: Value,
    pub(crate) rows: Rows,
    /// For people, above the tables.
    pub(crate) headlines: Vec<(Tone, String)>,
    pub(crate) tables: Vec<Table>,
    /// For people, below the tables.
    pub(crate) footers: Vec<(Tone, String)>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) verdict: Verdict,
}

/// The lines of `jsonl`.
#[derive(Debug, Default)]
pub(crate) enum Rows {
    /// The answer is no list: one line.
    #[default]
    Whole,
    /// The items of this list in its data.
    Of(&'static str),
    /// What was made of its data for this.
    Made(Vec<Value>),
}

/// What every answer has around its data for programs.
#[derive(Serialize)]
pub(crate) struct Envelope<'a> {
    cluster_id: &'a str,
    data: &'a Value,
    kind: &'static str,
    ts: String,
    v: u8,
    warnings: &'a [Warning],
}

/// Something that the reader must know besides the answer.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Warning {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// How answers are written, decided once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Printer {
    pub(crate) format: Format,
    pub(crate) columns: Vec<String>,
    pub(crate) headers: bool,
    pub(crate) paint: Paint,
    /// Lines are cut here; none cuts nothing.
    pub(crate) width: Option<usize>,
}

/// The reader has gone: nothing more is to be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReaderGone;

impl Answer {
    /// An answer whose data is `data`.
    pub(crate) fn of(kind: &'static str, cluster_id: &str, data: &impl Serialize) -> Answer {
        Answer {
            kind,
            cluster_id: cluster_id.to_owned(),
            data: serde_json::to_value(data).expect("answers have a JSON form"),
            ..Answer::default()
        }
    }

    pub(crate) fn envelope(&self) -> Envelope<'_> {
        Envelope {
            cluster_id: &self.cluster_id,
            data: &self.data,
            kind: self.kind,
            ts: clock::now(),
            v: 1,
            warnings: &self.warnings,
        }
    }

    /// One object on several lines.
    pub(crate) fn json(&self) -> String {
        let text = serde_json::to_string_pretty(&self.envelope());
        text.expect("an answer has a JSON form") + "\n"
    }

    fn lines(&self) -> String {
        let of_each = |rows: &[Value]| rows.iter().map(|row| format!("{row}\n")).collect();
        match &self.rows {
            Rows::Of(list) => of_each(self.data[list].as_array().map_or(&[], Vec::as_slice)),
            Rows::Made(rows) => of_each(rows),
            Rows::Whole => {
                let text = serde_json::to_string(&self.envelope());
                text.expect("an answer has a JSON form") + "\n"
            }
        }
    }
}

impl Printer {
    /// Writes an answer to standard output and its warnings to standard error.
    pub(crate) fn answer(&self, answer: &Answer) -> Result<(), Failure> {
        let text = self.render(answer)?;
        if self.is_for_people() {
            for warning in &answer.warnings {
                note(
                    &self
                        .paint_errors()
                        .paint(Tone::Warn, &format!("warning: {}", warning.message)),
                );
            }
        }
        // Whoever reads no further has read enough.
        _ = print(&text);
        Ok(())
    }

    /// The text of an answer.
    pub(crate) fn render(&self, answer: &Answer) -> Result<String, Failure> {
        Ok(match self.format {
            Format::Json => answer.json(),
            Format::Yaml => yaml::document(&json!(answer.envelope())),
            Format::Jsonl => answer.lines(),
            Format::Tsv => self
                .main_table(answer)?
                .map_or_else(String::new, |table| table.tsv(self.headers)),
            Format::Table | Format::Wide if !self.columns.is_empty() => {
                let table = self.main_table(answer)?;
                table.map_or_else(String::new, |table| self.aligned(&table))
            }
            Format::Table | Format::Wide => self.page(answer),
        })
    }

    /// Says why there is no answer, where the reader of answers looks for it.
    pub(crate) fn failure(&self, failure: &Failure) {
        let envelope = json!({ "kind": "Error", "v": 1, "error": failure.body() });
        match self.format {
            Format::Json => _ = print(&format!("{envelope:#}\n")),
            Format::Jsonl => _ = print(&format!("{envelope}\n")),
            Format::Yaml => _ = print(&yaml::document(&envelope)),
            _ => {
                let paint = self.paint_errors();
                let error = &failure.error;
                note(&format!(
                    "{} {}",
                    paint.paint(Tone::Bad, "error:"),
                    error.message
                ));
                if !error.hint.is_empty() {
                    note(&format!(
                        "{} {}",
                        paint.paint(Tone::Dim, " next:"),
                        error.hint
                    ));
                }
            }
        }
    }

    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    fn paint_errors(&self) -> Paint {
        match io::stderr().is_terminal() {
            true => self.paint,
            false => Paint::default(),
        }
    }

    fn page(&self, answer: &Answer) -> String {
        let mut text = String::new();
        let line = |(tone, line): &(Tone, String)| format!("{}\n", self.paint.paint(*tone, line));
        text.extend(answer.headlines.iter().map(line));
        for table in &answer.tables {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&self.aligned(table));
        }
        if !answer.footers.is_empty() && !text.is_empty() {
            text.push('\n');
        }
        text.extend(answer.footers.iter().map(line));
        text
    }

    fn aligned(&self, table: &Table) -> String {
        let is_wide = self.format == Format::Wide || !self.columns.is_empty();
        table.aligned(is_wide, self.headers, self.paint, self.width)
    }

    fn main_table(&self, answer: &Answer) -> Result<Option<Table>, Failure> {
        let Some(table) = answer.tables.first() else {
            return Ok(None);
        };
        match self.columns.is_empty() {
            true => Ok(Some(table.clone())),
            false => table.select(&self.columns).map(Some),
        }
    }
}

/// Whether the terminal belongs to a view that a line would tear.
static IS_HUSHED: AtomicBool = AtomicBool::new(false);

/// One line on standard error.
pub(crate) fn note(line: &str) {
    if !IS_HUSHED.load(Ordering::Relaxed) {
        // Nobody can be told that standard error is closed.
        _ = writeln!(io::stderr(), "{line}");
    }
}

/// Notes go nowhere while a view has the terminal.
pub(crate) fn hush(is_hushed: bool) {
    IS_HUSHED.store(is_hushed, Ordering::Relaxed);
}

/// Text on standard output.
pub(crate) fn print(text: &str) -> Result<(), ReaderGone> {
    print_bytes(text.as_bytes())
}

/// Bytes on standard output, as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), ReaderGone> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|_| ReaderGone)
}

#[cfg(test)]
mod tests;
