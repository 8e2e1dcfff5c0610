//! `chronikctl cluster down`: an orderly end of all nodes that `up` started.

use super::local::{self, LocalCluster, Place};
use crate::exit::Failure;
use crate::output::{Answer, Tone, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let directory = args.place.directory(session);
    let mut cluster = LocalCluster::read(&directory).ok_or_else(|| local::missing(&directory))?;
    let running: Vec<u32> = cluster.nodes.iter().filter_map(|node| node.pid).collect();
    local::stop(&running)?;
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
