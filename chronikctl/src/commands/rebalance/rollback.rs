//! `chronikctl rebalance rollback`: everything goes back to where it was before an operation, by a new one.

use chronik_admin::client::Client;
use chronik_admin::v1::{Operation, OperationRequest};

use super::plan::listed;
use super::{GoBack, carry, order_about};
use crate::commands::node;
use crate::exit::Failure;
use crate::mutate::{self, Plan};
use crate::output::{Answer, plural};
use crate::session::Session;

pub(super) async fn run(session: &Session, args: &GoBack) -> Result<Answer, Failure> {
    let (client, view) = node::view(session).await?;
    let action = format!("roll back operation {}", args.operation);
    let mut plan = Plan::new(session, &view.cluster_id, action);
    plan.look_with = "chronikctl rebalance status".to_owned();
    let request = order_about(args.operation, &plan);
    let dry = OperationRequest {
        dry_run: true,
        ..request.clone()
    };
    // The cluster knows where everything was, and refuses before anybody is asked.
    let wanted = order(&client, dry).await?;
    let gets = wanted.moves.iter();
    let gets = gets.flat_map(|one| one.to.iter().filter(|node| !one.from.contains(node)));
    let mut gets: Vec<u64> = gets.copied().collect();
    gets.sort_unstable();
    gets.dedup();
    carry::check_targets(&mut plan, &gets, &view);
    let count = plural(wanted.partitions, "partition");
    plan.change(format!("{count} to where they were before"));
    let pairs = wanted.moves.iter();
    carry::list(&mut plan, pairs.map(|one| (&one.group, &one.from, &one.to)));
    if let Some(mark) = wanted.mark {
        plan.changes.push(carry::marked(mark, &view));
    }
    if !gets.is_empty() {
        plan.change(format!("node {} gets replicas back", listed(&gets)));
    }
    let act = async {
        let back = order(&client, request).await?;
        carry::finish(session, &view.cluster_id, back, &args.patience).await
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}

async fn order(client: &Client, request: OperationRequest) -> Result<Operation, Failure> {
    let mut placement = client.placement();
    Ok(client.bounded(placement.rollback(request)).await?)
}
