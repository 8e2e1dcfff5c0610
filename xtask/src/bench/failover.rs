//! How long writes stop when a leader is lost: three nodes, default producers, one fault after the other.

mod load;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chronik_local::{ChronikOptions, Cluster, KafkaOptions, foreign, kafka, wait};
use clap::{Args, ValueEnum};

use self::load::{Client, Load};
use crate::error::XtaskError;
use crate::{Outcome, output, step};

const NODES: usize = 3;
const TOPIC: &str = "failover";
const PARTITIONS: usize = 6;
/// Until all replicas are in sync again after a fault: a JVM starts, and followers catch up.
const HEAL_BOUND: Duration = Duration::from_secs(180);

#[derive(Args)]
pub(crate) struct Options {
    /// How often each fault is made with each client
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// The brokers to measure
    #[arg(long, value_enum, default_values_t = [Kind::Kafka, Kind::Chronik])]
    target: Vec<Kind>,
    /// The faults to make
    #[arg(long, value_enum, default_values_t = [Fault::Kill, Fault::Pause])]
    fault: Vec<Fault>,
    /// The clients to load with
    #[arg(long, value_enum, default_values_t = [Client::Librdkafka, Client::Java])]
    client: Vec<Client>,
    /// A server to measure instead of this checkout's
    #[arg(long)]
    server: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Kafka,
    Chronik,
}

/// What happens to the leader of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Fault {
    /// SIGKILL
    Kill,
    /// SIGSTOP
    Pause,
}

/// The longest pause of any partition, in each round.
struct Row {
    kind: Kind,
    client: Client,
    fault: Fault,
    gaps_ms: Vec<f64>,
    /// Until the other nodes told a new leader of every partition, in each round.
    leaders_ms: Vec<f64>,
    failed: u64,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let server = match &options.server {
        Some(server) => server.clone(),
        None if options.target.contains(&Kind::Chronik) => step::release_server()?,
        None => PathBuf::new(),
    };
    let mut rows = Vec::new();
    for kind in &options.target {
        rows.extend(measure(*kind, &server, options)?);
    }
    output::heading("longest pause of a partition's acknowledgements, in milliseconds");
    output::line(
        "broker        client      fault  rounds     min   median      max  failed records  leaders: median      max",
    );
    for row in &rows {
        output::line(&row.to_string());
    }
    conclude(&rows)
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Kafka => "Apache Kafka",
            Self::Chronik => "Chronik",
        }
    }
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
        }
    }

    /// The longest pause that Chronik may need in any round.
    fn bound_ms(self) -> f64 {
        match self {
            Self::Kill => 1_000.0,
            Self::Pause => 3_000.0,
        }
    }

    fn make(self, cluster: &mut Cluster, node: usize) -> Outcome {
        match self {
            Self::Kill => cluster.node_mut(node).kill()?,
            Self::Pause => cluster.node(node).pause()?,
        }
        Ok(())
    }

    fn heal(self, cluster: &mut Cluster, node: usize) -> Outcome {
        match self {
            Self::Kill => cluster.node_mut(node).begin()?,
            Self::Pause => cluster.node(node).resume()?,
        }
        Ok(())
    }
}

