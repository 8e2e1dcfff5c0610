//! `chronikctl leaders`: how leading is shared among the nodes.

mod balance;
mod show;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

pub(crate) use show::LeaderShares;

#[derive(Debug, Subcommand)]
pub(crate) enum Leaders {
    /// Leaders of partitions by node, beside the share that the layout of replicas asks for
    #[command(after_help = "Examples:\n  chronikctl leaders show\n  chronikctl leaders show -w")]
    Show,
    /// Lets the first replica of each partition lead, where it can
    #[command(
        after_help = "Examples:\n  chronikctl leaders balance --dry-run\n  chronikctl leaders balance --yes"
    )]
    Balance(balance::Args),
}

pub(crate) async fn run(session: &Session, leaders: &Leaders) -> Result<Answer, Failure> {
    match leaders {
        Leaders::Show => show::run(session).await,
        Leaders::Balance(args) => balance::run(session, args).await,
    }
}
