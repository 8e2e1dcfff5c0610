//! `chronikctl node`: members of the cluster.

mod decommission;
mod describe;
mod drain;
mod list;
pub(crate) mod log_level;
mod restart_check;

use clap::Subcommand;

use crate::cli::Consent;
use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

pub(crate) use list::{NodeList, find, view};
pub(crate) use restart_check::RestartCheck;

#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    /// All members, the silent ones included
    #[command(
        after_help = "Examples:\n  chronikctl node list\n  chronikctl node list -o wide\n  chronikctl node list -o tsv --columns node,state --no-headers"
    )]
    List(list::Args),
    /// All that is known of one node; exits 3 if it does not answer
    #[command(after_help = "Examples:\n  chronikctl node describe 3")]
    Describe(describe::Args),
    /// Changes what a node logs, until it is started again
    #[command(
        after_help = "Examples:\n  chronikctl node log-level 3 debug --yes\n  chronikctl node log-level 3 info,chronik_server::raft=debug"
    )]
    LogLevel(log_level::Args),
    /// Moves everything away from a node, and keeps new replicas away from it
    #[command(
        after_help = "Examples:\n  chronikctl node drain 3 --dry-run\n  chronikctl node drain 3 --yes --within 1h"
    )]
    Drain(drain::Args),
    /// Gives a new or drained node its share
    #[command(
        visible_alias = "add",
        after_help = "Examples:\n  chronikctl node undrain 4 --yes"
    )]
    Undrain(drain::Args),
    /// Whether a node may be stopped now; exits 11 if something would stand still
    #[command(
        after_help = "Examples:\n  chronikctl node restart-check 3\n  chronikctl node restart-check 3 && ssh node3 systemctl restart chronik"
    )]
    RestartCheck(restart_check::Args),
    /// Lets a node that holds nothing leave for good
    #[command(after_help = "Examples:\n  chronikctl node decommission 3 --yes")]
    Decommission(decommission::Args),
}

/// `node drain` for another face of this program, which shows how the moves go by itself.
pub(crate) async fn drain_now(
    session: &Session,
    node: u64,
    consent: Consent,
) -> Result<Answer, Failure> {
    drain::drain(session, &drain::Args::at_once(node, consent)).await
}

/// `node undrain`, likewise.
pub(crate) async fn fill_now(
    session: &Session,
    node: u64,
    consent: Consent,
) -> Result<Answer, Failure> {
    drain::fill(session, &drain::Args::at_once(node, consent)).await
}

pub(crate) async fn run(session: &Session, node: &Node) -> Result<Answer, Failure> {
    match node {
        Node::List(_) => list::run(session).await,
        Node::Describe(args) => describe::run(session, args).await,
        Node::LogLevel(args) => log_level::run(session, args).await,
        Node::Drain(args) => drain::drain(session, args).await,
        Node::Undrain(args) => drain::fill(session, args).await,
        Node::RestartCheck(args) => restart_check::run(session, args).await,
        Node::Decommission(args) => decommission::run(session, args).await,
    }
}
