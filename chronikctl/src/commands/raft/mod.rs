//! `chronikctl raft`: groups, who leads them, and who shall.

mod change_leader;
mod evidence;
mod history;
mod member;
mod snapshot;
pub(crate) mod status;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

pub(crate) use change_leader::{LeaderChange, hand_over};
pub(crate) use evidence::{evidence, leader};
pub(crate) use member::MemberChange;

#[derive(Debug, Subcommand)]
pub(crate) enum Raft {
    /// How every node sees the groups; only those with a problem, unless asked for more
    #[command(
        after_help = "Examples:\n  chronikctl raft status\n  chronikctl raft status --group orders/3 -w\n  chronikctl raft status --all -o jsonl"
    )]
    Status(status::Args),
    /// When leaders changed, why, and how long there was none
    #[command(
        after_help = "Examples:\n  chronikctl raft history\n  chronikctl raft history --group orders/3 --since 1h"
    )]
    History(history::Args),
    /// The leader of a group gives up, and the member with most of the log leads next
    #[command(
        after_help = "Examples:\n  chronikctl raft step-down --group orders/3 --dry-run\n  chronikctl raft step-down --group meta --yes"
    )]
    StepDown(change_leader::StepDown),
    /// The leader of a group hands over to a node
    #[command(after_help = "Examples:\n  chronikctl raft transfer --group orders/3 --to 2")]
    Transfer(change_leader::Transfer),
    /// Who takes part in a group
    #[command(subcommand)]
    Member(member::Member),
    /// The leader of a group writes down its state, or another node does
    #[command(
        after_help = "Examples:\n  chronikctl raft snapshot --group meta --yes\n  chronikctl raft snapshot --group orders/3 --node 2 --dry-run"
    )]
    Snapshot(snapshot::Args),
}

pub(crate) async fn run(session: &Session, raft: &Raft) -> Result<Answer, Failure> {
    match raft {
        Raft::Status(args) => status::run(session, args).await,
        Raft::History(args) => history::run(session, args).await,
        Raft::StepDown(args) => change_leader::step_down(session, args).await,
        Raft::Transfer(args) => change_leader::transfer(session, args).await,
        Raft::Member(member) => member::run(session, member).await,
        Raft::Snapshot(args) => snapshot::run(session, args).await,
    }
}
