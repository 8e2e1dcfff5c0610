//! `chronikctl config`: settings of topics and nodes, with where they come from.

mod diff;
mod get;
mod set;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

pub(crate) use get::{Of, Settings, of_topic, told};

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// What holds for a topic or a node, its default, and where it comes from
    #[command(
        after_help = "Examples:\n  chronikctl config get --topic orders\n  chronikctl config get --topic orders retention.ms -o json\n  chronikctl config get --node 2 --changed"
    )]
    Get(get::Args),
    /// Changes settings of a topic, or what can be changed of a node while it runs
    #[command(
        after_help = "Examples:\n  chronikctl config set --topic orders retention.ms=86400000 --dry-run\n  chronikctl config set --topic orders --reset retention.ms --yes\n  chronikctl config set --node 2 log.level=debug --yes"
    )]
    Set(set::Args),
    /// Settings that differ between nodes and should not; exits 10 if there are any
    #[command(
        after_help = "Examples:\n  chronikctl config diff\n  chronikctl config diff --all -o jsonl"
    )]
    Diff(diff::Args),
}

/// Whose settings are meant.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// Of this topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Of this node
    #[arg(long, value_name = "NODE")]
    node: Option<u64>,
}

impl Whose {
    fn of(&self) -> Of<'_> {
        match &self.topic {
            Some(topic) => Of::Topic(topic),
            // One of them is there: see the group.
            None => Of::Node(self.node.unwrap_or_default()),
        }
    }
}

pub(crate) async fn run(session: &Session, config: &Config) -> Result<Answer, Failure> {
    match config {
        Config::Get(args) => get::run(session, args).await,
        Config::Set(args) => set::run(session, args).await,
        Config::Diff(args) => diff::run(session, args).await,
    }
}
