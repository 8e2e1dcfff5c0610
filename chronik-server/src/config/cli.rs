//! The command line: a flag for every key, and the commands that only read and print.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::definition::{Definition, definitions};
use super::layers::Sources;
use super::value::{Kind, Literal};
use super::{Environment, SECTIONS, docs, nearest};
use crate::guard::Ward;
use crate::snapshots::restore::Wish;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub enum Invocation {
    /// Serve until told to stop.
    Serve(Sources),
    /// Say whether the configuration is valid.
    Check(Sources),
    /// Make a data directory of snapshots.
    Restore(Sources, Wish),
    /// Say what a snapshot is, or whether it can be trusted.
    Look(PathBuf, Look),
    /// Print a text and end.
    Print(Document),
    /// Watch a node.
    Guard(Ward),
}

/// What is wanted of a snapshot in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Inspect,
    Verify,
}

/// A text that is made from the tables of this program.
#[derive(Clone, Debug)]
pub enum Document {
    /// A configuration file with every default.
    DefaultFile,
    /// What one key or section means.
    Explanation(String),
    /// The configuration reference.
    ConfigReference,
    /// The metrics reference.
    MetricsReference,
}

/// Reads the command line. An error prints itself and knows its exit code.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Environment,
) -> Result<Invocation, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let sources = Sources {
        file: matches.get_one::<PathBuf>("config").cloned(),
        environment,
        flags: flags_of(&matches),
    };
    match matches.subcommand() {
        None => Ok(Invocation::Serve(sources)),
        Some(("guard", guard)) => Ok(Invocation::Guard(ward(guard))),
        Some(("metrics", _)) => Ok(Invocation::Print(Document::MetricsReference)),
        Some(("restore", restore)) => Ok(Invocation::Restore(sources, wish_of(restore))),
        Some(("snapshot", snapshot)) => {
            let (verb, chosen) = snapshot.subcommand().expect("clap requires a verb");
            let look = match verb {
                "verify" => Look::Verify,
                _ => Look::Inspect,
            };
            let file = chosen.get_one::<PathBuf>("file");
            let file = file.expect("clap requires the file").clone();
            Ok(Invocation::Look(file, look))
        }
        Some(("config", config)) => match config.subcommand() {
            Some(("check", _)) => Ok(Invocation::Check(sources)),
            Some(("explain", explain)) => explanation(explain).map(Invocation::Print),
            Some(("docs", _)) => Ok(Invocation::Print(Document::ConfigReference)),
            _ => Ok(Invocation::Print(Document::DefaultFile)),
        },
        Some((name, _)) => unreachable!("clap accepted the command {name}, which nobody declared"),
    }
}

/// The whole command line.
pub(super) fn command() -> Command {
    Command::new("chronik-server")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A Kafka-compatible log. Without arguments it serves 127.0.0.1:9092 and keeps its data in ./chronik-data.")
        .after_help(EXAMPLES)
        .styles(Styles::styled())
        .disable_help_subcommand(true)
        .arg(config_file_argument())
        .args(definitions().map(flag))
        .subcommand(config_command())
        .subcommand(restore_command())
        .subcommand(snapshot_command())
        .subcommand(metrics_command())
        .subcommand(guard_command())
}

const EXAMPLES: &str = "\
Examples:
  chronik-server
      one node on this machine, no questions asked
  chronik-server --node-data-dir /var/lib/chronik --kafka-listen 0.0.0.0:9092 --kafka-advertised broker-1:9092
      one node that other machines reach as broker-1
  chronik-server config default > chronik.toml && chronik-server --config chronik.toml
      the same from a file
  chronik-server config explain raft.election_ticks
      what a key means, and its flag and variable

A flag wins over the environment, the environment over the file, the file over the default.
Exit codes: 0 stopped as asked, 1 failed while running, 2 wrong usage or configuration, 70 storage failed.";

fn config_file_argument() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("Configuration file in TOML; no file is read otherwise [env: CHRONIK_CONFIG]")
        .value_parser(clap::value_parser!(PathBuf))
        .global(true)
}

