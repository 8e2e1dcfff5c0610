//! `chronikctl snapshot`: files with the state of nodes, and nodes that begin with such files.

mod create;
mod delete;
mod download;
mod inspect;
mod list;
mod name;
mod restore;
mod server;
mod verify;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

pub(crate) use create::{Patience, create};
pub(crate) use download::Downloaded;
#[cfg(test)]
pub(crate) use list::told as listed;

#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Every node writes down its state, or one does; records are not in it
    #[command(
        after_help = "Examples:\n  chronikctl snapshot create --yes\n  chronikctl snapshot create --node 2 --dry-run\n  chronikctl snapshot create --group meta --yes"
    )]
    Create(create::Args),
    /// Snapshots of all nodes, the silent nodes included
    #[command(
        after_help = "Examples:\n  chronikctl snapshot list\n  chronikctl snapshot list --node 2 -o wide"
    )]
    List(list::Args),
    /// What is in a snapshot, group by group
    #[command(
        after_help = "Examples:\n  chronikctl snapshot inspect 2/1795287340123\n  chronikctl snapshot inspect ./chronik-2-1795287340123.snap"
    )]
    Inspect(server::Anywhere),
    /// Reads a snapshot to its end; exits 10 if it cannot be trusted
    #[command(
        after_help = "Examples:\n  chronikctl snapshot verify 2/1795287340123\n  chronikctl snapshot verify ./chronik-2-1795287340123.snap"
    )]
    Verify(server::Anywhere),
    /// Copies a snapshot to this machine
    #[command(
        after_help = "Examples:\n  chronikctl snapshot download 2/1795287340123\n  chronikctl snapshot download 2/1795287340123 --to backup.snap"
    )]
    Download(download::Args),
    /// Removes a snapshot for good
    #[command(after_help = "Examples:\n  chronikctl snapshot delete 2/1795287340123 --yes")]
    Delete(delete::Args),
    /// Makes a data directory of a snapshot, here and while no node uses it
    #[command(after_help = RESTORE)]
    Restore(restore::Args),
}

const RESTORE: &str = "Examples:
  chronikctl snapshot restore backup.snap --data-dir /var/lib/chronik --config chronik.toml
  chronikctl snapshot restore backup.snap --data-dir ./data --node 2 --peers 1@a:9192,2@b:9192,3@c:9192 --dry-run
  chronikctl snapshot restore one.snap two.snap --data-dir ./data --node 1 --new-cluster";

pub(crate) async fn run(session: &Session, snapshot: &Snapshot) -> Result<Answer, Failure> {
    match snapshot {
        Snapshot::Create(args) => create::run(session, args).await,
        Snapshot::List(args) => list::run(session, args).await,
        Snapshot::Inspect(args) => inspect::run(session, args).await,
        Snapshot::Verify(args) => verify::run(session, args).await,
        Snapshot::Download(args) => download::run(session, args).await,
        Snapshot::Delete(args) => delete::run(session, args).await,
        Snapshot::Restore(args) => restore::run(session, args).await,
    }
}

/// Whether it only looks, so that it may be repeated.
pub(crate) fn is_read(snapshot: &Snapshot) -> bool {
    matches!(snapshot, Snapshot::List(_) | Snapshot::Inspect(_))
}
