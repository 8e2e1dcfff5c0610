//! Reports for people: Markdown to paste, and one HTML page that needs nothing but itself.

mod charts;
mod csv;
mod html;
mod markdown;
mod svg;
mod table;
mod tables;

pub(crate) use html::{Section, comparison, page, sheet};
pub(crate) use markdown::text;
pub(crate) use svg::{Chart, Series};
pub(crate) use table::Table;

use std::fs;
use std::path::Path;

use crate::collect::Row;
use crate::error::BenchError;
use crate::model::BenchResult;
use crate::sampling::HostRow;
use crate::store;

/// A result with the samples that plots are made of.
pub(crate) struct Story {
    pub(crate) result: BenchResult,
    pub(crate) rows: Vec<Row>,
    pub(crate) hosts: Vec<HostRow>,
}

impl Story {
    pub(crate) fn read(dir: &Path) -> Result<Self, BenchError> {
        Ok(Self {
            result: store::read_result(dir)?,
            rows: store::read_rows(dir, "intervals.ndjson").unwrap_or_default(),
            hosts: store::read_rows(dir, "hosts.ndjson").unwrap_or_default(),
        })
    }

    pub(crate) fn label(&self) -> &str {
        self.result.label()
    }
}

/// Writes the seconds of a result as a table for other programs.
pub(crate) fn write_csv(dir: &Path) -> Result<(), BenchError> {
    let rows: Vec<Row> = store::read_rows(dir, "intervals.ndjson")?;
    let path = dir.join("intervals.csv");
    fs::write(&path, csv::intervals(&rows)).map_err(BenchError::file("write", &path))
}

/// Writes both reports into the folder of a result.
pub(crate) fn write(dir: &Path, overlays: &[Story]) -> Result<(), BenchError> {
    let story = Story::read(dir)?;
    let markdown = dir.join("report.md");
    fs::write(&markdown, text(&story.result)).map_err(BenchError::file("write", &markdown))?;
    let html = dir.join("report.html");
    let title = format!("{} {}", story.result.name, story.result.time.started_utc);
    let stories: Vec<&Story> = std::iter::once(&story).chain(overlays).collect();
    fs::write(&html, page(&title, &stories)).map_err(BenchError::file("write", &html))
}
