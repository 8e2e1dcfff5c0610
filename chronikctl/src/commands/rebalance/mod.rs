//! `chronikctl rebalance`: plans that say what would move, and operations that move it whether anybody watches or not.

mod apply;
mod cancel;
pub(crate) mod carry;
pub(crate) mod diff;
mod file;
mod known;
pub(crate) mod pace;
mod pause;
mod plan;
mod rollback;
pub(crate) mod status;
pub(crate) mod throttle;
pub(crate) mod verify;
pub(crate) mod wait;

use std::time::Duration;

use chronik_admin::v1::{Expect, Limit, OperationRequest};
use clap::Subcommand;

use crate::cli::{Consent, Rate, duration, rate};
use crate::exit::Failure;
use crate::mutate::Plan;
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
        after_help = "Examples:\n  chronikctl rebalance apply plan.json --dry-run\n  chronikctl rebalance apply plan.json --throttle 50MiB/s\n  chronikctl rebalance apply plan.json --yes --no-wait"
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
    /// How fast replicas on the move may be copied, also while they are
    #[command(
        after_help = "Examples:\n  chronikctl rebalance throttle 50MiB/s --yes\n  chronikctl rebalance throttle none"
    )]
    Throttle(throttle::Args),
    /// Lets an operation stand still: nothing more is copied, begun or finished
    #[command(after_help = "Examples:\n  chronikctl rebalance pause 4711 --yes")]
    Pause(pause::Args),
    /// Lets an operation go on where it was
    #[command(after_help = "Examples:\n  chronikctl rebalance resume 4711 --yes")]
    Resume(pause::Args),
    /// Brings back what an operation has not moved yet
    #[command(after_help = "Examples:\n  chronikctl rebalance cancel 4711 --yes")]
    Cancel(GoBack),
    /// Brings back everything that an operation moved, or has not moved yet
    #[command(
        after_help = "Examples:\n  chronikctl rebalance rollback 4711 --dry-run\n  chronikctl rebalance rollback 4711 --yes --no-wait"
    )]
    Rollback(GoBack),
    /// Whether everything is where a plan wanted it; exits 10 if not
    #[command(after_help = "Examples:\n  chronikctl rebalance verify plan.json")]
    Verify(verify::Args),
    /// What a plan in a file says differently than the cluster does now; exits 10 if there is something
    #[command(after_help = "Examples:\n  chronikctl rebalance diff plan.json")]
    Diff(diff::Args),
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

/// An operation that is to go back, in part or as a whole.
#[derive(Debug, clap::Args)]
pub(crate) struct GoBack {
    /// The number of the operation
    operation: u64,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    consent: Consent,
}

impl GoBack {
    fn at_once(operation: u64, consent: Consent) -> GoBack {
        GoBack {
            operation,
            patience: Patience::none(),
            consent,
        }
    }
}

/// How fast what a command begins may go.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Speed {
    /// Bytes in a second that each node sends at most, such as 50MiB/s, or none; as it is if not given
    #[arg(long, value_name = "RATE", value_parser = rate)]
    throttle: Option<Rate>,
}

impl Speed {
    /// The limit to be set with the moves.
    pub(crate) fn limit(self) -> Option<Limit> {
        self.throttle
            .map(|Rate(bytes_per_second)| Limit { bytes_per_second })
    }
}

/// A plan and its application at once, for a face of this program that shows the plan before it asks.
pub(crate) async fn balance_now(session: &Session, consent: Consent) -> Result<Answer, Failure> {
    let (_, wanted) = fetch(session, "balance", None).await?;
    let ordered = carry::Order {
        wanted,
        mark: None,
        throttle: None,
    };
    let action = "even out replicas and leaders";
    carry::out(session, ordered, action, &Patience::none(), &consent).await
}

/// The commands about operations for another face of this program, which shows how moves go by itself.
pub(crate) async fn throttle_now(
    session: &Session,
    rate: Rate,
    consent: Consent,
) -> Result<Answer, Failure> {
    throttle::run(session, &throttle::Args::new(rate, consent)).await
}

pub(crate) async fn pause_now(
    session: &Session,
    operation: u64,
    consent: Consent,
) -> Result<Answer, Failure> {
    pause::pause(session, &pause::Args::new(operation, consent)).await
}

pub(crate) async fn resume_now(
    session: &Session,
    operation: u64,
    consent: Consent,
) -> Result<Answer, Failure> {
    pause::resume(session, &pause::Args::new(operation, consent)).await
}

pub(crate) async fn cancel_now(
    session: &Session,
    operation: u64,
    consent: Consent,
) -> Result<Answer, Failure> {
    cancel::run(session, &GoBack::at_once(operation, consent)).await
}

pub(crate) async fn roll_back_now(
    session: &Session,
    operation: u64,
    consent: Consent,
) -> Result<Answer, Failure> {
    rollback::run(session, &GoBack::at_once(operation, consent)).await
}

/// What a plan orders about an operation.
fn order_about(operation_id: u64, plan: &Plan) -> OperationRequest {
    OperationRequest {
        operation_id,
        expect: Some(Expect {
            cluster_id: Some(plan.cluster_id.clone()),
            term: None,
        }),
        dry_run: false,
        request_id: plan.request_id.clone(),
    }
}

pub(crate) async fn run(session: &Session, rebalance: &Rebalance) -> Result<Answer, Failure> {
    match rebalance {
        Rebalance::Plan(args) => plan::run(session, args).await,
        Rebalance::Apply(args) => apply::run(session, args).await,
        Rebalance::Status(args) => status::run(session, args).await,
        Rebalance::Wait(args) => wait::run(session, args).await,
        Rebalance::Throttle(args) => throttle::run(session, args).await,
        Rebalance::Pause(args) => pause::pause(session, args).await,
        Rebalance::Resume(args) => pause::resume(session, args).await,
        Rebalance::Cancel(args) => cancel::run(session, args).await,
        Rebalance::Rollback(args) => rollback::run(session, args).await,
        Rebalance::Verify(args) => verify::run(session, args).await,
        Rebalance::Diff(args) => diff::run(session, args).await,
    }
}
