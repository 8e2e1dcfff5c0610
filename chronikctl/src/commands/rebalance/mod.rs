//! `chronikctl rebalance`: plans that say what would move, and operations that move it whether anybody watches or not.

mod apply;
mod cancel;
pub(crate) mod carry;
pub(crate) mod pace;
mod plan;
pub(crate) mod status;
pub(crate) mod wait;

use std::time::Duration;

use clap::Subcommand;

use crate::cli::{Consent, duration};
use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

pub(crate) use plan::{fetch, listed, told};

#[derive(Debug, Subcommand)]
pub(crate) enum Rebalance {
    /// What would have to move, and what it would be good for
    #[command(
        after_help = "Examples:\n  chronikctl rebalance plan\n  chronikctl rebalance plan --goal leaders\n  chronikctl rebalance plan --drain 2 --save plan.json"
    )]
    Plan(plan::Args),
    /// Does what a plan says, and waits until it is so
    #[command(
        after_help = "Examples:\n  chronikctl rebalance apply plan.json --dry-run\n  chronikctl rebalance apply plan.json --yes --no-wait"
    )]
    Apply(apply::Args),
    /// Operations that are under way, or one of them
    #[command(
        after_help = "Examples:\n  chronikctl rebalance status -w\n  chronikctl rebalance status 4711"
    )]
    Status(status::Args),
    /// Watches an operation until it is done; exits 10 if that takes too long
    #[command(after_help = "Examples:\n  chronikctl rebalance wait 4711 --within 1h")]
    Wait(wait::Args),
    /// Brings back what an operation has not moved yet
    #[command(after_help = "Examples:\n  chronikctl rebalance cancel 4711 --yes")]
    Cancel(cancel::Args),
}

/// How long a command watches what it has begun.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Patience {
    /// How long to wait until it is done
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub(crate) within: Duration,
    /// Do not wait: print the operation's number
    #[arg(long)]
    pub(crate) no_wait: bool,
}

impl Patience {
    /// The order is given, and not watched.
    pub(crate) fn none() -> Patience {
        Patience {
            within: Duration::ZERO,
            no_wait: true,
        }
    }
}

/// A plan and its application at once, for a face of this program that shows the plan before it asks.
pub(crate) async fn balance_now(session: &Session, consent: Consent) -> Result<Answer, Failure> {
    let (_, wanted) = fetch(session, "balance", None).await?;
    let ordered = carry::Order { wanted, mark: None };
    let action = "even out replicas and leaders";
    carry::out(session, ordered, action, &Patience::none(), &consent).await
}

pub(crate) async fn run(session: &Session, rebalance: &Rebalance) -> Result<Answer, Failure> {
    match rebalance {
        Rebalance::Plan(args) => plan::run(session, args).await,
        Rebalance::Apply(args) => apply::run(session, args).await,
        Rebalance::Status(args) => status::run(session, args).await,
        Rebalance::Wait(args) => wait::run(session, args).await,
        Rebalance::Cancel(args) => cancel::run(session, args).await,
    }
}
