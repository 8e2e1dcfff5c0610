//! `chronikctl check`: one line and one of four exit codes, as monitoring systems want them.

use std::fmt;

use chronik_admin::client::Client;
use chronik_admin::v1::{
    ClockRequest, Clocks, ClusterView, GroupLagRequest, RaftGroup, RaftStatus,
};
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;

use super::raft::status;
use super::{Said, node};
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Tone, print};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is looked at
    what: What,
    /// A warning from this figure on; by default any, for disk 80, groups 1000, clock 500
    #[arg(long, value_name = "FIGURE")]
    warn: Option<u64>,
    /// Critical from this figure on; by default any, for disk 90, lag and groups 10000, clock 1000
    #[arg(long, value_name = "FIGURE")]
    crit: Option<u64>,
    /// For which system
    #[arg(
        short,
        long,
        value_name = "SYSTEM",
        default_value = "nagios",
        hide_possible_values = true,
        help = "For which system: nagios (a line), prometheus (for its text collector) or json"
    )]
    format: Monitor,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// Groups with any problem
    Raft,
    /// Partitions that nobody leads, or with a replica that does not keep up
    Partitions,
    /// Records that the consumer group has not read that lacks most
    Groups,
    /// Percent of the fullest disk
    Disk,
    /// Milliseconds between the two clocks that are farthest apart
    Clock,
    /// Members that do not answer
    Nodes,
    /// Groups that nobody leads
    Leaderless,
    /// Groups with a replica that does not keep up
    UnderReplicated,
    /// Entries that the slowest replica lacks
    Lag,
}

/// Who reads the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Monitor {
    Nagios,
    Prometheus,
    Json,
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

