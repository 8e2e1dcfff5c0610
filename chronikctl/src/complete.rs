//! What a shell asks while somebody types: commands and flags, and the names that the cluster knows.
//!
//! A cluster that does not answer at once has no names: whoever types does not wait for it.

use std::time::Duration;

use chronik_admin::client::Bounds;
use clap::{Arg, CommandFactory, Parser};
use clap_complete::env::CompleteEnv;
use clap_complete::{ArgValueCandidates, CompletionCandidate};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::cli::Cli;
use crate::commands::{group, node, rebalance};
use crate::config::{self, Environment, Settings};
use crate::exit::Failure;
use crate::session::Session;

/// What a word may be the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noun {
    Topic,
    Partition,
    Group,
    Node,
    Operation,
    Context,
}

/// The variable by which the script of [`write_script`] says that it is a shell that asks.
const VARIABLE: &str = "CHRONIKCTL_COMPLETE";
/// Nobody waits longer for a word.
const PATIENCE: Duration = Duration::from_millis(800);
/// Flags that say which cluster is meant.
const CLUSTER_FLAGS: [&str; 5] = ["-c", "--context", "--admin", "-s", "--server"];

/// Answers and ends, if a shell asks; returns if a person typed a command.
pub(crate) fn answer_a_shell() {
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .completer("chronikctl")
        .complete();
}

/// What a shell has to run once.
pub(crate) fn write_script(shell: &str, script: &mut Vec<u8>) -> std::io::Result<()> {
    let shells = clap_complete::env::Shells::builtins();
    match shells.completer(shell) {
        Some(known) => {
            known.write_registration(VARIABLE, "chronikctl", "chronikctl", "chronikctl", script)
        }
        None => Ok(()),
    }
}

/// The command line, with the names that fit each word.
fn command() -> clap::Command {
    let groups = |sub: clap::Command| {
        let noun = sub.get_name().to_owned();
        let verbs = |verb: clap::Command| {
            let is_new = noun == "topic" && verb.get_name() == "create";
            match is_new {
                true => verb,
                false => verb.mut_args(|arg| named(&noun, arg)),
            }
        };
        sub.mut_args(|arg| named(&noun, arg)).mut_subcommands(verbs)
    };
    let root = Cli::command().mut_args(|arg| named("", arg));
    root.mut_subcommands(groups)
}

fn named(command: &str, arg: Arg) -> Arg {
    match noun(command, arg.get_id().as_str()) {
        Some(noun) => arg.add(ArgValueCandidates::new(move || candidates(noun))),
        None => arg,
    }
}

fn noun(command: &str, arg: &str) -> Option<Noun> {
    match (command, arg) {
        (_, "context" | "confirm") | ("context", "name") => Some(Noun::Context),
        (_, "topic" | "topics") => Some(Noun::Topic),
        ("group" | "explain", "group" | "groups") => Some(Noun::Group),
        ("raft" | "wait", "group") | ("partition" | "explain", "partition") => {
            Some(Noun::Partition)
        }
        ("node" | "explain", "node") | ("rebalance", "drain" | "fill") | ("partition", "on") => {
            Some(Noun::Node)
        }
        ("rebalance" | "explain" | "wait", "operation") => Some(Noun::Operation),
        _ => None,
    }
}

fn candidates(noun: Noun) -> Vec<CompletionCandidate> {
    let names = names(noun).unwrap_or_default().into_iter();
    names.map(CompletionCandidate::new).collect()
}

