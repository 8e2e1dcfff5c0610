//! `chronikctl cluster down`: an orderly end of all nodes that `up` started.

use std::time::Duration;

use chronik_admin::Code;
use chronik_local::terminate;

use super::local::{LocalCluster, Place};
use crate::exit::Failure;
use crate::output::{Answer, Tone, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
}

/// The server's own drain is shorter.
const STOP_BOUND: Duration = Duration::from_secs(60);

pub(super) fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let directory = args.place.directory(session);
    let mut cluster = LocalCluster::read(&directory).ok_or_else(|| {
        let message = format!("there is no cluster in {}", directory.display());
        Failure::new(Code::NotFound, message).hint("chronikctl cluster up")
    })?;
    let running: Vec<u32> = cluster.nodes.iter().filter_map(|node| node.pid).collect();
    // All at once: the last of several would look for others to lead in its place.
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let end = |pid: &u32| {
            let pid = *pid;
            scope.spawn(move || terminate(pid, STOP_BOUND))
        };
        let ends: Vec<_> = running.iter().map(end).collect();
        let joined = ends.into_iter().map(|end| end.join());
        joined
            .map(|end| end.expect("waiting does not panic"))
            .collect()
    });
    for outcome in outcomes {
        outcome.map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
    }
    cluster.nodes.iter_mut().for_each(|node| node.pid = None);
    cluster.write()?;
    let stopped = plural(running.len() as u64, "node");
    let mut answer = cluster.answer();
    answer.headlines.push((
        Tone::Good,
        format!(
            "stopped {stopped} of cluster {}; the data stays in {}",
            cluster.name,
            directory.display()
        ),
    ));
    Ok(answer)
}
