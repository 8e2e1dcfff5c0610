//! `chronikctl cluster`: the cluster as a whole, and clusters on this machine.

mod down;
mod local;
mod logs;
mod reset;
mod up;

use clap::Subcommand;

use crate::commands::{Said, health, status};
use crate::exit::Failure;
use crate::session::Session;

pub(crate) use local::{LocalCluster, server_program};

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// The same as `chronikctl status`
    #[command(after_help = "Examples:\n  chronikctl cluster status")]
    Status(status::Args),
    /// The same as `chronikctl health`
    #[command(after_help = "Examples:\n  chronikctl cluster health --wait=1m")]
    Health(health::Args),
    /// Starts a cluster on this machine, or what is missing of it
    #[command(
        after_help = "Examples:\n  chronikctl cluster up\n  chronikctl cluster up --nodes 1 --name single"
    )]
    Up(up::Args),
    /// Stops a cluster on this machine; its data stays
    #[command(
        after_help = "Examples:\n  chronikctl cluster down\n  chronikctl cluster down --name single"
    )]
    Down(down::Args),
    /// Stops a cluster on this machine and deletes all its data
    #[command(
        after_help = "Examples:\n  chronikctl cluster reset --dry-run\n  chronikctl cluster reset --yes"
    )]
    Reset(reset::Args),
    /// What the nodes of a cluster on this machine log
    #[command(
        after_help = "Examples:\n  chronikctl cluster logs\n  chronikctl cluster logs 2 -f\n  chronikctl cluster logs -n 100 -o jsonl"
    )]
    Logs(logs::Args),
}

pub(crate) async fn run(session: &Session, cluster: &Cluster) -> Result<Said, Failure> {
    let answer = match cluster {
        Cluster::Status(args) => status::run(session, args).await,
        Cluster::Health(args) => health::run(session, args).await,
        Cluster::Up(args) => up::run(session, args).await,
        Cluster::Down(args) => down::run(session, args),
        Cluster::Reset(args) => reset::run(session, args).await,
        Cluster::Logs(args) => return logs::run(session, args).await.map(Said::Printed),
    };
    answer.map(Said::from)
}
