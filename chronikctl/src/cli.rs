//! The command line: words, flags and their help, and nothing else.

use std::fmt;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    api, bundle, check, cluster, completions, config, consume, context, doctor, events, explain,
    group, health, help_json, journal, leaders, man, node, partition, produce, raft, rebalance,
    schema, snapshot, status, topic, version, wait,
};
use crate::output::{Colour, Format};
use crate::tui;

/// Sees and steers a Chronik cluster from a command line.
///
/// Answers go to standard output, everything else to standard error.
#[derive(Debug, Parser)]
#[command(name = "chronikctl", version, after_long_help = EXITS, propagate_version = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXITS: &str = "Exit codes:
  0    done and, for a change, verified
  1    failed, wholly or for any item
  2    usage: flag, value, configuration, or not available in this context
  3    could not ask: no connection, timeout, no leader
  4    declined, or no terminal to ask on
  10   the answer is no: unhealthy, not verified, waited in vain
  11   refused by a check or by the context's protection
  12   the state is not the one that was expected any more
  130  interrupted

Start here:
  chronikctl cluster up          three nodes on this machine
  chronikctl status              what is there, and how it does
  chronikctl raft status         groups that have a problem";

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Named cluster to talk to
    #[arg(short = 'c', long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Admin addresses, instead of the context's
    #[arg(long, global = true, value_name = "HOST:PORT,..")]
    pub(crate) admin: Option<String>,
    /// Kafka addresses, instead of the context's
    #[arg(short = 's', long, global = true, value_name = "HOST:PORT,..")]
    pub(crate) server: Option<String>,
    /// Form of the answer
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORM",
        hide_possible_values = true,
        help = "Form of the answer: table, wide, json, jsonl, yaml or tsv"
    )]
    pub(crate) output: Option<Format>,
    /// Columns of tables, in this order
    #[arg(long, global = true, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Tables without their first line
    #[arg(long, global = true)]
    pub(crate) no_headers: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        help = "When to use colours: auto, always or never"
    )]
    pub(crate) color: Colour,
    /// Bound of each call
    #[arg(long, global = true, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Bound of each connection
    #[arg(long, global = true, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub(crate) connect_timeout: Duration,
    /// Ask again and again
    #[arg(short, long, global = true, value_name = "TIME", num_args = 0..=1, require_equals = true,
          default_missing_value = "1s", value_parser = duration,
          help = "Ask again and again; -w=5s for another pause than a second")]
    pub(crate) watch: Option<Duration>,
    /// With -w: lines below each other instead of frames
    #[arg(long, global = true)]
    pub(crate) plain: bool,
}

/// What a command that changes something wants to know.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Consent")]
pub(crate) struct Consent {
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// The context's name, for protected contexts in scripts
    #[arg(long, value_name = "CONTEXT")]
    pub(crate) confirm: Option<String>,
    /// What a check that fails means
    #[arg(
        long,
        value_name = "HOW",
        default_value = "strict",
        hide_possible_values = true,
        help = "What a check that fails means: strict refuses, warn goes on"
    )]
    pub(crate) checks: Checks,
    /// Go on although a group would lose its quorum or its last replica
    #[arg(long)]
    pub(crate) force_unsafe: bool,
}

