//! `chronikctl rebalance cancel`: what has not arrived stays where it was.

use chronik_admin::v1::{CancelRequest, Expect};

use super::plan::listed;
use super::{Patience, carry};
use crate::cli::Consent;
use crate::commands::node;
use crate::exit::Failure;
use crate::mutate::{self, Plan};
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The number of the operation
    operation: u64,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (client, view) = node::view(session).await?;
    let present = carry::look(session, args.operation).await?;
    let action = format!("cancel operation {}", args.operation);
    let mut plan = Plan::new(session, &view.cluster_id, action);
    plan.look_with = "chronikctl rebalance status".to_owned();
    plan.check(
        "NOTHING_TO_CANCEL",
        !present.moves.is_empty(),
        match present.moves.len() {
            0 => "everything has arrived already".to_owned(),
            count => format!("{count} partitions are under way"),
        },
    );
    plan.change(format!(
        "{} partitions that have arrived stay where they are",
        present.done
    ));
    for one in &present.moves {
        plan.change(format!("{}: back to {}", one.group, listed(&one.from)));
    }
    let request = CancelRequest {
        operation_id: args.operation,
        expect: Some(Expect {
            cluster_id: Some(view.cluster_id.clone()),
            term: None,
        }),
        dry_run: false,
        request_id: plan.request_id.clone(),
    };
    let act = async {
        let mut placement = client.placement();
        let back = client.bounded(placement.cancel(request)).await?;
        carry::finish(session, &view.cluster_id, back, &args.patience).await
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}
