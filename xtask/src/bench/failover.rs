//! How long writes stop when a leader is lost: three nodes, default producers, one fault after the other.

mod hosts;
mod load;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chronik_local::contender::Kind;
use chronik_local::{ChronikOptions, Cluster, KafkaOptions, Store, foreign, kafka, wait};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use self::hosts::Hosts;
use self::load::{Client, Load};
use super::store;
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
    #[arg(long, default_values_t = [Kind::Kafka, Kind::Chronik])]
    target: Vec<Kind>,
    /// The faults to make; `isolate` and `cut` need root
    #[arg(long, value_enum, default_values_t = [Fault::Kill, Fault::Pause, Fault::Isolate, Fault::Cut])]
    fault: Vec<Fault>,
    /// The clients to load with
    #[arg(long, value_enum, default_values_t = [Client::Librdkafka, Client::Java])]
    client: Vec<Client>,
    /// Keep the rounds that were measured at this commit and measure what is missing
    #[arg(long)]
    resume: bool,
    /// A server to measure instead of this checkout's
    #[arg(long)]
    server: Option<PathBuf>,
}

/// What happens to the leader of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    /// SIGKILL
    Kill,
    /// SIGSTOP
    Pause,
    /// No packet between it and the other nodes, while clients reach all of them
    Isolate,
    /// No packet to it or from it
    Cut,
}

/// One round, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Round {
    commit: String,
    kind: Kind,
    client: Client,
    fault: Fault,
    /// The longest pause of any partition.
    gap_ms: f64,
    /// Until the other nodes told a new leader of every partition.
    leaders_ms: f64,
    failed: u64,
}

/// What is to be measured, and what of it there is already.
struct Work<'a> {
    options: &'a Options,
    store: &'a Store,
    server: PathBuf,
}

/// A running cluster and what it stands on.
struct Stage {
    cluster: Cluster,
    hosts: Option<Hosts>,
    _dir: TempDir,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let store = store::open("failover", options.resume)?;
    let server = match options.target.contains(&Kind::Chronik) {
        true => step::server(options.server.as_deref())?,
        false => PathBuf::new(),
    };
    let work = Work {
        options,
        store: &store,
        server,
    };
    let mut rounds = Vec::new();
    for kind in &options.target {
        let (cuts, local): (Vec<Fault>, Vec<Fault>) = options
            .fault
            .iter()
            .partition(|fault| matches!(fault, Fault::Isolate | Fault::Cut));
        rounds.extend(work.measure(*kind, &local, None)?);
        if !cuts.is_empty() {
            rounds.extend(work.measure_apart(*kind, &cuts)?);
        }
    }
    print(options, &rounds);
    conclude(&rounds)
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Isolate => "isolate",
            Self::Cut => "cut",
        }
    }

    /// The longest pause that Chronik may need in any round.
    fn bound_ms(self) -> f64 {
        match self {
            Self::Kill => 1_000.0,
            Self::Pause | Self::Isolate | Self::Cut => 3_000.0,
        }
    }

    fn make(self, stage: &mut Stage, node: usize) -> Outcome {
        match self {
            Self::Kill => stage.cluster.node_mut(node).kill()?,
            Self::Pause => stage.cluster.node(node).pause()?,
            Self::Isolate => stage.hosts().isolate(node)?,
            Self::Cut => stage.hosts().cut(node)?,
        }
        Ok(())
    }

    fn heal(self, stage: &mut Stage, node: usize) -> Outcome {
        match self {
            Self::Kill => stage.cluster.node_mut(node).begin()?,
            Self::Pause => stage.cluster.node(node).resume()?,
            Self::Isolate => stage.hosts().reunite(node)?,
            Self::Cut => stage.hosts().join(node)?,
        }
        Ok(())
    }
}

impl Stage {
    fn hosts(&mut self) -> &mut Hosts {
        self.hosts
            .as_mut()
            .expect("cuts are made where nodes have hosts of their own")
    }
}

