//! `chronikctl rebalance apply`: exactly the plan of a file, or nothing if the cluster is not the one it was made for.

use std::fs;
use std::path::PathBuf;

use chronik_admin::v1::PlacementPlan;
use serde_json::Value;

use super::Patience;
use super::carry::{self, Order};
use crate::cli::Consent;
use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What `rebalance plan --save` or `-o json` wrote
    file: PathBuf,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let plan = read(&args.file)?;
    session.check_cluster(&plan.cluster_id)?;
    let action = format!("apply {}", args.file.display());
    let ordered = Order {
        wanted: plan,
        mark: None,
    };
    carry::out(session, ordered, &action, &args.patience, &args.consent).await
}

fn read(file: &PathBuf) -> Result<PlacementPlan, Failure> {
    let wrong = |why: String| {
        Failure::usage(format!("{}: {why}", file.display()))
            .hint("chronikctl rebalance plan --save FILE")
    };
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let mut envelope: Value =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if envelope["kind"] != "PlacementPlan" || envelope["v"] != 1 {
        return Err(wrong("this is no plan of version 1".to_owned()));
    }
    serde_json::from_value(envelope["data"].take()).map_err(|error| wrong(error.to_string()))
}