fn names(noun: Noun) -> Result<Vec<String>, Failure> {
    let environment = Environment::of_this_process();
    if noun == Noun::Context {
        let known = config::read_contexts(&environment.paths().contexts)?;
        return Ok(known.contexts.into_keys().collect());
    }
    let typed = cluster_flags(std::env::args().skip_while(|word| word != "--"));
    let line = ["chronikctl".to_owned(), "status".to_owned()];
    let cli = Cli::try_parse_from(line.into_iter().chain(typed));
    let cli = cli.map_err(|error| Failure::usage(error.to_string()))?;
    let mut settings = Settings::new(&cli.global, &environment)?;
    settings.bounds = Bounds {
        connect: PATIENCE,
        call: PATIENCE,
    };
    let session = Session::new(settings);
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::usage(error.to_string()))?;
    let asked = runtime.block_on(async { timeout(PATIENCE, ask(&session, noun)).await });
    runtime.shutdown_background();
    asked.unwrap_or_else(|_| Ok(Vec::new()))
}

/// The flags among the words of a line that say which cluster is meant.
fn cluster_flags(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut flags = Vec::new();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let flag = word.split_once('=').map_or(word.as_str(), |(flag, _)| flag);
        if !CLUSTER_FLAGS.contains(&flag) {
            continue;
        }
        let has_value = word.contains('=');
        flags.push(word);
        if !has_value {
            flags.extend(words.next_if(|value| !value.starts_with('-')));
        }
    }
    flags
}

async fn ask(session: &Session, noun: Noun) -> Result<Vec<String>, Failure> {
    match noun {
        Noun::Topic => topics(session).await,
        Noun::Partition => {
            let mut kafka = session.kafka().await?;
            let metadata = kafka.metadata(None).await?;
            let names = metadata.topics.iter().flat_map(|topic| {
                let name = topic.name.as_ref().map(|name| name.to_string());
                let name = name.unwrap_or_default();
                (0..topic.partitions.len()).map(move |number| format!("{name}/{number}"))
            });
            Ok(["meta".to_owned()].into_iter().chain(names).collect())
        }
        Noun::Group => {
            let (groups, _) = group::list::read(&mut session.kafka().await?).await;
            Ok(groups.into_iter().map(|known| known.group).collect())
        }
        Noun::Node => {
            let (_, view) = node::view(session).await?;
            Ok(view
                .nodes
                .iter()
                .map(|row| row.node_id.to_string())
                .collect())
        }
        Noun::Operation => {
            let list = rebalance::status::operations(session, None).await?;
            let numbers = list.operations.iter().map(|known| known.operation_id);
            Ok(numbers.map(|id| id.to_string()).collect())
        }
        Noun::Context => Ok(Vec::new()),
    }
}

async fn topics(session: &Session) -> Result<Vec<String>, Failure> {
    let mut kafka = session.kafka().await?;
    let metadata = kafka.metadata(None).await?;
    let names = metadata
        .topics
        .iter()
        .filter_map(|topic| topic.name.as_ref());
    Ok(names.map(|name| name.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_of_a_half_typed_line_is_the_one_that_is_asked() {
        let typed = |line: &str| cluster_flags(line.split(' ').map(str::to_owned));
        assert_eq!(
            typed("-- chronikctl -c production topic describe or"),
            ["-c", "production"]
        );
        assert_eq!(
            typed("-- chronikctl node drain --admin=a:1 -y"),
            ["--admin=a:1"]
        );
        assert_eq!(typed("-- chronikctl topic list"), Vec::<String>::new());
    }

    #[test]
    fn every_shell_has_a_script() {
        use clap::ValueEnum;
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            write_script(&shell.to_string(), &mut script).unwrap();
            assert!(
                String::from_utf8(script).unwrap().contains(VARIABLE),
                "{shell}"
            );
        }
    }

    #[test]
    fn words_have_names_where_the_cluster_knows_them() {
        assert_eq!(noun("topic", "topics"), Some(Noun::Topic));
        assert_eq!(noun("consume", "topic"), Some(Noun::Topic));
        assert_eq!(noun("explain", "group"), Some(Noun::Group));
        assert_eq!(noun("raft", "group"), Some(Noun::Partition));
        assert_eq!(noun("rebalance", "operation"), Some(Noun::Operation));
        assert_eq!(noun("consume", "partition"), None);
        command().debug_assert();
    }
}
