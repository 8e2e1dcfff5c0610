//! Schemathesis: asks an HTTP API what its own document says that it takes, and much that it does not.

use std::process::Command;

use super::{run, venv};
use crate::error::LocalError;

/// Everything that it needs, in versions that do not change by themselves.
const REQUIREMENTS: &str = "\
hypothesis==6.170.17
jsonschema_rs==0.60.3
schemathesis==4.32.5
";
/// An answer of the server's own fault, or one that is not as the document says.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
response_schema_conformance,allow_header_conformance";
/// Some questions wait for other nodes.
const REQUEST_SECONDS: &str = "20";

/// Tries every operation of the document at `url` with so many questions, but for those whose path fits
/// `passed_over`. What it found wrong is the error.
pub fn try_api(
    url: &str,
    questions: u32,
    seed: u32,
    passed_over: &str,
) -> Result<String, LocalError> {
    let python = venv::python("schemathesis", REQUIREMENTS)?;
    let program = python.with_file_name("st");
    let mut schemathesis = Command::new(&program);
    // It writes where it stands.
    schemathesis.current_dir(program.parent().expect("the folder of a program"));
    schemathesis
        .env("NO_COLOR", "1")
        .args(["run", url, "--checks", CHECKS, "--no-shrink"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--warnings", "off", "--suppress-health-check", "all"])
        .args([
            "--request-timeout",
            REQUEST_SECONDS,
            "--continue-on-failure",
        ])
        .args(["--exclude-path-regex", passed_over])
        .args(["--max-examples", &questions.to_string()])
        .args(["--seed", &seed.to_string()]);
    run("schemathesis", &mut schemathesis)
}
