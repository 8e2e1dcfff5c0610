//! `chronikctl node drain` and `undrain`: a node gives away all that it holds and gets nothing, or gets its share again.

use chronik_admin::v1::DrainMark;

use crate::cli::Consent;
use crate::commands::rebalance::carry::{self, Order};
use crate::commands::rebalance::{Patience, Speed, fetch};
use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's number
    node: u64,
    #[command(flatten)]
    speed: Speed,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    consent: Consent,
}

impl Args {
    /// What another face of this program gives: an order that is not waited for.
    pub(super) fn at_once(node: u64, consent: Consent) -> Args {
        Args {
            node,
            speed: Speed::default(),
            patience: Patience::none(),
            consent,
        }
    }
}

pub(super) async fn drain(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let action = format!("move everything away from node {}", args.node);
    carry_out(session, args, "drain", &action).await
}

pub(super) async fn fill(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let action = format!("give node {} its share", args.node);
    carry_out(session, args, "fill", &action).await
}

/// The moves and the mark that keeps new replicas away, or lets them come, are one order.
async fn carry_out(
    session: &Session,
    args: &Args,
    goal: &str,
    action: &str,
) -> Result<Answer, Failure> {
    let (_, wanted) = fetch(session, goal, Some(args.node)).await?;
    let drained = goal == "drain";
    let mut shares = wanted.nodes.iter();
    let is_marked = shares.any(|share| share.node_id == args.node && share.drained == drained);
    let mark = DrainMark {
        node_id: args.node,
        drained,
    };
    let is_done = is_marked && wanted.moves.is_empty();
    let ordered = Order {
        wanted,
        mark: (!is_done).then_some(mark),
        throttle: args.speed.limit(),
    };
    carry::out(session, ordered, action, &args.patience, &args.consent).await
}