/// What a check that fails means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Checks {
    #[default]
    Strict,
    Warn,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Nodes, leaders, and the verdict
    #[command(
        after_help = "Examples:\n  chronikctl status\n  chronikctl status --extra\n  chronikctl status -w\n  chronikctl status -o json | jq .data.health.healthy"
    )]
    Status(status::Args),
    /// Whether everything is as it should be; exits 10 if not
    #[command(
        after_help = "Examples:\n  chronikctl health\n  chronikctl health --wait=1m --expect-nodes 3"
    )]
    Health(health::Args),
    /// One figure for a monitoring system: exits 0 ok, 1 warning, 2 critical, 3 unknown
    #[command(
        after_help = "Examples:\n  chronikctl check raft\n  chronikctl check disk --warn 70 --crit 85\n  chronikctl check lag --crit 5000 -f prometheus\n  chronikctl check clock -f json"
    )]
    Check(check::Args),
    /// Waits until something is so; exits 10 if it takes too long
    #[command(subcommand)]
    Wait(wait::Wait),
    /// Why something is as it is, with what the nodes say of it
    #[command(subcommand)]
    Explain(explain::Explain),
    /// Raft groups: the metadata group and one for each partition
    #[command(subcommand)]
    Raft(raft::Raft),
    /// Who leads how many partitions
    #[command(subcommand)]
    Leaders(leaders::Leaders),
    /// Partitions of all topics
    #[command(subcommand, alias = "partitions")]
    Partition(partition::Partition),
    /// Moves of replicas: plans, and operations that carry them out
    #[command(subcommand)]
    Rebalance(rebalance::Rebalance),
    /// What happens, as it happens
    #[command(
        after_help = "Examples:\n  chronikctl events\n  chronikctl events --since 10m --kind LEADER_CHANGED,LEADER_LOST\n  chronikctl events -o jsonl --for 1m"
    )]
    Events(events::Args),
    /// Members of the cluster
    #[command(subcommand, alias = "nodes")]
    Node(node::Node),
    /// Files with the state of nodes, and nodes that begin with them
    #[command(subcommand, alias = "snapshots")]
    Snapshot(snapshot::Snapshot),
    /// Topics
    #[command(subcommand, alias = "topics")]
    Topic(topic::Topic),
    /// Settings of the nodes
    #[command(subcommand, alias = "configs")]
    Config(config::Config),
    /// Consumer groups
    #[command(subcommand, alias = "groups")]
    Group(group::Group),
    /// Writes records, one for each line of the input
    #[command(
        after_help = "Examples:\n  echo hello | chronikctl produce greetings\n  chronikctl produce orders -k customer-7 --file order.json -v"
    )]
    Produce(produce::Args),
    /// Reads records
    #[command(
        after_help = "Examples:\n  chronikctl consume greetings\n  chronikctl consume orders -p 0 --from end -f\n  chronikctl consume orders -o jsonl | jq .value"
    )]
    Consume(consume::Args),
    /// A live view of the cluster
    #[command(
        after_help = "Examples:\n  chronikctl tui\n  chronikctl tui --view partitions --read-only\n  chronikctl tui --snapshot --size 120x40\n  chronikctl tui --replay night.jsonl --speed 10"
    )]
    Tui(tui::Args),
    /// The cluster as a whole, and clusters on this machine
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Named clusters
    #[command(subcommand, alias = "contexts")]
    Context(context::Context),
    /// Calls a method of the admin API and prints its JSON as it is
    #[command(
        after_help = "Examples:\n  chronikctl api get raft/status all=true\n  chronikctl api post raft/step-down group=orders/0 --dry-run\n  chronikctl api get /openapi.json"
    )]
    Api(api::Args),
    /// The JSON Schema of a kind of answer
    #[command(after_help = "Examples:\n  chronikctl schema\n  chronikctl schema RaftStatus")]
    Schema(schema::Args),
    /// All commands, for programs
    #[command(after_help = "Examples:\n  chronikctl help-json | jq '.commands[].path'")]
    HelpJson(help_json::Args),
    /// A script that completes words on the command line
    #[command(
        after_help = "Examples:\n  source <(chronikctl completions bash)\n  chronikctl completions fish > ~/.config/fish/completions/chronikctl.fish"
    )]
    Completions(completions::Args),
    /// What somebody needs to look at a cluster from afar
    #[command(subcommand)]
    Bundle(bundle::Bundle),
    /// Looks for everything that is wrong, with what shows it and what to do; exits 10 if there is something
    #[command(
        after_help = "Examples:\n  chronikctl doctor\n  chronikctl doctor --since 1h -o json | jq '.data.findings[].code'"
    )]
    Doctor(doctor::Args),
    /// What was changed from here
    #[command(
        after_help = "Examples:\n  chronikctl journal --since 1d\n  chronikctl journal -n 100 -o jsonl"
    )]
    Journal(journal::Args),
    /// Writes the pages of the manual
    #[command(after_help = "Examples:\n  chronikctl man ~/.local/share/man/man1")]
    Man(man::Args),
    /// The versions of this program and of the nodes
    #[command(after_help = "Examples:\n  chronikctl version\n  chronikctl version --nodes")]
    Version(version::Args),
}

/// Bytes in a second; none is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) Option<u64>);

impl fmt::Display for Rate {
    /// As a command line has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(bytes) if bytes % (1 << 20) == 0 => write!(f, "{}MiB/s", bytes >> 20),
            Some(bytes) if bytes % (1 << 10) == 0 => write!(f, "{}KiB/s", bytes >> 10),
            Some(bytes) => write!(f, "{bytes}B/s"),
        }
    }
}

/// `50MiB/s`, `800KiB/s`, `1GB/s`, `none`.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    if text == "none" {
        return Ok(Rate(None));
    }
    let expected = || format!("{text:?} is no rate; try 50MiB/s, 800KiB/s or none");
    let amount = text.strip_suffix("/s").unwrap_or(text);
    let unit = amount.find(|character: char| !character.is_ascii_digit());
    let (number, unit) = amount.split_at(unit.unwrap_or(amount.len()));
    let number: u64 = number.parse().map_err(|_| expected())?;
    let unit = match unit {
        "B" => 1,
        "KB" | "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(expected()),
    };
    let bytes = number.checked_mul(unit).ok_or_else(expected)?;
    Ok(Rate(Some(bytes)))
}

/// `200ms`, `5s`, `2m`, `1h`, `1d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.find(|character: char| !character.is_ascii_digit());
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    let expected = || format!("{text:?} is no time; try 200ms, 5s, 2m, 1h or 1d");
    let number: u64 = number.parse().map_err(|_| expected())?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected()),
    };
    let ms = number.checked_mul(ms).ok_or_else(expected)?;
    Ok(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_a_number_and_a_unit() {
        assert_eq!(rate("50MiB/s"), Ok(Rate(Some(50 << 20))));
        assert_eq!(rate("800kB"), Ok(Rate(Some(800_000))));
        assert_eq!(rate("none"), Ok(Rate(None)));
        for text in ["50MiB/s", "800KiB/s", "1001B/s", "none"] {
            assert_eq!(rate(text).unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "50",
            "MiB/s",
            "5.5MiB/s",
            "1TiB/s",
            "99999999999GiB/s",
            "-1MiB/s",
        ] {
            let refused = rate(wrong).unwrap_err();
            assert!(refused.contains("is no rate; try"), "{refused}");
        }
    }
}