impl Work<'_> {
    /// On a thread of its own, which moves to the clients' host and takes the drivers with it.
    fn measure_apart(&self, kind: Kind, faults: &[Fault]) -> Result<Vec<Round>, XtaskError> {
        std::thread::scope(|scope| {
            let apart = scope.spawn(|| {
                let hosts = Hosts::make(NODES)?;
                hosts.enter()?;
                self.measure(kind, faults, Some(hosts))
            });
            apart
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn measure(
        &self,
        kind: Kind,
        faults: &[Fault],
        mut hosts: Option<Hosts>,
    ) -> Result<Vec<Round>, XtaskError> {
        let mut rounds = Vec::new();
        let mut stage = None;
        for client in &self.options.client {
            for fault in faults {
                for number in 0..self.options.rounds {
                    let name = round_name(kind, *client, *fault, number);
                    if let Some(stored) = self.store.read(&name)? {
                        rounds.push(stored);
                        continue;
                    }
                    let stage = match &mut stage {
                        Some(stage) => stage,
                        none => none.insert(self.begin(kind, hosts.take())?),
                    };
                    let round = self.round(stage, kind, *client, *fault)?;
                    output::line(&round.line());
                    self.store.write(&name, &round)?;
                    rounds.push(round);
                }
            }
        }
        Ok(rounds)
    }

    fn begin(&self, kind: Kind, hosts: Option<Hosts>) -> Result<Stage, XtaskError> {
        let work_dir = step::work_dir("bench")?;
        let dir = tempfile::tempdir_in(&work_dir)
            .map_err(XtaskError::file("make a folder in", &work_dir))?;
        let kafka = || KafkaOptions::new(dir.path());
        let chronik = || ChronikOptions::new(&self.server, dir.path());
        let mut cluster = match (kind, &hosts) {
            (Kind::Kafka, None) => kafka().cluster(NODES)?,
            (Kind::Kafka, Some(hosts)) => kafka().cluster_on(hosts.nodes())?,
            (Kind::Chronik, None) => chronik().cluster(NODES)?,
            (Kind::Chronik, Some(hosts)) => chronik().cluster_on(hosts.nodes())?,
        };
        output::heading(&format!("{}: {NODES} nodes", kind.name()));
        cluster.start()?;
        create_topic(dir.path(), &cluster.bootstrap())?;
        Ok(Stage {
            cluster,
            hosts,
            _dir: dir,
        })
    }

    fn round(
        &self,
        stage: &mut Stage,
        kind: Kind,
        client: Client,
        fault: Fault,
    ) -> Result<Round, XtaskError> {
        await_in_sync(&stage.cluster)?;
        let mut load = Load::start(client, &stage.cluster.bootstrap(), TOPIC, PARTITIONS)?;
        load.await_word("steady")?;
        let all = stage.cluster.ids();
        let leader = stage.cluster.await_leader(all[0], TOPIC, 0, &all)?;
        load.say("fault")?;
        let begin = Instant::now();
        fault.make(stage, leader)?;
        await_other_leaders(&stage.cluster, leader)?;
        let leaders_ms = begin.elapsed().as_secs_f64() * 1e3;
        let recovered = load.await_word("recovered");
        fault.heal(stage, leader)?;
        recovered?;
        let outcome = load.finish()?;
        Ok(Round {
            commit: self.store.commit().to_owned(),
            kind,
            client,
            fault,
            gap_ms: outcome.longest_gap_ms,
            leaders_ms,
            failed: outcome.failed,
        })
    }
}

impl Round {
    fn line(&self) -> String {
        format!(
            "{}, {}, {}: others lead after {:.0} ms, longest pause {:.0} ms, {} records failed",
            self.kind.name(),
            self.client.name(),
            self.fault.name(),
            self.leaders_ms,
            self.gap_ms,
            self.failed
        )
    }
}

fn round_name(kind: Kind, client: Client, fault: Fault, number: u32) -> String {
    format!("{kind}-{}-{}-round-{number}", client.name(), fault.name())
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

fn print(options: &Options, rounds: &[Round]) {
    output::heading("longest pause of a partition's acknowledgements, in milliseconds");
    output::line(
        "broker        client      fault   rounds     min   median      max  failed records  leaders: median      max",
    );
    for kind in &options.target {
        for client in &options.client {
            for fault in &options.fault {
                let is_it = |round: &&Round| {
                    (round.kind, round.client, round.fault) == (*kind, *client, *fault)
                };
                let found: Vec<&Round> = rounds.iter().filter(is_it).collect();
                output::line(&row(*kind, *client, *fault, &found));
            }
        }
    }
}

fn row(kind: Kind, client: Client, fault: Fault, rounds: &[&Round]) -> String {
    let [least, median, most] = spread(rounds.iter().map(|round| round.gap_ms));
    let [_, leaders_median, leaders_most] = spread(rounds.iter().map(|round| round.leaders_ms));
    let failed: u64 = rounds.iter().map(|round| round.failed).sum();
    format!(
        "{:<13} {:<11} {:<7} {:>6} {least:>7.0}  {median:>7.0}  {most:>7.0}  {failed:>14} {leaders_median:>16.0} {leaders_most:>8.0}",
        kind.name(),
        client.name(),
        fault.name(),
        rounds.len(),
    )
}

/// The least, the median and the most.
fn spread(figures: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |position: usize| sorted.get(position).copied().unwrap_or(f64::NAN);
    [
        at(0),
        at(sorted.len() / 2),
        at(sorted.len().saturating_sub(1)),
    ]
}

fn conclude(rounds: &[Round]) -> Outcome {
    let is_late =
        |round: &&Round| round.kind == Kind::Chronik && round.gap_ms > round.fault.bound_ms();
    match rounds.iter().filter(is_late).count() {
        0 => Ok(()),
        late => Err(XtaskError::Refused(format!(
            "{late} rounds exceed what Chronik may need: 1 s after a kill, 3 s after a pause or a cut"
        ))),
    }
}
