//! One run inside of its namespaces: build, load, break, heal, read everything, judge.

mod driver;
mod pulse;
mod topic;
mod until;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chronik_check::history::{Action, Invariant};
use chronik_local::log_police;
use serde::{Deserialize, Serialize};

use self::driver::Driver;
use self::pulse::Pulse;
use self::until::Until;
use crate::contain::enter::Shares;
use crate::history::{Journal, Recorder};
use crate::nemesis::{NemesisFault, World};
use crate::net::Network;
use crate::output::{self, Progress as Screen};
use crate::scenario::{Cluster, Fault, Scenario};
use crate::schedule::{self, Injection};
use crate::seed::Stream;
use crate::target::{Mutant, Outfit, Target, TargetFault, TargetKind, Whereabouts};
use crate::verdict::Facts;
use crate::workload::{
    Clients, GROUP, Load, Progress, TOPIC, cluster_view, read_finally, read_replicas, rest,
};

/// What a worker is told, as `plan.json` of the run's folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) scenario: Scenario,
    pub(crate) seed: u64,
    pub(crate) target: TargetKind,
    /// The faults of an earlier run, instead of the scenario's.
    pub(crate) schedule: Option<Vec<Injection>>,
    pub(crate) net: NetChoice,
    #[serde(default)]
    pub(crate) mutant: Option<Mutant>,
    /// Where producers of other libraries find their packages.
    #[serde(default)]
    pub(crate) python: Option<PathBuf>,
    /// Faults last until standard input says `heal` or ends, for people and programs that look at the cluster meanwhile.
    #[serde(default)]
    pub(crate) holds: bool,
    /// A run goes on to its end although a promise is broken already.
    #[serde(default)]
    pub(crate) keeps_going: bool,
    pub(crate) is_quiet: bool,
}

/// How hosts are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NetChoice {
    /// A host for each node where that is possible, else as `none`.
    Auto,
    /// A host for each node, with a switch of our own between them.
    Tap,
    /// All nodes on one host: no faults between hosts.
    None,
    /// All nodes on this machine's own network, where other programs reach them: no faults between hosts.
    Outside,
}

