//! `chronikctl group`: consumer groups, by Kafka's protocol.

mod describe;
mod list;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

pub(crate) use describe::GroupDescription;
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
}

pub(crate) async fn run(session: &Session, group: &Group) -> Result<Answer, Failure> {
    match group {
        Group::List(_) => list::run(session).await,
        Group::Describe(args) => describe::run(session, args).await,
    }
}
