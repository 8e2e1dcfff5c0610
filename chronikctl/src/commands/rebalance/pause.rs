//! `chronikctl rebalance pause` and `resume`: the moves of an operation stand still, and go on where they were.

use chronik_admin::client::Client;
use chronik_admin::v1::{Operation, OperationRequest};

use super::{carry, known, order_about, status};
use crate::cli::Consent;
use crate::commands::node;
use crate::exit::Failure;
use crate::mutate::{self, Plan};
use crate::output::{Answer, bytes, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The number of the operation
    operation: u64,
    #[command(flatten)]
    consent: Consent,
}

impl Args {
    /// What another face of this program gives.
    pub(super) fn new(operation: u64, consent: Consent) -> Args {
        Args { operation, consent }
    }
}

pub(super) async fn pause(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let action = format!("pause operation {}", args.operation);
    let changes = ["nothing more is copied, begun or finished, until it is resumed"];
    set(session, args, action, &changes, Wanted::Paused).await
}

pub(super) async fn resume(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let action = format!("resume operation {}", args.operation);
    let changes = ["its moves go on where they were"];
    set(session, args, action, &changes, Wanted::GoingOn).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Paused,
    GoingOn,
}

async fn set(
    session: &Session,
    args: &Args,
    action: String,
    changes: &[&str],
    wanted: Wanted,
) -> Result<Answer, Failure> {
    let (client, view) = node::view(session).await?;
    let present = carry::look(session, args.operation).await?;
    let mut plan = Plan::new(session, &view.cluster_id, action);
    plan.look_with = "chronikctl rebalance status".to_owned();
    carry::check_under_way(&mut plan, &present);
    plan.change(format!(
        "{} under way, {} of {} copied",
        plural(present.moves.len() as u64, "partition"),
        bytes(present.bytes_done),
        bytes(present.bytes_total)
    ));
    changes.iter().for_each(|change| plan.change(*change));
    if present.paused == (wanted == Wanted::Paused) {
        plan.change("it is so already");
    }
    let request = order_about(args.operation, &plan);
    let act = async {
        let set = order(&client, request, wanted).await?;
        let answer = status::one(&view.cluster_id, &set);
        known::everywhere(session, set.catalog_version, answer).await
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}

async fn order(
    client: &Client,
    request: OperationRequest,
    wanted: Wanted,
) -> Result<Operation, Failure> {
    let mut placement = client.placement();
    let set = match wanted {
        Wanted::Paused => client.bounded(placement.pause(request)).await,
        Wanted::GoingOn => client.bounded(placement.resume(request)).await,
    };
    Ok(set?)
}
