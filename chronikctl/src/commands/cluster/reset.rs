//! `chronikctl cluster reset`: a cluster on this machine is stopped and forgets everything.

use std::fs;

use chronik_admin::Code;

use super::local::{self, LocalCluster, Place};
use crate::cli::Consent;
use crate::config;
use crate::context::Context;
use crate::exit::Failure;
use crate::mutate::{self, Plan};
use crate::output::{Answer, Tone, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let directory = args.place.directory(session);
    let mut cluster = LocalCluster::read(&directory).ok_or_else(|| local::missing(&directory))?;
    // It is this cluster that is meant, whatever the chosen context is, and its own protection that counts.
    let mut settings = session.settings.clone();
    let mut known = config::read_contexts(&settings.paths.contexts)?;
    settings.context = Context {
        name: cluster.name.clone(),
        ..known.contexts.remove(&cluster.name).unwrap_or_default()
    };
    let own = Session::new(settings);
    let running: Vec<u32> = cluster.nodes.iter().filter_map(|node| node.pid).collect();
    let mut plan = Plan::new(&own, "", format!("reset cluster {}", cluster.name));
    plan.look_with = "chronikctl cluster up".to_owned();
    plan.change(format!("stop {}", plural(running.len() as u64, "node")));
    for node in &cluster.nodes {
        let data = node.data();
        plan.change(format!("everything in {} goes for ever", data.display()));
    }
    let act = async {
        local::stop(&running)?;
        for node in &mut cluster.nodes {
            node.pid = None;
            let data = node.data();
            forget(&data).map_err(|error| {
                let message = format!("cannot delete {}: {error}", data.display());
                Failure::new(Code::Internal, message)
            })?;
        }
        cluster.write()?;
        unpin(session, &cluster.name)?;
        let mut answer = cluster.answer();
        let line = format!(
            "cluster {} is empty: chronikctl cluster up begins a new one",
            cluster.name
        );
        answer.headlines.push((Tone::Good, line));
        Ok(answer)
    };
    mutate::carry_out(&own, &args.consent, plan, act).await
}

/// What is not there needs not be forgotten.
fn forget(folder: &std::path::Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// The next cluster at these addresses is another one.
fn unpin(session: &Session, name: &str) -> Result<(), Failure> {
    let file = &session.settings.paths.contexts;
    let mut known = config::read_contexts(file)?;
    let context = known.contexts.get_mut(name);
    match context.and_then(|context| context.cluster_id.take()) {
        Some(_) => known.write(file),
        None => Ok(()),
    }
}
