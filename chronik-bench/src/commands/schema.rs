//! Prints the JSON schema of `result.json`, which is made from the types that write it.

use schemars::schema_for;

use crate::error::BenchError;
use crate::exit::Exit;
use crate::model::BenchResult;
use crate::output;

pub(crate) fn run() -> Result<Exit, BenchError> {
    output::line(&text());
    Ok(Exit::Pass)
}

pub(crate) fn text() -> String {
    let schema = schema_for!(BenchResult);
    serde_json::to_string_pretty(&schema).expect("a schema is plain data")
}
