//! `chronikctl rebalance wait`: watches an operation that somebody began.

use std::time::Duration;

use super::{Patience, carry};
use crate::cli::duration;
use crate::commands::node;
use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The number of the operation
    operation: u64,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    within: Duration,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let operation = carry::look(session, args.operation).await?;
    let (_, view) = node::view(session).await?;
    let patience = Patience {
        within: args.within,
        no_wait: false,
    };
    carry::finish(session, &view.cluster_id, operation, &patience).await
}
