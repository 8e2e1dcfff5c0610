//! `chronikctl partition`: partitions of all topics, and where their replicas are.

mod describe;
mod list;
mod moves;
mod relocate;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

pub(crate) use describe::PartitionDescription;
pub(crate) use list::PartitionList;
pub(crate) use moves::MoveList;

#[derive(Debug, Subcommand)]
pub(crate) enum Partition {
    /// Partitions with their leaders and replicas
    #[command(
        after_help = "Examples:\n  chronikctl partition list --leaderless\n  chronikctl partition list --under-replicated --on 3\n  chronikctl partition list --topic orders -o jsonl"
    )]
    List(list::Args),
    /// One partition as each of its replicas sees it, with its offsets
    #[command(after_help = "Examples:\n  chronikctl partition describe orders/3")]
    Describe(describe::Args),
    /// Moves of replicas that are under way
    #[command(after_help = "Examples:\n  chronikctl partition moves -w")]
    Moves,
    /// Puts the replicas of a partition on these nodes, the first of which shall lead
    #[command(
        after_help = "Examples:\n  chronikctl partition move orders/3 --to 2,3,4 --dry-run\n  chronikctl partition move orders/3 --to 2,3,4 --yes"
    )]
    Move(relocate::Args),
}

pub(crate) async fn run(session: &Session, partition: &Partition) -> Result<Answer, Failure> {
    match partition {
        Partition::List(args) => list::run(session, args).await,
        Partition::Describe(args) => describe::run(session, args).await,
        Partition::Moves => moves::run(session).await,
        Partition::Move(args) => relocate::run(session, args).await,
    }
}
