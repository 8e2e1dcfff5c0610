//! `report`: writes the reports of a stored result again, with further results over it.

use std::fs;

use crate::cli::ReportArguments;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::output;
use crate::report::{self, Story};

pub(crate) fn run(arguments: &ReportArguments) -> Result<Exit, BenchError> {
    let overlays = arguments
        .overlay
        .iter()
        .map(|dir| Story::read(dir))
        .collect::<Result<Vec<_>, _>>()?;
    report::write(&arguments.dir, &overlays)?;
    let written = arguments.dir.join("report.html");
    if let Some(path) = &arguments.html {
        fs::copy(&written, path).map_err(BenchError::file("write", path))?;
    }
    output::line(&format!("wrote {}", written.display()));
    Ok(Exit::Pass)
}
