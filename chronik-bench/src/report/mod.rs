//! Reports for people: Markdown to paste, and one HTML page that needs nothing but itself.

mod html;
mod markdown;
mod svg;

pub(crate) use html::page;
pub(crate) use markdown::text;
pub(crate) use svg::{Chart, Series};

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

    /// As [`Self::read`], also if the tool died before it could write a result.
    pub(crate) fn read_parts(dir: &Path) -> Result<Self, BenchError> {
        Ok(Self {
            result: store::read_result(dir).unwrap_or_default(),
            rows: store::read_rows(dir, "intervals.ndjson")?,
            hosts: store::read_rows(dir, "hosts.ndjson")?,
        })
    }

    /// How plots call it: the software if it is known, else the name.
    pub(crate) fn label(&self) -> &str {
        let software = self.result.target.software.as_deref();
        software.unwrap_or(&self.result.name)
    }
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
