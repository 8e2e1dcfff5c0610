//! `chronikctl group`: consumer groups, by Kafka's protocol.

mod delete;
pub(crate) mod describe;
mod lag;
pub(crate) mod list;
mod seek;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

pub(crate) use describe::GroupDescription;
pub(crate) use lag::GroupLagList;
pub(crate) use list::GroupList;

#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// All consumer groups
    #[command(after_help = "Examples:\n  chronikctl group list")]
    List(list::Args),
    /// One group: its members, and how far it is behind
    #[command(
        after_help = "Examples:\n  chronikctl group describe billing\n  chronikctl group describe billing -w"
    )]
    Describe(describe::Args),
    /// What groups have not consumed yet
    #[command(
        after_help = "Examples:\n  chronikctl group lag\n  chronikctl group lag billing -w=5s\n  chronikctl group lag -o tsv --columns group,lag --no-headers"
    )]
    Lag(lag::Args),
    /// Moves the positions of a group without members
    #[command(
        after_help = "Examples:\n  chronikctl group seek billing --to start --dry-run\n  chronikctl group seek billing --topic orders --partition 0 --to 1200 --yes\n  chronikctl group seek billing --to @1700000000000"
    )]
    Seek(seek::Args),
    /// Deletes a group without members, and its positions
    #[command(after_help = "Examples:\n  chronikctl group delete billing --yes")]
    Delete(delete::Args),
}

pub(crate) async fn run(session: &Session, group: &Group) -> Result<Answer, Failure> {
    match group {
        Group::List(_) => list::run(session).await,
        Group::Describe(args) => describe::run(session, args).await,
        Group::Lag(args) => lag::run(session, args).await,
        Group::Seek(args) => seek::run(session, args).await,
        Group::Delete(args) => delete::run(session, args).await,
    }
}