/// Why a run could not be made; it says nothing about the cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunFault {
    #[error("cannot {action} {path}")]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no hosts can be made here; `chronik-chaos doctor` says why")]
    Network(#[source] io::Error),
    #[error(transparent)]
    Target(#[from] TargetFault),
    #[error(transparent)]
    Nemesis(#[from] NemesisFault),
    #[error(transparent)]
    Schedule(#[from] schedule::NoSuchStep),
    #[error("a thread could not be started")]
    Thread(#[source] io::Error),
    #[error("the topic was not created within {0:?}: {1}")]
    Topic(Duration, String),
    #[error(
        "the cluster has a topic `{TOPIC}` already; this tool only reads and deletes what it made itself"
    )]
    Occupied,
    #[error("`{0}` cannot be read")]
    Plan(PathBuf, #[source] serde_json::Error),
}

const TICK: Duration = Duration::from_millis(10);
/// Load goes on for so long after everything is healed and acknowledged again.
const COOL_DOWN: Duration = Duration::from_secs(2);
/// Every replica has everything within this after the heal.
const REPLICAS_BOUND: Duration = Duration::from_secs(60);
/// Writers that were stopped in the middle of a batch end within their own bound; readers see the rest.
const DRAIN: Duration = Duration::from_millis(500);

impl Plan {
    pub(crate) fn shares(&self) -> Shares {
        match (&self.target, self.net) {
            (TargetKind::Attached(_), _) => Shares::Processes,
            (_, NetChoice::Outside) => Shares::Network,
            _ => Shares::Nothing,
        }
    }

    pub(crate) fn write(&self, run_dir: &Path) -> Result<(), RunFault> {
        let path = run_dir.join("plan.json");
        let text = serde_json::to_vec_pretty(self).expect("a plan is made of plain values");
        fs::write(&path, text).map_err(file("write", &path))
    }

    pub(crate) fn read(run_dir: &Path) -> Result<Plan, RunFault> {
        let path = run_dir.join("plan.json");
        let text = fs::read(&path).map_err(file("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| RunFault::Plan(path, source))
    }
}

/// Runs a plan to its end and leaves history, schedule and facts in its folder.
pub(crate) fn run(plan: &Plan, run_dir: &Path, screen: &Screen) -> Result<(), RunFault> {
    let mut stage = Stage::build(plan, run_dir)?;
    screen.say(&format!(
        "{} nodes of {} start",
        plan.scenario.cluster.nodes,
        plan.target.name()
    ));
    stage.start_nodes()?;
    stage.create_topic(plan)?;
    let history = run_dir.join("history.jsonl");
    let (recorder, journal) =
        Recorder::start(&history, run_number(plan.seed), plan.target.contract())
            .map_err(file("write", &history))?;
    let facts = stage.break_and_heal(plan, run_dir, journal, screen);
    recorder.finish().map_err(file("write", &history))?;
    let facts = facts?;
    facts
        .write(run_dir)
        .map_err(file("write", &run_dir.join("facts.json")))
}

/// Payloads name their run, so that an old record is never taken for a new one.
fn run_number(seed: u64) -> u64 {
    Stream::new(seed, "run").next()
}

struct Stage {
    world: World,
    partitions: u32,
    uses_group: bool,
    bootstrap: Arc<Vec<std::net::SocketAddr>>,
}

impl Stage {
    fn build(plan: &Plan, run_dir: &Path) -> Result<Stage, RunFault> {
        let scenario = &plan.scenario;
        let network = match plan.net {
            _ if plan.shares() == Shares::Processes => None,
            NetChoice::None | NetChoice::Outside => None,
            NetChoice::Tap => {
                Some(Network::build(scenario.cluster.nodes, plan.seed).map_err(RunFault::Network)?)
            }
            NetChoice::Auto => match Network::build(scenario.cluster.nodes, plan.seed) {
                Ok(network) => Some(network),
                Err(error) if scenario.faults().any(Fault::is_between_hosts) => {
                    return Err(RunFault::Network(error));
                }
                Err(_) => None,
            },
        };
        let place = match (&network, plan.net) {
            (Some(_), _) => Whereabouts::Hosts,
            (None, NetChoice::Outside) => Whereabouts::Outside,
            (None, _) => Whereabouts::OneHost,
        };
        let outfit = Outfit {
            has_disks: scenario.faults().any(Fault::needs_layers),
            has_clocks: scenario.faults().any(|fault| fault == Fault::Clock),
            mutant: plan.mutant,
        };
        let target = Target::prepare(
            plan.target.clone(),
            &scenario.cluster,
            run_dir,
            place,
            outfit,
        )?;
        let run_name = format!(
            "{:x}",
            plan.seed ^ u64::from(std::process::id()) << 40 ^ run_number(plan.seed) >> 24
        );
        Ok(Stage {
            partitions: scenario.cluster.partitions,
            uses_group: scenario.workload.group > 0,
            bootstrap: Arc::new(target.bootstrap()),
            world: World {
                target,
                network,
                undo: crate::contain::UndoLog::of(run_dir),
                run_name,
                chance: Stream::new(plan.seed, "nemesis"),
            },
        })
    }

    fn start_nodes(&mut self) -> Result<(), RunFault> {
        let network = self.world.network.as_ref();
        let bound = self.world.target.kind.serve_bound();
        for node in &mut self.world.target.nodes {
            node.start(network).map_err(TargetFault::from)?;
        }
        for node in &mut self.world.target.nodes {
            node.await_serving(network, bound)
                .map_err(TargetFault::from)?;
        }
        Ok(self.world.target.check_mutant()?)
    }

    fn nodes(&self) -> u32 {
        u32::try_from(self.bootstrap.len()).expect("a cluster has few nodes")
    }

    fn view(&self) -> Cluster {
        let group = self.uses_group.then_some(GROUP);
        cluster_view(&self.bootstrap, self.partitions, group)
    }

    /// Runs something on the clients' host.
    fn at_clients<T: Send>(&self, work: impl FnOnce(&Stage) -> T + Send) -> T {
        self.world.at_clients(|_| work(self))
    }

    fn break_and_heal(
        &mut self,
        plan: &Plan,
        run_dir: &Path,
        journal: Journal,
        screen: &Screen,
    ) -> Result<Facts, RunFault> {
        let scenario = &plan.scenario;
        let progress = Arc::new(Progress::new(self.partitions));
        let clients = Clients {
            journal: journal.clone(),
            bootstrap: Arc::clone(&self.bootstrap),
            contract: plan.target.contract(),
            run: run_number(plan.seed),
            seed: plan.seed,
            partitions: self.partitions,
            workload: scenario.workload.clone(),
            python: plan.python.clone(),
            progress: Arc::clone(&progress),
        };
        let load =
            Load::start(clients.clone(), self.world.network.as_ref()).map_err(RunFault::Thread)?;
        let planned = match &plan.schedule {
            Some(injections) => schedule::repeat(injections),
            None => schedule::plan(scenario, plan.seed)?,
        };
        let until = match plan.holds {
            true => {
                self.introduce();
                Until::told().map_err(RunFault::Thread)?
            }
            false => Until::time(scenario.duration.0),
        };
        let pulse = Pulse::start().map_err(RunFault::Thread)?;
        let mut driver = Driver {
            stage: self,
            journal: &journal,
            progress: &progress,
            screen,
            path: run_dir.join("schedule.jsonl"),
            planned,
            active: Vec::new(),
            done: Vec::new(),
            seed: plan.seed,
            keeps_going: plan.keeps_going,
        };
        if let Err(fault) = driver.drive(&until) {
            // The nodes may be somebody else's: what can be taken back is.
            if let Err(left) = driver.heal_all() {
                screen.say(&format!("NOT HEALED: {left}"));
            }
            self.leave(screen);
            return Err(fault);
        }
        let healed_ns = driver.heal_all()?;
        let recovered = driver.await_recovery(healed_ns, scenario.expect.recover_max.0)?;
        if until.is_held() {
            output::line("healed");
            until.await_end();
        }
        let injections = std::mem::take(&mut driver.done);
        driver.write(&injections)?;
        let late = pulse.stop();
        screen.say("the load ends; everything is read once more");
        load.stop();
        rest(DRAIN);
        let load_end_ns = journal.clock.now_ns();
        let network = self.world.network.as_ref();
        let finals = read_finally(&clients, network, scenario.expect.final_max.0)
            .map_err(RunFault::Thread)?;
        let behind = match plan.target.followers_serve() && finals.unreached.is_empty() {
            true => read_replicas(&clients, network, &finals.reads, REPLICAS_BOUND)
                .map_err(RunFault::Thread)?,
            false => Vec::new(),
        };
        self.look_at_nodes(&journal, &injections);
        self.leave(screen);
        Ok(Facts {
            scenario: scenario.name.clone(),
            target: plan.target.name().to_owned(),
            seed: plan.seed,
            injections,
            healed_ns,
            recovered_ns: recovered,
            load_end_ns,
            unreached: finals.unreached,
            behind,
            late_ms: u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
            final_records: finals.read_records,
        })
    }

    /// Says where the nodes are, to whoever looks at them while a fault lasts.
    fn introduce(&self) {
        for node in &self.world.target.nodes {
            output::line(format!(
                "node {} kafka {} admin {} log {}",
                node.number,
                node.kafka,
                node.admin,
                node.log().unwrap_or(Path::new("-")).display()
            ));
        }
    }

    /// Ends that no fault brought, and what nodes say of themselves.
    fn look_at_nodes(&mut self, journal: &Journal, injections: &[Injection]) {
        for node in &mut self.world.target.nodes {
            let number = node.number;
            if let Some(status) = node.unexpected_end() {
                journal.note("node_end", &format!("node {number} ended with {status}"));
                journal.record(
                    0,
                    Action::ProcExit {
                        node: Some(number),
                        expected: false,
                    },
                );
            }
            // Apache Kafka logs errors about every peer that is away; ours may only when a disk fails.
            if self.world.target.kind.name() != "chronik" {
                continue;
            }
            let has_disk_fault = injections.iter().any(|injection| {
                use Fault::{CorruptAtRest, DeadDisk, DiskFull, Memory, PowerLoss};
                let is_of_disk = matches!(
                    injection.fault,
                    DeadDisk | DiskFull | PowerLoss | CorruptAtRest | Memory
                );
                is_of_disk && injection.nodes.contains(&number)
            });
            let announced: &[&str] = if has_disk_fault {
                &["\"level\":\"ERROR\""]
            } else {
                &[]
            };
            let log = node.log().unwrap_or(Path::new(""));
            for text in log_police::unannounced(log, announced)
                .unwrap_or_default()
                .into_iter()
                .take(20)
            {
                journal.record(
                    0,
                    Action::Invariant(Invariant {
                        node: Some(number),
                        kind: if text.contains("panicked") {
                            "panic"
                        } else {
                            "error"
                        }
                        .into(),
                        text,
                    }),
                );
            }
        }
    }

    /// Ends our own nodes; somebody else's go on without what was made there.
    fn leave(&mut self, screen: &Screen) {
        if let TargetKind::Attached(_) = self.world.target.kind {
            return self.remove_topic(screen);
        }
        for node in &mut self.world.target.nodes {
            // The run is over; what does not end in order ends with its namespace.
            let _ = node.stop();
        }
    }
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RunFault {
    let path = path.to_owned();
    move |source| RunFault::File {
        action,
        path,
        source,
    }
}
