//! `chronikctl schema`: what the JSON of a kind of answer looks like.

use serde_json::{Value, json};

use super::catalog::{self, KINDS};
use crate::exit::{Failure, Verdict};
use crate::output::print;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The kind; all kinds are listed if none is named
    kind: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<Verdict, Failure> {
    let text = match &args.kind {
        None => KINDS.iter().map(|(name, _)| format!("{name}\n")).collect(),
        Some(kind) => format!("{:#}\n", of(kind)?),
    };
    // Whoever reads no further has read enough.
    _ = print(&text);
    Ok(Verdict::Yes)
}

/// The schema of the whole object that a command prints.
pub(crate) fn of(kind: &str) -> Result<Value, Failure> {
    let (name, schema) = catalog::kind(kind).ok_or_else(|| {
        Failure::usage(format!("there is no kind {kind:?}")).hint("chronikctl schema")
    })?;
    if name == "Error" {
        return Ok(json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": name,
            "type": "object",
            "required": ["kind", "v", "error"],
            "properties": { "kind": { "const": name }, "v": { "const": 1 }, "error": schema() },
        }));
    }
    let warning = json!({
        "type": "object",
        "required": ["code", "message"],
        "properties": { "code": { "type": "string" }, "message": { "type": "string" } },
    });
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "type": "object",
        "required": ["kind", "v", "cluster_id", "ts", "data", "warnings"],
        "properties": {
            "kind": { "const": name },
            "v": { "const": 1 },
            "cluster_id": { "type": "string" },
            "ts": { "type": "string", "format": "date-time" },
            "data": schema(),
            "warnings": { "type": "array", "items": warning },
        },
    }))
}
