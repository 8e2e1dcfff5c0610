//! Writes the references that are made from the code.

use std::fs;

use chronik_local::{foreign, target_dir, workspace_dir};

use crate::error::XtaskError;
use crate::{Outcome, output, step};

const BENCH_SCHEMA: &str = "docs/chronik-bench-result.schema.json";

pub(crate) fn run() -> Outcome {
    let mut build = step::cargo(&["build", "--workspace", "--bins"]);
    step::run("build", &mut build)?;
    for (noun, file) in [("config", "docs/config.md"), ("metrics", "docs/metrics.md")] {
        let mut server = std::process::Command::new(target_dir().join("debug/chronik-server"));
        let text = foreign::run("chronik-server docs", server.args([noun, "docs"]))?;
        let path = workspace_dir().join(file);
        fs::write(&path, text).map_err(XtaskError::file("write", &path))?;
        output::line(&format!("wrote {file}"));
    }
    let mut bench = std::process::Command::new(target_dir().join("debug/chronik-bench"));
    let text = foreign::run("chronik-bench schema", bench.arg("schema"))?;
    let path = workspace_dir().join(BENCH_SCHEMA);
    fs::write(&path, text).map_err(XtaskError::file("write", &path))?;
    output::line(&format!("wrote {BENCH_SCHEMA}"));
    Ok(())
}
