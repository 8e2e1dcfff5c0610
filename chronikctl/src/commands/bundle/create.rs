//! `chronikctl bundle create`: everything on the list in one file, with a manifest that says what is in it and what not.

use std::path::PathBuf;
use std::time::Duration;

use chronik_admin::Code;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::collect::{self, WITHHELD};
use super::{Collected, archive};
use crate::cli::duration;
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, bytes};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file; one in this folder with the time in its name if not given
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// What happened and was complained of in this last while; a day if not given
    #[arg(long, value_name = "TIME", value_parser = duration)]
    since: Option<Duration>,
}

/// A bundle that was written.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Written {
    path: PathBuf,
    bytes: u64,
    files: Vec<Entry>,
    /// What a bundle never has.
    withheld: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Entry {
    name: String,
    bytes: u64,
    /// Why it is missing.
    error: Option<String>,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let collected = collect::collect(session, args.since).await?;
    let name = collected.taken_at.replace([':', '.'], "-");
    let usual = || PathBuf::from(format!("chronik-bundle-{name}.tar.gz"));
    let path = args.to.clone().unwrap_or_else(usual);
    let Collected {
        view,
        files,
        warnings,
        taken_at,
    } = collected;
    let entries = files.iter().map(|(name, content)| Entry {
        name: name.clone(),
        bytes: content.as_ref().map_or(0, |content| content.len() as u64),
        error: content.as_ref().err().cloned(),
    });
    let mut written = Written {
        files: entries.collect(),
        withheld: WITHHELD.map(str::to_owned).to_vec(),
        bytes: 0,
        path: path.clone(),
    };
    let manifest = json!({
        "bundle": 1,
        "ts": taken_at,
        "cluster_id": view.cluster_id,
        "chronikctl": env!("CARGO_PKG_VERSION"),
        "asked_node": view.asked_node,
        "files": written.files,
        "withheld": written.withheld,
    });
    let manifest = format!("{manifest:#}\n").into_bytes();
    let there = files
        .into_iter()
        .filter_map(|(name, content)| Some((name, content.ok()?)));
    let manifest = ("manifest.json".to_owned(), manifest);
    let contents: Vec<(String, Vec<u8>)> = std::iter::once(manifest).chain(there).collect();
    written.bytes = archive::write(&path, &contents).map_err(|error| {
        let message = format!("cannot write {}: {error}", path.display());
        Failure::new(Code::Internal, message).hint("chronikctl bundle create --to FILE")
    })?;
    let mut answer = told(&view.cluster_id, &written);
    answer.warnings = warnings;
    Ok(answer)
}

fn told(cluster_id: &str, written: &Written) -> Answer {
    let columns = [
        Column::text("file"),
        Column::text("size"),
        Column::text("note"),
    ];
    let mut table = Table::new(&columns);
    for entry in &written.files {
        let (size, note) = match &entry.error {
            None => (bytes(entry.bytes).into(), Cell::default()),
            Some(error) => (
                Cell::none(),
                Cell::toned(Tone::Bad, format!("MISSING: {error}")),
            ),
        };
        table.row(vec![entry.name.as_str().into(), size, note]);
    }
    let mut answer = Answer::of("Bundle", cluster_id, written);
    answer.rows = Rows::Of("files");
    let (path, size) = (written.path.display(), bytes(written.bytes));
    answer
        .headlines
        .push((Tone::Good, format!("wrote {path} ({size})")));
    let withheld = format!("withheld: {}", written.withheld.join("; "));
    let next = format!("chronikctl bundle analyze {path}");
    answer.footers = vec![(Tone::Plain, withheld), (Tone::Dim, next)];
    answer.tables.push(table);
    let has_gap = written.files.iter().any(|entry| entry.error.is_some());
    if has_gap {
        answer.verdict = Verdict::SomeFailed;
    }
    answer
}