fn flag(definition: &'static Definition) -> Arg {
    let default = definition.default_shown();
    let flag = Arg::new(definition.path)
        .long(definition.flag())
        .value_name(definition.kind.placeholder)
        .help(format!("{} [default: {default}]", definition.sentence))
        .help_heading(definition.section)
        // A value is parsed once, by the code that also reads files and variables.
        .allow_hyphen_values(true);
    match definition.kind {
        Kind {
            literal: Literal::List,
            ..
        } => flag.action(ArgAction::Append),
        _ => flag.action(ArgAction::Set),
    }
}

fn config_command() -> Command {
    let key = Arg::new("key")
        .value_name("KEY")
        .required(true)
        .help("A key like raft.election_ticks, or a section like raft");
    Command::new("config")
        .about("Show, explain and check the configuration")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(Command::new("default").about("Print a file with every key and its default"))
        .subcommand(
            Command::new("explain")
                .about("Say what a key means")
                .arg(key),
        )
        .subcommand(
            Command::new("check")
                .about("Say whether file, environment and flags make a valid configuration"),
        )
        .subcommand(Command::new("docs").about("Print the reference as Markdown"))
}

fn restore_command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::SetTrue)
    };
    Command::new("restore")
        .about("Make a data directory of a snapshot, for a node that comes back or for a new cluster; prints JSON")
        .arg(file_argument().num_args(1..).action(ArgAction::Append))
        .arg(flag(
            "new-cluster",
            "All nodes are lost: begin a new cluster, without records, with one snapshot or one of each node",
        ))
        .arg(flag("dry-run", "Say what would be done, and do nothing"))
}

fn snapshot_command() -> Command {
    Command::new("snapshot")
        .about("Look at a snapshot in a file; prints JSON")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(
            Command::new("inspect")
                .about("Say what is in it")
                .arg(file_argument()),
        )
        .subcommand(
            Command::new("verify")
                .about("Say whether it can be trusted; exits 1 if not")
                .arg(file_argument()),
        )
}

fn file_argument() -> Arg {
    Arg::new("file")
        .value_name("FILE")
        .help("A snapshot")
        .required(true)
        .value_parser(clap::value_parser!(PathBuf))
}

fn wish_of(matches: &ArgMatches) -> Wish {
    let files = matches.get_many::<PathBuf>("file");
    Wish {
        files: files.expect("clap requires a file").cloned().collect(),
        new_cluster: matches.get_flag("new-cluster"),
        dry_run: matches.get_flag("dry-run"),
    }
}

fn metrics_command() -> Command {
    Command::new("metrics")
        .hide(true)
        .about("Describe the metrics")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(Command::new("docs").about("Print the reference as Markdown"))
}

/// A node starts its guard by itself.
fn guard_command() -> Command {
    let number = |name: &'static str| Arg::new(name).long(name).required(true);
    Command::new("guard")
        .hide(true)
        .about("Watch a node and hang up on its clients while it is frozen")
        .arg(number("process").value_parser(value_parser!(i32).range(1..)))
        .arg(number("port").value_parser(value_parser!(u16)))
        .arg(number("silence-ms").value_parser(value_parser!(u64)))
}

fn ward(matches: &ArgMatches) -> Ward {
    let missing = "clap refuses a guard without it";
    let silence_ms = matches.get_one("silence-ms").expect(missing);
    Ward {
        process: *matches.get_one("process").expect(missing),
        port: *matches.get_one("port").expect(missing),
        silence: Duration::from_millis(*silence_ms),
    }
}

fn flags_of(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    definitions()
        .filter_map(|definition| {
            let texts = matches.get_many::<String>(definition.path)?;
            let texts: Vec<&str> = texts.map(String::as_str).collect();
            Some((definition.path, texts.join(",")))
        })
        .collect()
}

fn explanation(matches: &ArgMatches) -> Result<Document, clap::Error> {
    let written = matches
        .get_one::<String>("key")
        .expect("clap requires the key");
    docs::explain(written)
        .map(Document::Explanation)
        .ok_or_else(|| {
            let sections = SECTIONS.iter().map(|section| section.name);
            let known = definitions()
                .map(|definition| definition.path)
                .chain(sections);
            let hint = nearest::did_you_mean(written, known);
            let message = format!("unknown key `{written}`; {hint}\n");
            clap::Error::raw(ErrorKind::InvalidValue, message)
        })
}
