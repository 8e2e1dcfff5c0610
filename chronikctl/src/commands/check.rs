//! `chronikctl check`: one line and one of four exit codes, as monitoring systems want them.

use std::fmt;

use chronik_admin::client::Client;
use chronik_admin::v1::{ClusterView, ClusterViewRequest, RaftStatus, RaftStatusRequest};
use schemars::JsonSchema;
use serde::Serialize;

use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Tone};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is looked at
    what: What,
    /// A warning from this figure on; by default any, for `disk` 80
    #[arg(long, value_name = "FIGURE")]
    warn: Option<u64>,
    /// Critical from this figure on; by default any, for `disk` 90, for `lag` 10000
    #[arg(long, value_name = "FIGURE")]
    crit: Option<u64>,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// Members that do not answer
    Nodes,
    /// Groups that nobody leads
    Leaderless,
    /// Groups with a replica that does not keep up
    UnderReplicated,
    /// Entries that the slowest replica lacks
    Lag,
    /// Percent of the fullest disk
    Disk,
}

/// What was found, and what it means.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Check {
    what: What,
    status: Status,
    figure: Option<u64>,
    warn: u64,
    crit: u64,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Ok,
    Warning,
    Critical,
    Unknown,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (warn, crit) = bounds(args);
    if warn > crit {
        let message = format!("--warn {warn} is above --crit {crit}");
        return Ok(answer("", &unknown(args, message)));
    }
    // Nobody to ask is an answer here: the fourth exit code.
    let (cluster_id, check) = match ask(session).await {
        Ok((view, status)) => {
            let (figure, message) = figure(args.what, &view, &status);
            let status = match figure {
                figure if figure >= crit => Status::Critical,
                figure if figure >= warn => Status::Warning,
                _ => Status::Ok,
            };
            let check = Check {
                what: args.what,
                status,
                figure: Some(figure),
                warn,
                crit,
                message,
            };
            (view.cluster_id, check)
        }
        Err(failure) => (String::new(), unknown(args, failure.error.message)),
    };
    Ok(answer(&cluster_id, &check))
}

fn bounds(args: &Args) -> (u64, u64) {
    let (warn, crit) = match args.what {
        What::Disk => (80, 90),
        What::Lag => (1, 10_000),
        What::Nodes | What::Leaderless | What::UnderReplicated => (1, 1),
    };
    let crit = args.crit.unwrap_or(crit.max(args.warn.unwrap_or(0)));
    (args.warn.unwrap_or(warn.min(crit)), crit)
}

async fn ask(session: &Session) -> Result<(ClusterView, RaftStatus), Failure> {
    let question = |client: Client| async move {
        let (mut cluster, mut raft) = (client.cluster(), client.raft());
        let view = client.bounded(cluster.view(ClusterViewRequest {})).await?;
        let request = RaftStatusRequest {
            group: String::new(),
            all: true,
        };
        let status = client.bounded(raft.status(request)).await?;
        Ok::<_, chronik_admin::AdminError>((view, status))
    };
    let (_, (view, status)) = session.ask(question).await?;
    session.check_cluster(&view.cluster_id)?;
    Ok((view, status))
}

fn figure(what: What, view: &ClusterView, status: &RaftStatus) -> (u64, String) {
    let with = |problem: &str| {
        let has_it = |problems: &Vec<String>| problems.iter().any(|known| known == problem);
        let groups = status.groups.iter().filter(|group| has_it(&group.problems));
        let count = groups.count() as u64;
        let total = status.total_groups;
        (
            count,
            format!("{count} of {total} groups {}", problem.to_lowercase()),
        )
    };
    match what {
        What::Nodes => {
            let silent = view.nodes.iter().filter(|row| !row.reachable).count();
            let total = view.nodes.len();
            (
                silent as u64,
                format!("{silent} of {total} nodes do not answer"),
            )
        }
        What::Leaderless => with("LEADERLESS"),
        What::UnderReplicated => with("UNDER_REPLICATED"),
        What::Lag => {
            let views = status.groups.iter().flat_map(|group| {
                let views = group.views.iter();
                views.map(move |view| (&group.name, view))
            });
            let lags = views.flat_map(|(name, view)| {
                let peers = view.progress.iter();
                peers.map(move |peer| (peer.lag_entries, peer.node_id, name))
            });
            match lags.max_by_key(|(lag, ..)| *lag) {
                Some((lag, node, name)) if lag > 0 => {
                    (lag, format!("node {node} lacks {lag} entries of {name}"))
                }
                _ => (0, "no replica lacks anything".to_owned()),
            }
        }
        What::Disk => {
            let disks = view.nodes.iter().filter_map(|row| {
                let disk = row.status.as_ref()?.disk.as_ref()?;
                Some((u64::from(disk.used_percent), row.node_id))
            });
            match disks.max() {
                Some((used, node)) => (used, format!("{used} % used on node {node}")),
                None => (0, "no node told of a disk".to_owned()),
            }
        }
    }
}

fn unknown(args: &Args, message: String) -> Check {
    let (warn, crit) = bounds(args);
    Check {
        what: args.what,
        status: Status::Unknown,
        figure: None,
        warn,
        crit,
        message,
    }
}

fn answer(cluster_id: &str, check: &Check) -> Answer {
    let mut answer = Answer::of("Check", cluster_id, check);
    let (tone, code) = match check.status {
        Status::Ok => (Tone::Good, 0),
        Status::Warning => (Tone::Warn, 1),
        Status::Critical => (Tone::Bad, 2),
        Status::Unknown => (Tone::Bad, 3),
    };
    let name = format!("{:?}", check.what).to_lowercase();
    let data = check.figure.map_or_else(String::new, |figure| {
        format!(" | {name}={figure};{};{}", check.warn, check.crit)
    });
    let line = format!("CHRONIK {} - {}{data}", check.status, check.message);
    answer.headlines.push((tone, line));
    answer.verdict = Verdict::Monitor(code);
    answer
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Status::Ok => "OK",
            Status::Warning => "WARNING",
            Status::Critical => "CRITICAL",
            Status::Unknown => "UNKNOWN",
        })
    }
}
