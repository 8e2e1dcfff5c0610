//! The command line against its own catalogue: nothing is listed that is not there, and nothing lacks its help.

use std::collections::BTreeSet;

use clap::CommandFactory;
use serde_json::json;

use crate::cli::Cli;
use crate::commands::catalog::{COMMANDS, KINDS};
use crate::commands::{help_json, schema};
use crate::exit::{EXITS, Failure};
use crate::output::Answer;

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_a_row_an_example_and_a_sentence() {
    let document = help_json::document();
    let commands = document["commands"].as_array().unwrap();
    let listed: BTreeSet<&str> = commands
        .iter()
        .map(|command| command["path"].as_str().unwrap())
        .collect();
    let known: BTreeSet<&str> = COMMANDS.iter().map(|entry| entry.path).collect();
    assert_eq!(listed, known);
    for command in commands {
        let path = command["path"].as_str().unwrap();
        assert!(command["about"].is_string(), "{path} has no sentence");
        let examples = command["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{path} has no example");
        for example in examples {
            let example = example.as_str().unwrap();
            assert!(
                example.contains(&format!("chronikctl {path}")),
                "{path}: {example}"
            );
        }
        for flag in command["flags"].as_array().unwrap() {
            assert!(flag["about"].is_string(), "{path}: {flag} has no help");
        }
    }
}

#[test]
fn every_example_is_understood() {
    use clap::Parser;
    let document = help_json::document();
    for command in document["commands"].as_array().unwrap() {
        for example in command["examples"].as_array().unwrap() {
            let example = example.as_str().unwrap();
            let words = example.split_once("chronikctl").unwrap().1;
            let words = words.split(['|', ')', '>', '&']).next().unwrap();
            let line = std::iter::once("chronikctl").chain(words.split_whitespace());
            Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }
}

#[test]
fn what_changes_something_can_be_tried_without_changing_it() {
    let document = help_json::document();
    for command in document["commands"].as_array().unwrap() {
        // What changes this machine only is done at once, unless a node depends on it or something is lost.
        let is_local = command["needs"] == "nothing"
            && command["impact"] != "destructive"
            && command["path"] != "snapshot restore";
        let writes = command["impact"] != "read" && !is_local;
        let flags = command["flags"].as_array().unwrap();
        let has_dry_run = flags.iter().any(|flag| flag["long"] == "--dry-run");
        let is_data = command["path"] == "produce";
        assert_eq!(writes && !is_data, has_dry_run, "{}", command["path"]);
    }
}

#[test]
fn every_kind_has_a_schema_that_answers_are_held_against() {
    let kinds: BTreeSet<&str> = KINDS.iter().map(|(name, _)| *name).collect();
    for entry in COMMANDS {
        if let Some(kind) = entry.kind {
            assert!(kinds.contains(kind), "{} answers {kind}", entry.path);
        }
    }
    for kind in kinds {
        let schema = schema::of(kind).unwrap();
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
    let health = chronik_admin::v1::Health::default();
    let envelope = json!(Answer::of("Health", "c", &health).envelope());
    let validator = jsonschema::validator_for(&schema::of("Health").unwrap()).unwrap();
    assert!(validator.is_valid(&envelope), "{envelope}");
    let error = json!({ "kind": "Error", "v": 1, "error": Failure::usage("no").body() });
    let validator = jsonschema::validator_for(&schema::of("Error").unwrap()).unwrap();
    assert!(validator.is_valid(&error), "{error}");
}

#[test]
fn help_and_programs_are_told_the_same_exit_codes() {
    let help = Cli::command().render_long_help().to_string();
    for (code, meaning) in EXITS {
        let is_there = help.lines().any(|line| {
            let words = line.trim().split_once(' ');
            words.is_some_and(|(number, rest)| {
                number == code.to_string()
                    && rest.trim().starts_with(&meaning[..meaning.len().min(12)])
            })
        });
        assert!(is_there, "{code}: {meaning}");
    }
}
