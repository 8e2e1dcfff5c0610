//! `chronikctl bundle`: what somebody needs to look at a cluster from afar, and nothing that is not on the list.

mod analyze;
mod archive;
mod collect;
mod create;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

pub(crate) use collect::{Collected, collect};
pub(crate) use create::Written;

#[derive(Debug, Subcommand)]
pub(crate) enum Bundle {
    /// Writes what is known of the cluster and its nodes into one file
    #[command(
        after_help = "Examples:\n  chronikctl bundle create\n  chronikctl bundle create --since 1h --to /tmp/for-support.tar.gz"
    )]
    Create(create::Args),
    /// The doctor, for a cluster that is known from a bundle only; exits 10 if something is wrong
    #[command(
        after_help = "Examples:\n  chronikctl bundle analyze for-support.tar.gz\n  chronikctl bundle analyze for-support.tar.gz -o json"
    )]
    Analyze(analyze::Args),
}

pub(crate) async fn run(session: &Session, bundle: &Bundle) -> Result<Answer, Failure> {
    match bundle {
        Bundle::Create(args) => create::run(session, args).await,
        Bundle::Analyze(args) => analyze::run(args),
    }
}
