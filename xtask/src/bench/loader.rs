//! chronik-bench as measurements use it: a release build, called with arguments, answering with a result.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::error::XtaskError;
use crate::step;

/// Its own codes for a result that is there: all well, a missed goal, inconclusive, lost records, an invalid measurement.
const WITH_RESULT: [i32; 5] = [0, 1, 4, 5, 6];

/// The program.
#[derive(Clone, Debug)]
pub(crate) struct Loader {
    program: PathBuf,
}

impl Loader {
    /// The one that was named, or this checkout's.
    pub(crate) fn new(named: Option<&Path>) -> Result<Self, XtaskError> {
        let program = match named {
            Some(program) => program.to_path_buf(),
            None => step::release("chronik-bench")?,
        };
        Ok(Self { program })
    }

    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments.split_whitespace());
        command
    }

    /// Runs one load and reads its result. One that its own audit doubts is a result; one that could not be made is not.
    pub(crate) fn load(&self, arguments: &str, out: &Path) -> Result<Value, XtaskError> {
        let json = out.join("latest.json");
        fs::create_dir_all(out).map_err(XtaskError::file("create", out))?;
        let mut load = self.command(arguments);
        load.args(["--progress", "none", "--out"])
            .arg(out)
            .arg("--json")
            .arg(&json);
        ended(load)?;
        let text = fs::read_to_string(&json).map_err(XtaskError::file("read", &json))?;
        parse(text)
    }

    /// Runs one of its commands that print JSON.
    pub(crate) fn ask(&self, arguments: &str) -> Result<Value, XtaskError> {
        let output = ended(self.command(arguments))?;
        parse(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Runs it to its end, which has to be one with a result.
pub(crate) fn ended(mut command: Command) -> Result<Output, XtaskError> {
    let ended = command.output().map_err(|source| XtaskError::Spawn {
        program: "chronik-bench".to_owned(),
        source,
    })?;
    match ended.status.code() {
        Some(code) if WITH_RESULT.contains(&code) => Ok(ended),
        _ => Err(XtaskError::Refused(format!(
            "chronik-bench ended with {}: {}",
            ended.status,
            String::from_utf8_lossy(&ended.stderr)
        ))),
    }
}

fn parse(text: String) -> Result<Value, XtaskError> {
    serde_json::from_str(&text).map_err(|_| XtaskError::Unreadable {
        tool: "chronik-bench",
        text,
    })
}