fn measure(kind: Kind, server: &Path, options: &Options) -> Result<Vec<Row>, XtaskError> {
    let work_dir = step::work_dir("bench")?;
    let dir =
        tempfile::tempdir_in(&work_dir).map_err(XtaskError::file("make a folder in", &work_dir))?;
    let mut cluster = match kind {
        Kind::Kafka => KafkaOptions::new(dir.path()).cluster(NODES)?,
        Kind::Chronik => ChronikOptions::new(server, dir.path()).cluster(NODES)?,
    };
    output::heading(&format!("{}: {NODES} nodes", kind.name()));
    cluster.start()?;
    create_topic(dir.path(), &cluster.bootstrap())?;
    let mut rows = Vec::new();
    for client in &options.client {
        for fault in &options.fault {
            let mut row = Row {
                kind,
                client: *client,
                fault: *fault,
                gaps_ms: Vec::new(),
                leaders_ms: Vec::new(),
                failed: 0,
            };
            for _ in 0..options.rounds {
                round(&mut cluster, &mut row)?;
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

fn round(cluster: &mut Cluster, row: &mut Row) -> Outcome {
    await_in_sync(cluster)?;
    let mut load = Load::start(row.client, &cluster.bootstrap(), TOPIC, PARTITIONS)?;
    load.await_word("steady")?;
    let all = cluster.ids();
    let leader = cluster.await_leader(all[0], TOPIC, 0, &all)?;
    load.say("fault")?;
    let begin = Instant::now();
    row.fault.make(cluster, leader)?;
    await_other_leaders(cluster, leader)?;
    let leaders_ms = begin.elapsed().as_secs_f64() * 1e3;
    let recovered = load.await_word("recovered");
    row.fault.heal(cluster, leader)?;
    recovered?;
    let outcome = load.finish()?;
    output::line(&format!(
        "{}, {}, {}: node {leader} lost, others lead after {leaders_ms:.0} ms, longest pause {:.0} ms, {} records failed",
        row.kind.name(),
        row.client.name(),
        row.fault.name(),
        outcome.longest_gap_ms,
        outcome.failed
    ));
    row.gaps_ms.push(outcome.longest_gap_ms);
    row.leaders_ms.push(leaders_ms);
    row.failed += outcome.failed;
    Ok(())
}

/// All nodes agree that every partition is led and all of its replicas are in sync.
fn await_in_sync(cluster: &Cluster) -> Outcome {
    wait::until("all replicas in sync", HEAL_BOUND, || {
        let is_whole = cluster.ids().into_iter().all(|id| {
            cluster.metadata(id, Some(&[TOPIC])).is_some_and(|found| {
                let partitions = found.partitions(TOPIC);
                partitions.len() == PARTITIONS
                    && partitions
                        .iter()
                        .all(|known| known.leader.is_some() && known.in_sync.len() == NODES)
            })
        });
        is_whole.then_some(())
    })
    .map_err(|late| XtaskError::Refused(late.to_string()))
}

/// Every node but the lost one tells leaders of all partitions that are not the lost one.
fn await_other_leaders(cluster: &Cluster, lost: usize) -> Outcome {
    let others: Vec<usize> = cluster.ids().into_iter().filter(|id| *id != lost).collect();
    let is_other = |leader: Option<i32>| {
        leader.is_some_and(|leader| others.contains(&usize::try_from(leader).unwrap_or(0)))
    };
    wait::until("other leaders", HEAL_BOUND, || {
        let is_led = others.iter().all(|id| {
            cluster.metadata(*id, Some(&[TOPIC])).is_some_and(|found| {
                let mut partitions = found.partitions(TOPIC).iter();
                partitions.all(|known| is_other(known.leader))
            })
        });
        is_led.then_some(())
    })
    .map_err(|late| XtaskError::Refused(late.to_string()))
}

fn create_topic(dir: &Path, bootstrap: &str) -> Outcome {
    let mut tool = kafka::tool(dir, "org.apache.kafka.tools.TopicCommand")?;
    tool.args([
        "--bootstrap-server",
        bootstrap,
        "--create",
        "--topic",
        TOPIC,
    ])
    .args(["--replication-factor", &NODES.to_string()])
    .args(["--partitions", &PARTITIONS.to_string()]);
    foreign::run("kafka-topics --create", &mut tool)?;
    Ok(())
}

impl std::fmt::Display for Row {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [least, median, most] = spread(&self.gaps_ms);
        let [_, leaders_median, leaders_most] = spread(&self.leaders_ms);
        write!(
            formatter,
            "{:<13} {:<11} {:<6} {:>6} {least:>7.0}  {median:>7.0}  {most:>7.0}  {:>14} {leaders_median:>16.0} {leaders_most:>8.0}",
            self.kind.name(),
            self.client.name(),
            self.fault.name(),
            self.gaps_ms.len(),
            self.failed,
        )
    }
}

/// The least, the median and the most.
fn spread(figures: &[f64]) -> [f64; 3] {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |position: usize| sorted.get(position).copied().unwrap_or(f64::NAN);
    [
        at(0),
        at(sorted.len() / 2),
        at(sorted.len().saturating_sub(1)),
    ]
}

fn conclude(rows: &[Row]) -> Outcome {
    let missed = rows.iter().filter(|row| {
        let bound_ms = row.fault.bound_ms();
        row.kind == Kind::Chronik && row.gaps_ms.iter().any(|gap_ms| *gap_ms > bound_ms)
    });
    match missed.count() {
        0 => Ok(()),
        missed => Err(XtaskError::Refused(format!(
            "{missed} rows exceed what Chronik may need: 1 s after a kill, 3 s after a pause"
        ))),
    }
}
