//! `chronikctl rebalance cancel`: what has not arrived stays where it was.

use super::plan::listed;
use super::{GoBack, carry, order_about};
use crate::commands::node;
use crate::exit::Failure;
use crate::mutate::{self, Plan};
use crate::output::Answer;
use crate::session::Session;

pub(super) async fn run(session: &Session, args: &GoBack) -> Result<Answer, Failure> {
    let (client, view) = node::view(session).await?;
    let present = carry::look(session, args.operation).await?;
    let action = format!("cancel operation {}", args.operation);
    let mut plan = Plan::new(session, &view.cluster_id, action);
    plan.look_with = "chronikctl rebalance status".to_owned();
    carry::check_under_way(&mut plan, &present);
    plan.change(format!(
        "{} partitions that have arrived stay where they are",
        present.done
    ));
    for one in &present.moves {
        plan.change(format!("{}: back to {}", one.group, listed(&one.from)));
    }
    let request = order_about(args.operation, &plan);
    let act = async {
        let mut placement = client.placement();
        let back = client.bounded(placement.cancel(request)).await?;
        carry::finish(session, &view.cluster_id, back, &args.patience).await
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}
