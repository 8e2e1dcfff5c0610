//! `chronikctl raft snapshot`: one group's state, written down by its leader or by a node that is named.

use crate::commands::snapshot::{self, Patience};
use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The group: meta, TOPIC/PARTITION, or its number
    #[arg(short, long, value_name = "G")]
    group: String,
    /// The node that makes it, instead of the leader
    #[arg(long, value_name = "N")]
    node: Option<u64>,
    #[command(flatten)]
    patience: Patience,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    snapshot::create(session, args.node, Some(&args.group), &args.patience).await
}
