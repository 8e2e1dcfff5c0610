//! `chronikctl rebalance apply`: exactly the plan of a file, or nothing if the cluster is not the one it was made for.

use std::path::PathBuf;

use super::carry::{self, Order};
use super::{Patience, Speed, file};
use crate::cli::Consent;
use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What `rebalance plan --save` or `-o json` wrote
    file: PathBuf,
    #[command(flatten)]
    speed: Speed,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let action = format!("apply {}", args.file.display());
    let ordered = Order {
        wanted: file::read(session, &args.file)?,
        mark: None,
        throttle: args.speed.limit(),
    };
    carry::out(session, ordered, &action, &args.patience, &args.consent).await
}
