//! Three nodes that start at once: until every one of them is ready and takes a topic, in every order.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chronik_local::{ChronikOptions, Cluster, probe};
use clap::Args;

use super::cell::median;
use crate::error::XtaskError;
use crate::{Outcome, output, step};

const ORDERS: [[usize; 3]; 6] = [
    [1, 2, 3],
    [1, 3, 2],
    [2, 1, 3],
    [2, 3, 1],
    [3, 1, 2],
    [3, 2, 1],
];
const BOUND: Duration = Duration::from_secs(5);
const PARTITIONS: i32 = 3;
/// Those of the topic, and the metadata group.
const GROUPS: u64 = 4;

#[derive(Args)]
pub(crate) struct Options {
    /// How often the nodes start on empty data; each time they start once more with what they have then
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// A server to measure instead of this checkout's
    #[arg(long)]
    server: Option<PathBuf>,
}

/// What the starts of one kind took, and how many elections they needed.
#[derive(Default)]
struct Starts {
    seconds: Vec<f64>,
    elections: Vec<u64>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let server = step::server(options.server.as_deref())?;
    let (mut cold, mut warm) = (Starts::default(), Starts::default());
    for round in 0..options.rounds {
        let order = ORDERS[round % ORDERS.len()];
        one_round(&server, order, &mut cold, &mut warm)?;
    }
    output::heading(
        "until every node is ready and a topic was created on the last one, in seconds",
    );
    output::line("data     starts     min   median     max  elections: fewest  most, of 4 groups");
    output::line(&cold.row("empty"));
    output::line(&warm.row("kept"));
    let is_late = |seconds: &f64| *seconds > BOUND.as_secs_f64();
    let late = cold
        .seconds
        .iter()
        .chain(&warm.seconds)
        .filter(|s| is_late(s));
    let late = late.count();
    let raced = cold.elections.iter().chain(&warm.elections);
    let raced = raced.filter(|elections| **elections > GROUPS).count();
    match (late, raced) {
        (0, 0) => Ok(()),
        _ => Err(XtaskError::Refused(format!(
            "{late} starts took more than {BOUND:?}, {raced} needed more than one election for a group"
        ))),
    }
}

fn one_round(server: &Path, order: [usize; 3], cold: &mut Starts, warm: &mut Starts) -> Outcome {
    let dir = step::temp_dir("bench")?;
    let mut cluster = ChronikOptions::new(server, dir.path()).cluster(order.len())?;
    cold.note(&mut cluster, order, "first")?;
    for id in order {
        cluster.node_mut(id).kill()?;
    }
    warm.note(&mut cluster, order, "second")
}

impl Starts {
    fn note(&mut self, cluster: &mut Cluster, order: [usize; 3], topic: &str) -> Outcome {
        let begun = Instant::now();
        cluster.spawn(&order)?;
        cluster.await_ready(&order)?;
        let started = elections(cluster)?;
        let address = cluster.node(order[2]).kafka_address();
        let created = probe::create_topic(address, topic, PARTITIONS, 3);
        if !matches!(created, Ok(0)) {
            return Err(XtaskError::Refused(format!(
                "a node that is ready does not create a topic: {created:?}"
            )));
        }
        self.seconds.push(begun.elapsed().as_secs_f64());
        // A new cluster has its topic's elections yet to come, an old one has had them.
        self.elections.push(match topic {
            "first" => elections(cluster)?,
            _ => started,
        });
        Ok(())
    }

    fn row(&self, name: &str) -> String {
        let seconds = self.seconds.iter().copied();
        let least = seconds.clone().fold(f64::INFINITY, f64::min);
        let most = seconds.clone().fold(0.0, f64::max);
        format!(
            "{name:<8} {:>6} {least:>7.2} {:>8.2} {most:>7.2} {:>17} {:>5}",
            self.seconds.len(),
            median(seconds),
            self.elections.iter().min().copied().unwrap_or(0),
            self.elections.iter().max().copied().unwrap_or(0),
        )
    }
}

/// How often some node became the leader of a group.
fn elections(cluster: &Cluster) -> Result<u64, XtaskError> {
    const METRIC: &str = "chronik_raft_election_count ";
    let count = |id: usize| {
        let page = probe::http_ok(cluster.node(id).admin_address()?, "/metrics")?;
        let line = page.lines().find_map(|line| line.strip_prefix(METRIC))?;
        line.trim().parse::<u64>().ok()
    };
    let counts: Option<Vec<u64>> = cluster.ids().into_iter().map(count).collect();
    let unreadable = || XtaskError::Unreadable {
        tool: "/metrics",
        text: METRIC.to_owned(),
    };
    counts
        .map(|counts| counts.iter().sum())
        .ok_or_else(unreadable)
}
