//! `chronikctl wait`: for scripts that go on once something is so. Nodes that do not answer yet are waited for, too.

use std::future::Future;
use std::time::{Duration, Instant};

use chronik_admin::v1::RaftStatus;
use clap::Subcommand;
use tokio::time::sleep;

use super::raft::status;
use super::{health, rebalance};
use crate::cli::duration;
use crate::exit::{Failure, Verdict};
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Wait {
    /// Until a partition, or `meta`, has a leader
    #[command(after_help = "Examples:\n  chronikctl wait leader orders/3 --within 30s")]
    Leader(OfGroup),
    /// Until all replicas keep up, of one partition or of all
    #[command(
        after_help = "Examples:\n  chronikctl wait caught-up --within 10m\n  chronikctl wait caught-up orders/3"
    )]
    CaughtUp(OfGroups),
    /// Until everything is as it should be
    #[command(after_help = "Examples:\n  chronikctl wait healthy --within 1m")]
    Healthy(Within),
    /// Until what was ordered together has arrived
    #[command(after_help = "Examples:\n  chronikctl wait operation 4711 --within 1h")]
    Operation(rebalance::wait::Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct OfGroup {
    /// meta, TOPIC/PARTITION, or a group's number
    #[arg(value_name = "G")]
    group: String,
    #[command(flatten)]
    within: Within,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OfGroups {
    /// meta, TOPIC/PARTITION, or a group's number; all groups if none is named
    #[arg(value_name = "G")]
    group: Option<String>,
    #[command(flatten)]
    within: Within,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Within {
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    within: Duration,
}

/// Between two questions.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(crate) async fn run(session: &Session, wait: &Wait) -> Result<Answer, Failure> {
    match wait {
        Wait::Leader(args) => {
            let leads = |status: &RaftStatus| {
                let mut groups = status.groups.iter();
                groups.all(|group| group.leader.is_some())
            };
            let look = || look(session, &args.group, leads);
            until(args.within.within, look).await
        }
        Wait::CaughtUp(args) => {
            let group = args.group.as_deref().unwrap_or_default();
            let keeps_up = |status: &RaftStatus| {
                let mut groups = status.groups.iter();
                groups.all(|group| group.problems.is_empty())
            };
            until(args.within.within, || look(session, group, keeps_up)).await
        }
        Wait::Healthy(args) => {
            let args = health::Args::waiting(args.within);
            health::run(session, &args).await
        }
        Wait::Operation(args) => rebalance::wait::run(session, args).await,
    }
}

/// Asks again and again until the answer is yes. What cannot be asked may be asked later.
pub(super) async fn until<F>(within: Duration, look: impl Fn() -> F) -> Result<Answer, Failure>
where
    F: Future<Output = Result<Answer, Failure>>,
{
    let deadline = Instant::now() + within;
    loop {
        let is_last = Instant::now() >= deadline;
        match look().await {
            Ok(answer) if answer.verdict == Verdict::Yes || is_last => return Ok(answer),
            Err(failure) if is_last || !failure.error.retryable => return Err(failure),
            _ => sleep(LOOK_EVERY).await,
        }
    }
}

/// One group, or those that have a problem.
async fn look(
    session: &Session,
    group: &str,
    is_so: impl Fn(&RaftStatus) -> bool,
) -> Result<Answer, Failure> {
    let (_, status) = status::ask(session, group, false).await?;
    session.check_cluster(&status.cluster_id)?;
    let mut answer = status::told(&status);
    if !is_so(&status) {
        answer.verdict = Verdict::No;
    }
    Ok(answer)
}
