//! `chronikctl journal`: what was done from here, newest last.

use std::fs;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cli::duration;
use crate::clock;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, note};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many entries at most
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    count: usize,
    /// Only what was done in this last while
    #[arg(long, value_name = "TIME", value_parser = duration)]
    since: Option<Duration>,
}

/// Changes, oldest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Journal {
    entries: Vec<Entry>,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Entry {
    ts: String,
    who: String,
    context: String,
    cluster_id: String,
    request_id: String,
    command: Vec<String>,
    outcome: String,
}

const COLUMNS: [Column; 6] = [
    Column::text("time"),
    Column::text("who"),
    Column::text("context"),
    Column::text("outcome"),
    Column::text("command"),
    Column::text("request").wide(),
];

pub(crate) fn run(session: &Session, args: &Args) -> Answer {
    let file = &session.settings.paths.journal;
    // No journal is one without entries.
    let text = fs::read_to_string(file).unwrap_or_default();
    let since = args.since.map_or_else(String::new, |since| {
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        clock::rfc3339(clock::wall_ms().saturating_sub(since))
    });
    let entries = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    // Times of this form are in the order of their letters.
    let mut entries: Vec<Entry> = entries.filter(|entry: &Entry| entry.ts >= since).collect();
    entries.drain(..entries.len().saturating_sub(args.count));
    if entries.is_empty() {
        note(&format!(
            "nothing was changed from here yet ({})",
            file.display()
        ));
    }
    let mut table = Table::new(&COLUMNS);
    for entry in &entries {
        let tone = if entry.outcome == "exit 0" {
            Tone::Good
        } else {
            Tone::Bad
        };
        table.row(vec![
            entry.ts.as_str().into(),
            entry.who.as_str().into(),
            entry.context.as_str().into(),
            Cell::toned(tone, &entry.outcome),
            typed(&entry.command).into(),
            entry.request_id.as_str().into(),
        ]);
    }
    let mut answer = Answer::of("Journal", "", &Journal { entries });
    answer.rows = Rows::Of("entries");
    answer.tables.push(table);
    answer
}

/// The command as it would be typed.
fn typed(command: &[String]) -> String {
    let words = command.iter().skip(1);
    let words = words.map(|word| match word.contains([' ', '"', '\'', '$']) {
        true => format!("{word:?}"),
        false => word.clone(),
    });
    format!("chronikctl {}", words.collect::<Vec<_>>().join(" "))
}
