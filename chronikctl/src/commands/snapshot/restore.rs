//! `chronikctl snapshot restore`: a data directory of a snapshot, planned and written by the server's program.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chronik_admin::v1::Restoration;

use super::server;
use crate::cli::Consent;
use crate::exit::Failure;
use crate::mutate::{self, Plan};
use crate::output::{Answer, Tone, bytes};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A snapshot of a node; with --new-cluster also one of each node
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The directory that the node will use; it must be empty
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The node's configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The node's number, if no configuration says it
    #[arg(long, value_name = "N", required_unless_present = "config")]
    node: Option<u64>,
    /// The cluster's nodes, this one included, if no configuration says them
    #[arg(long, value_name = "ID@HOST:PORT,..")]
    peers: Option<String>,
    /// All nodes are lost: begin a new cluster with this one, without records
    #[arg(long)]
    new_cluster: bool,
    #[command(flatten)]
    program: server::Program,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let planned = args.restore(session, Some("--dry-run")).await?;
    let directory = args.data_dir.display();
    let action = match args.new_cluster {
        false => format!("restore node {} in {directory}", planned.node_id),
        true => format!(
            "begin a new cluster with node {} in {directory}",
            planned.node_id
        ),
    };
    let mut plan = Plan::new(session, &planned.from_cluster_id, action);
    plan.look_with = format!("ls {directory}");
    for file in &planned.files {
        let message = format!(
            "{} is sound ({}, made by node {})",
            file.path,
            bytes(file.bytes),
            file.node_id
        );
        plan.check("SOUND", true, message);
    }
    plan.check("EMPTY", true, format!("nothing is in {directory}"));
    plan.changes.extend(planned.changes.iter().cloned());
    let act = async { Ok(told(&args.restore(session, None).await?)) };
    mutate::carry_out(session, &args.consent, plan, act).await
}

impl Args {
    async fn restore(
        &self,
        session: &Session,
        dry_run: Option<&str>,
    ) -> Result<Restoration, Failure> {
        let mut line: Vec<OsString> = Vec::new();
        let mut flag = |name: &str, value: Option<OsString>| {
            if let Some(value) = value {
                line.extend([name.into(), value]);
            }
        };
        let text = |path: &Path| OsString::from(path);
        flag("--config", self.config.as_deref().map(text));
        flag("--node-data-dir", Some(text(&self.data_dir)));
        flag("--node-id", self.node.map(|node| node.to_string().into()));
        flag("--cluster-peers", self.peers.clone().map(OsString::from));
        // The server holds what it listens on against its own entry, which here is all that is known of it.
        flag("--peer-advertised", self.own_peer().map(OsString::from));
        line.push("restore".into());
        line.extend(dry_run.map(OsString::from));
        if self.new_cluster {
            line.push("--new-cluster".into());
        }
        line.push("--".into());
        line.extend(self.files.iter().map(OsString::from));
        self.program.restore(session, line).await
    }

    /// Where the other nodes reach this one, by the list of them all.
    fn own_peer(&self) -> Option<&str> {
        let mut peers = self.peers.as_deref()?.split(',');
        let own = self.node?.to_string();
        peers.find_map(|peer| {
            let (id, address) = peer.trim().split_once('@')?;
            (id == own).then_some(address)
        })
    }
}

fn told(done: &Restoration) -> Answer {
    let mut answer = Answer::of("Restoration", &done.cluster_id, done);
    let line = match done.new_cluster {
        false => format!(
            "{} is ready: start node {}, and cluster {} lets it in",
            done.data_dir, done.node_id, done.cluster_id
        ),
        true => format!(
            "{} is ready: start node {} first; its cluster is {}",
            done.data_dir, done.node_id, done.cluster_id
        ),
    };
    answer.headlines.push((Tone::Good, line));
    let lines = done.changes.iter().cloned();
    answer.footers = lines.map(|line| (Tone::Plain, line)).collect();
    answer
}
