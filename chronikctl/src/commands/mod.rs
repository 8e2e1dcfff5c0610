//! What each command does, a file for each verb, and the list of them all for programs.

pub(crate) mod api;
pub(crate) mod bundle;
pub(crate) mod catalog;
pub(crate) mod check;
pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod consume;
pub(crate) mod context;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod group;
pub(crate) mod health;
pub(crate) mod help_json;
pub(crate) mod journal;
pub(crate) mod leaders;
pub(crate) mod man;
pub(crate) mod node;
pub(crate) mod partition;
pub(crate) mod place;
pub(crate) mod produce;
pub(crate) mod raft;
pub(crate) mod rebalance;
pub(crate) mod schema;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod topic;
pub(crate) mod version;
pub(crate) mod wait;

use crate::cli::Command;
use crate::exit::{Failure, Verdict};
use crate::output::Answer;
use crate::session::Session;

/// What came of a command.
pub(crate) enum Said {
    /// Something to print.
    Answer(Box<Answer>),
    /// It printed what there was while it ran.
    Printed(Verdict),
}

impl From<Answer> for Said {
    fn from(answer: Answer) -> Said {
        Said::Answer(Box::new(answer))
    }
}

/// Does what the command line says.
pub(crate) async fn run(session: &Session, command: &Command) -> Result<Said, Failure> {
    match command {
        Command::Status(args) => status::run(session, args).await.map(Said::from),
        Command::Health(args) => health::run(session, args).await.map(Said::from),
        Command::Check(args) => check::run(session, args).await,
        Command::Wait(wait) => wait::run(session, wait).await.map(Said::from),
        Command::Explain(explain) => explain::run(session, explain).await.map(Said::from),
        Command::Config(config) => config::run(session, config).await.map(Said::from),
        Command::Raft(raft) => raft::run(session, raft).await.map(Said::from),
        Command::Node(node) => node::run(session, node).await.map(Said::from),
        Command::Leaders(leaders) => leaders::run(session, leaders).await.map(Said::from),
        Command::Partition(partition) => {
            let listed = partition::run(session, partition).await;
            listed.map(Said::from)
        }
        Command::Rebalance(rebalance) => {
            let moved = rebalance::run(session, rebalance).await;
            moved.map(Said::from)
        }
        Command::Events(args) => events::run(session, args).await.map(Said::Printed),
        Command::Tui(args) => crate::tui::run(session, args).await.map(Said::Printed),
        Command::Snapshot(snapshot) => snapshot::run(session, snapshot).await.map(Said::from),
        Command::Topic(topic) => topic::run(session, topic).await.map(Said::from),
        Command::Group(group) => group::run(session, group).await.map(Said::from),
        Command::Produce(args) => produce::run(session, args).await,
        Command::Consume(args) => consume::run(session, args).await.map(Said::Printed),
        Command::Cluster(cluster) => cluster::run(session, cluster).await,
        Command::Context(context) => context::run(session, context).await.map(Said::from),
        Command::Api(args) => api::run(session, args).await.map(Said::Printed),
        Command::Schema(args) => schema::run(args).map(Said::Printed),
        Command::HelpJson(_) => Ok(help_json::run()),
        Command::Completions(args) => Ok(completions::run(args)),
        Command::Doctor(args) => doctor::run(session, args).await.map(Said::from),
        Command::Bundle(bundle) => bundle::run(session, bundle).await.map(Said::from),
        Command::Journal(args) => Ok(journal::run(session, args).into()),
        Command::Man(args) => man::run(args).map(Said::Printed),
        Command::Version(args) => version::run(session, args).await.map(Said::from),
    }
}

/// Whether a command only looks, so that it may be repeated.
pub(crate) fn is_read(command: &Command) -> bool {
    match command {
        Command::Status(_) | Command::Health(_) | Command::Check(_) => true,
        Command::Explain(_) | Command::Doctor(_) => true,
        Command::Config(config) => !matches!(config, config::Config::Set(_)),
        Command::Raft(raft) => matches!(raft, raft::Raft::Status(_) | raft::Raft::History(_)),
        Command::Node(node) => matches!(
            node,
            node::Node::List(_) | node::Node::Describe(_) | node::Node::RestartCheck(_)
        ),
        Command::Snapshot(snapshot) => snapshot::is_read(snapshot),
        Command::Topic(topic) => matches!(topic, topic::Topic::List(_) | topic::Topic::Describe(_)),
        Command::Group(group) => matches!(
            group,
            group::Group::List(_) | group::Group::Describe(_) | group::Group::Lag(_)
        ),
        Command::Leaders(leaders) => matches!(leaders, leaders::Leaders::Show),
        Command::Rebalance(rebalance) => matches!(
            rebalance,
            rebalance::Rebalance::Plan(_)
                | rebalance::Rebalance::Status(_)
                | rebalance::Rebalance::Verify(_)
                | rebalance::Rebalance::Diff(_)
        ),
        Command::Partition(partition) => !matches!(partition, partition::Partition::Move(_)),
        Command::Cluster(cluster) => matches!(cluster, cluster::Cluster::Status(_)),
        _ => false,
    }
}