/// What a figure is made of: each is asked for only if it is needed.
struct Heard {
    cluster_id: String,
    figure: u64,
    message: String,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Said, Failure> {
    let check = look(session, args).await;
    let mut answer = answer(&check.0, &check.1);
    match args.format {
        Monitor::Nagios => Ok(answer.into()),
        Monitor::Prometheus => {
            answer.headlines = exposition(&check.1);
            Ok(answer.into())
        }
        Monitor::Json => {
            // Whoever reads no further has read enough.
            _ = print(&answer.json());
            Ok(Said::Printed(answer.verdict))
        }
    }
}

/// Nobody to ask is an answer here: the fourth exit code.
async fn look(session: &Session, args: &Args) -> (String, Check) {
    let (warn, crit) = bounds(args);
    if warn > crit {
        let message = format!("--warn {warn} is above --crit {crit}");
        return (String::new(), unknown(args, message));
    }
    let heard = match ask(session, args.what).await {
        Ok(heard) => heard,
        Err(failure) => return (String::new(), unknown(args, failure.error.message)),
    };
    let status = match heard.figure {
        figure if figure >= crit => Status::Critical,
        figure if figure >= warn => Status::Warning,
        _ => Status::Ok,
    };
    let check = Check {
        what: args.what,
        status,
        figure: Some(heard.figure),
        warn,
        crit,
        message: heard.message,
    };
    (heard.cluster_id, check)
}

fn bounds(args: &Args) -> (u64, u64) {
    let (warn, crit) = match args.what {
        What::Disk => (80, 90),
        What::Lag => (1, 10_000),
        What::Groups => (1_000, 10_000),
        What::Clock => (500, 1_000),
        What::Raft | What::Partitions | What::Nodes | What::Leaderless | What::UnderReplicated => {
            (1, 1)
        }
    };
    let crit = args.crit.unwrap_or(crit.max(args.warn.unwrap_or(0)));
    (args.warn.unwrap_or(warn.min(crit)), crit)
}

async fn ask(session: &Session, what: What) -> Result<Heard, Failure> {
    match what {
        What::Nodes | What::Disk => {
            let (_, view) = node::view(session).await?;
            let (figure, message) = match what {
                What::Nodes => silent(&view),
                _ => fullest(&view),
            };
            Ok(Heard {
                cluster_id: view.cluster_id,
                figure,
                message,
            })
        }
        What::Clock => about_clocks(session).await,
        What::Groups => about_consumers(session).await,
        _ => {
            let (_, status) = status::ask(session, "", what_all(what)).await?;
            session.check_cluster(&status.cluster_id)?;
            let (figure, message) = about_groups(what, &status);
            Ok(Heard {
                cluster_id: status.cluster_id,
                figure,
                message,
            })
        }
    }
}

/// Lag is looked for in healthy groups, too.
fn what_all(what: What) -> bool {
    matches!(what, What::Lag)
}

async fn about_clocks(session: &Session) -> Result<Heard, Failure> {
    let question = |client: Client| async move {
        let mut node = client.node();
        client.bounded(node.clock(ClockRequest {})).await
    };
    let (_, clocks) = session.ask(question).await?;
    session.check_cluster(&clocks.cluster_id)?;
    let (figure, message) = apart(&clocks);
    Ok(Heard {
        cluster_id: clocks.cluster_id,
        figure,
        message,
    })
}

async fn about_consumers(session: &Session) -> Result<Heard, Failure> {
    let question = |client: Client| async move {
        let mut groups = client.groups();
        client.bounded(groups.lag(GroupLagRequest::default())).await
    };
    let (_, lags) = session.ask(question).await?;
    session.check_cluster(&lags.cluster_id)?;
    let (figure, message) = match lags.groups.iter().max_by_key(|group| group.lag) {
        Some(worst) if worst.lag > 0 => (
            worst.lag,
            format!("group {} lacks {} records", worst.group, worst.lag),
        ),
        _ => (0, "no consumer group lacks anything".to_owned()),
    };
    Ok(Heard {
        cluster_id: lags.cluster_id,
        figure,
        message,
    })
}

/// The two clocks that are farthest apart, as far as that is certain.
pub(crate) fn apart(clocks: &Clocks) -> (u64, String) {
    let known = clocks.nodes.iter().filter_map(|clock| {
        let doubt = i64::try_from(clock.uncertain_ms?).unwrap_or(i64::MAX);
        Some((clock.node_id, clock.ahead_ms?, doubt))
    });
    let known: Vec<(u64, i64, i64)> = known.collect();
    let pairs = known.iter().flat_map(|one| {
        known.iter().map(move |other| {
            let distance = other.1 - one.1 - one.2 - other.2;
            (distance, one.0, other.0)
        })
    });
    match pairs.max() {
        Some((distance, behind, ahead)) if distance > 0 => (
            distance.unsigned_abs(),
            format!("the clock of node {ahead} is {distance} ms ahead of that of node {behind}"),
        ),
        _ => (0, "the clocks agree".to_owned()),
    }
}

fn silent(view: &ClusterView) -> (u64, String) {
    let silent = view.nodes.iter().filter(|row| !row.reachable).count();
    let total = view.nodes.len();
    let message = format!("{silent} of {total} nodes do not answer");
    (silent as u64, message)
}

fn fullest(view: &ClusterView) -> (u64, String) {
    let disks = view.nodes.iter().filter_map(|row| {
        let disk = row.status.as_ref()?.disk.as_ref()?;
        Some((u64::from(disk.used_percent), row.node_id))
    });
    match disks.max() {
        Some((used, node)) => (used, format!("{used} % used on node {node}")),
        None => (0, "no node told of a disk".to_owned()),
    }
}

fn about_groups(what: What, status: &RaftStatus) -> (u64, String) {
    let total = status.total_groups;
    let count = |is_it: &dyn Fn(&RaftGroup) -> bool| {
        status.groups.iter().filter(|group| is_it(group)).count() as u64
    };
    let has = |group: &RaftGroup, problem: &str| group.problems.iter().any(|it| it == problem);
    match what {
        What::Raft => {
            let count = count(&|group| !group.problems.is_empty());
            (count, format!("{count} of {total} groups have a problem"))
        }
        What::Partitions => {
            let is_it = |group: &RaftGroup| {
                let is_hurt = has(group, "LEADERLESS") || has(group, "UNDER_REPLICATED");
                is_hurt && group.name != "meta"
            };
            let (count, total) = (count(&is_it), total.saturating_sub(1));
            let message =
                format!("{count} of {total} partitions are leaderless or under-replicated");
            (count, message)
        }
        What::Lag => worst_lag(status),
        What::Leaderless => {
            let count = count(&|group| has(group, "LEADERLESS"));
            (count, format!("{count} of {total} groups leaderless"))
        }
        _ => {
            let count = count(&|group| has(group, "UNDER_REPLICATED"));
            (count, format!("{count} of {total} groups under-replicated"))
        }
    }
}

fn worst_lag(status: &RaftStatus) -> (u64, String) {
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

/// The same for Prometheus: the figure, and the status as its exit code.
fn exposition(check: &Check) -> Vec<(Tone, String)> {
    let name = check.what.word();
    let figure = format!("chronik_check_{}", name.replace('-', "_"));
    let mut lines = vec![
        format!("# HELP chronik_check_status 0 ok, 1 warning, 2 critical, 3 unknown"),
        "# TYPE chronik_check_status gauge".to_owned(),
        format!(
            "chronik_check_status{{check=\"{name}\"}} {}",
            check.status.code()
        ),
    ];
    if let Some(value) = check.figure {
        lines.push(format!("# HELP {figure} {}", check.message));
        lines.push(format!("# TYPE {figure} gauge"));
        lines.push(format!("{figure} {value}"));
    }
    lines.into_iter().map(|line| (Tone::Plain, line)).collect()
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
    let tone = match check.status {
        Status::Ok => Tone::Good,
        Status::Warning => Tone::Warn,
        Status::Critical | Status::Unknown => Tone::Bad,
    };
    let name = check.what.word();
    let data = check.figure.map_or_else(String::new, |figure| {
        format!(" | {name}={figure};{};{}", check.warn, check.crit)
    });
    let line = format!("CHRONIK {} - {}{data}", check.status, check.message);
    answer.headlines.push((tone, line));
    answer.verdict = Verdict::Monitor(check.status.code());
    answer
}

impl What {
    /// As it is typed.
    fn word(self) -> String {
        let value = self.to_possible_value().expect("none is hidden");
        value.get_name().to_owned()
    }
}

impl Status {
    fn code(self) -> u8 {
        match self {
            Status::Ok => 0,
            Status::Warning => 1,
            Status::Critical => 2,
            Status::Unknown => 3,
        }
    }
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

#[cfg(test)]
mod tests {
    use chronik_admin::v1::NodeClock;

    use super::*;

    #[test]
    fn clocks_are_apart_only_beyond_doubt() {
        let clock = |node_id, ahead_ms, uncertain_ms| NodeClock {
            node_id,
            ahead_ms: Some(ahead_ms),
            uncertain_ms: Some(uncertain_ms),
            ..NodeClock::default()
        };
        let clocks = |nodes| Clocks {
            nodes,
            ..Clocks::default()
        };
        let silent = NodeClock {
            node_id: 3,
            ..NodeClock::default()
        };
        let apart = apart(&clocks(vec![clock(1, 0, 0), clock(2, -700, 20), silent]));
        let told = "the clock of node 1 is 680 ms ahead of that of node 2";
        assert_eq!(apart, (680, told.to_owned()));
        let near = super::apart(&clocks(vec![clock(1, 0, 0), clock(2, 15, 20)]));
        assert_eq!(near.0, 0);
    }
}
