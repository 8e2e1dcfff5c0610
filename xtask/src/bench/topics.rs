//! How long topics take to be created on three nodes, and what many groups cost that nobody uses.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chronik_local::{ChronikOptions, Cluster, probe};
use clap::Args;

use super::cell::median;
use crate::error::XtaskError;
use crate::{Outcome, output, step};

const NODES: usize = 3;
const REPLICAS: i16 = 3;
const FEW_BOUND: Duration = Duration::from_millis(50);
const MANY_BOUND: Duration = Duration::from_millis(500);
/// Of one core, on each node.
const IDLE_BOUND: f64 = 0.05;

#[derive(Args)]
pub(crate) struct Options {
    /// Topics of 3 partitions, created one after the other
    #[arg(long, default_value_t = 100)]
    topics: usize,
    /// Partitions of one topic, created in one request
    #[arg(long, default_value_t = 1500)]
    partitions: i32,
    /// How long the idle groups are watched, in seconds
    #[arg(long, default_value_t = 20)]
    idle_s: u64,
    /// A server to measure instead of this checkout's
    #[arg(long)]
    server: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let server = step::server(options.server.as_deref())?;
    let mut missed = many(options, &server)?;
    missed.extend(few(options, &server)?);
    match missed.is_empty() {
        true => Ok(()),
        false => Err(XtaskError::Refused(missed.join("; "))),
    }
}

/// One request for many partitions, and what they cost afterwards.
fn many(options: &Options, server: &PathBuf) -> Result<Vec<String>, XtaskError> {
    let (cluster, _dir) = start(server)?;
    let count = options.partitions;
    output::heading(&format!("{count} partitions in one request"));
    let took = create(&cluster, 1, "many", count)?;
    output::line(&format!("until every partition has a leader: {took:?}"));
    let mut missed = Vec::new();
    if took > MANY_BOUND {
        missed.push(format!(
            "{count} partitions took {took:?}, not {MANY_BOUND:?}"
        ));
    }
    // What creation left behind, checkpoints and pre-written segments, is not the groups' cost.
    std::thread::sleep(Duration::from_secs(options.idle_s));
    let before = samples(&cluster)?;
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(options.idle_s));
    let seconds = begun.elapsed().as_secs_f64();
    for (node, (before, after)) in before.iter().zip(samples(&cluster)?).enumerate() {
        let share = (after.0 - before.0) / seconds;
        output::line(&format!(
            "node {}: {:.1} % of a core, {} MiB resident",
            node + 1,
            share * 100.0,
            after.1 >> 20
        ));
        if share > IDLE_BOUND {
            missed.push(format!(
                "{count} idle groups cost {:.1} % of a core on node {}",
                share * 100.0,
                node + 1
            ));
        }
    }
    Ok(missed)
}

/// Many requests for few partitions.
fn few(options: &Options, server: &PathBuf) -> Result<Vec<String>, XtaskError> {
    let (cluster, _dir) = start(server)?;
    output::heading(&format!("{} topics of 3 partitions", options.topics));
    // The first one finds connections and files that are cold.
    create(&cluster, 1, "warm-up", 3)?;
    let mut took = Vec::with_capacity(options.topics);
    for number in 0..options.topics {
        let asked = number % NODES + 1;
        took.push(create(&cluster, asked, &format!("few-{number}"), 3)?);
    }
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    let middle = median(took.iter().map(Duration::as_secs_f64));
    output::line(&format!(
        "p50 {:.1} ms, p99 {:?}, max {:?}",
        middle * 1000.0,
        at(0.99),
        at(1.0)
    ));
    Ok(match at(0.99) > FEW_BOUND {
        true => vec![format!(
            "3 partitions took {:?} at p99, not {FEW_BOUND:?}",
            at(0.99)
        )],
        false => Vec::new(),
    })
}

fn start(server: &PathBuf) -> Result<(Cluster, tempfile::TempDir), XtaskError> {
    let dir = step::temp_dir("bench")?;
    let mut cluster = ChronikOptions::new(server, dir.path()).cluster(NODES)?;
    cluster.start()?;
    Ok((cluster, dir))
}

fn create(
    cluster: &Cluster,
    asked: usize,
    topic: &str,
    partitions: i32,
) -> Result<Duration, XtaskError> {
    let address = cluster.node(asked).kafka_address();
    let begun = Instant::now();
    match probe::create_topic(address, topic, partitions, REPLICAS) {
        Ok(0) => Ok(begun.elapsed()),
        Ok(error) => Err(XtaskError::Refused(format!(
            "creating {topic} was refused with error {error}"
        ))),
        Err(error) => Err(XtaskError::Refused(format!(
            "creating {topic} was not answered: {error}"
        ))),
    }
}

/// CPU seconds and resident bytes of each node.
fn samples(cluster: &Cluster) -> Result<Vec<(f64, u64)>, XtaskError> {
    let ids = cluster.ids().into_iter();
    let sample = |id: usize| {
        let sample = cluster.node(id).sample()?;
        Ok((sample.cpu_seconds, sample.resident_bytes))
    };
    ids.map(sample).collect()
}
