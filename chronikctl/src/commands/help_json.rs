//! `chronikctl help-json`: every command with its flags, impact and kind of answer, for programs and for tests.

use clap::CommandFactory;
use serde_json::{Value, json};

use super::Said;
use super::catalog::COMMANDS;
use crate::cli::Cli;
use crate::config::VARIABLES;
use crate::exit::{EXITS, Verdict};
use crate::output::print;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run() -> Said {
    // Whoever reads no further has read enough.
    _ = print(&format!("{:#}\n", document()));
    Said::Printed(Verdict::Yes)
}

/// The whole command line as one object.
pub(crate) fn document() -> Value {
    let root = Cli::command();
    let mut commands = Vec::new();
    collect(&root, "", &mut commands);
    let exits = EXITS
        .iter()
        .map(|(code, meaning)| json!({ "code": code, "meaning": meaning }));
    let variables = VARIABLES
        .iter()
        .map(|(name, meaning)| json!({ "name": name, "meaning": meaning }));
    json!({
        "program": "chronikctl",
        "version": env!("CARGO_PKG_VERSION"),
        "flags": flags(&root),
        "commands": commands,
        "exit_codes": exits.collect::<Vec<_>>(),
        "environment": variables.collect::<Vec<_>>(),
    })
}

/// Commands that do something; those that only hold others are passed through.
fn collect(command: &clap::Command, above: &str, out: &mut Vec<Value>) {
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        let path = format!("{above} {}", sub.get_name()).trim().to_owned();
        if sub.has_subcommands() {
            collect(sub, &path, out);
            continue;
        }
        let entry = COMMANDS.iter().find(|entry| entry.path == path);
        let examples = sub
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let examples = examples.lines().skip(1).map(str::trim);
        out.push(json!({
            "path": path,
            "about": sub.get_about().map(ToString::to_string),
            "flags": flags(sub),
            "examples": examples.collect::<Vec<_>>(),
            "kind": entry.and_then(|entry| entry.kind),
            "impact": entry.map(|entry| entry.impact),
            "needs": entry.map(|entry| entry.needs),
        }));
    }
}

fn flags(command: &clap::Command) -> Vec<Value> {
    let own = command.get_arguments();
    let own =
        own.filter(|argument| !argument.is_global_set() || command.get_name() == "chronikctl");
    own.map(|argument| {
        json!({
            "name": argument.get_id().as_str(),
            "long": argument.get_long().map(|long| format!("--{long}")),
            "short": argument.get_short().map(|short| format!("-{short}")),
            "required": argument.is_required_set(),
            "takes_value": argument.get_action().takes_values(),
            "about": argument.get_help().map(ToString::to_string),
        })
    })
    .collect()
}
