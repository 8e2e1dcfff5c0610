//! `chronikctl node drain` and `undrain`: a node gives away all that it holds, or gets its share again.

use crate::cli::Consent;
use crate::commands::rebalance::{Patience, carry, fetch};
use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's number
    node: u64,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn drain(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (_, plan) = fetch(session, "drain", Some(args.node)).await?;
    let action = format!("move everything away from node {}", args.node);
    carry::out(session, plan, &action, &args.patience, &args.consent).await
}

pub(super) async fn fill(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (_, plan) = fetch(session, "fill", Some(args.node)).await?;
    let action = format!("give node {} its share", args.node);
    carry::out(session, plan, &action, &args.patience, &args.consent).await
}
