//! One run inside of its namespaces: build, load, break, heal, read everything, judge.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chronik_check::history::{Action, Invariant};
use chronik_local::log_police;
use serde::{Deserialize, Serialize};

use crate::history::{Journal, Recorder};
use crate::nemesis::{Active, NemesisFault, Victims, World};
use crate::net::Network;
use crate::output::Progress as Screen;
use crate::scenario::{Cluster, Cut, Fault, NodeSet, Scenario};
use crate::schedule::{self, Edge, Injection, Planned, When, Whom};
use crate::seed::Stream;
use crate::target::{Mutant, Target, TargetFault, TargetKind};
use crate::verdict::Facts;
use crate::wire::{Connection, create_topic, error_code};
use crate::workload::{Clients, GROUP, Load, Progress, TOPIC, cluster_view, read_finally, rest};

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
    #[error("`{0}` cannot be read")]
    Plan(PathBuf, #[source] serde_json::Error),
}

const TOPIC_BOUND: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(10);
/// Load goes on for so long after everything is healed and acknowledged again.
const COOL_DOWN: Duration = Duration::from_secs(2);
/// Writers that were stopped in the middle of a batch end within their own bound; readers see the rest.
const DRAIN: Duration = Duration::from_millis(500);

impl Plan {
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
            NetChoice::None => None,
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
        let has_disks = scenario.faults().any(Fault::needs_layers);
        let target = Target::prepare(
            plan.target.clone(),
            &scenario.cluster,
            run_dir,
            network.as_ref(),
            has_disks,
            plan.mutant,
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
        Ok(())
    }

    /// Creates the topic and waits until every partition has a leader.
    fn create_topic(&mut self, plan: &Plan) -> Result<(), RunFault> {
        const CALL_BOUND: Duration = Duration::from_secs(10);
        let cluster = plan.scenario.cluster.clone();
        let partitions = i32::try_from(cluster.partitions).expect("a topic has few partitions");
        let replicas = i16::try_from(cluster.rf).expect("a cluster has few nodes");
        let configs = [("min.insync.replicas", cluster.min_isr.to_string())];
        let configs = if cluster.nodes > 1 { &configs[..] } else { &[] };
        let deadline = Instant::now() + TOPIC_BOUND;
        let mut said = String::new();
        self.at_clients(|stage| {
            while Instant::now() < deadline {
                for address in stage.bootstrap.iter() {
                    let created =
                        Connection::open(*address, CALL_BOUND).and_then(|mut connection| {
                            create_topic(
                                &mut connection,
                                TOPIC,
                                partitions,
                                replicas,
                                configs,
                                CALL_BOUND,
                            )
                        });
                    match created {
                        Ok(error_code::NONE | error_code::TOPIC_ALREADY_EXISTS) => {
                            if stage.view().leaders.iter().all(Option::is_some) {
                                return Ok(());
                            }
                            said = "not every partition has a leader".into();
                        }
                        Ok(code) => said = format!("error {code}"),
                        Err(failed) => said = failed.to_string(),
                    }
                }
                rest(TICK * 10);
            }
            Err(RunFault::Topic(TOPIC_BOUND, said))
        })
    }

    fn view(&self) -> Cluster {
        let group = self.uses_group.then_some(GROUP);
        cluster_view(&self.bootstrap, self.partitions, group)
    }

    /// Runs something on the clients' host.
    fn at_clients<T: Send>(&self, work: impl FnOnce(&Stage) -> T + Send) -> T {
        match &self.world.network {
            Some(network) => network.hosts[0].enter(|| work(self)),
            None => work(self),
        }
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
            progress: Arc::clone(&progress),
        };
        let load =
            Load::start(clients.clone(), self.world.network.as_ref()).map_err(RunFault::Thread)?;
        let planned = match &plan.schedule {
            Some(injections) => schedule::repeat(injections),
            None => schedule::plan(scenario, plan.seed)?,
        };
        let mut nemesis = Nemesis {
            stage: self,
            journal: &journal,
            progress: &progress,
            screen,
            path: run_dir.join("schedule.jsonl"),
            planned,
            active: Vec::new(),
            done: Vec::new(),
            seed: plan.seed,
        };
        nemesis.drive(scenario.duration.0)?;
        let healed_ns = nemesis.heal_all()?;
        let recovered = nemesis.await_recovery(healed_ns, scenario.expect.recover_max.0)?;
        let injections = std::mem::take(&mut nemesis.done);
        nemesis.write(&injections)?;
        screen.say("the load ends; everything is read once more");
        load.stop();
        rest(DRAIN);
        let load_end_ns = journal.clock.now_ns();
        let network = self.world.network.as_ref();
        let finals = read_finally(&clients, network, scenario.expect.final_max.0)
            .map_err(RunFault::Thread)?;
        self.look_at_nodes(&journal, &injections);
        self.stop_nodes();
        Ok(Facts {
            scenario: scenario.name.clone(),
            target: plan.target.name().to_owned(),
            seed: plan.seed,
            injections,
            healed_ns,
            recovered_ns: recovered,
            load_end_ns,
            unreached: finals.unreached,
            final_records: finals.read_records,
        })
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
            for text in log_police::unannounced(node.log(), announced)
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

    fn stop_nodes(&mut self) {
        for node in &mut self.world.target.nodes {
            // The run is over; what does not end in order ends with its namespace.
            let _ = node.stop();
        }
    }
}

/// The thread of faults: what is to come, what lasts, what is over.
struct Nemesis<'a> {
    stage: &'a mut Stage,
    journal: &'a Journal,
    progress: &'a Progress,
    screen: &'a Screen,
    path: PathBuf,
    planned: Vec<Planned>,
    active: Vec<(Injection, Active, Option<u64>)>,
    done: Vec<Injection>,
    seed: u64,
}

impl Nemesis<'_> {
    fn drive(&mut self, duration: Duration) -> Result<(), RunFault> {
        while self.journal.clock.elapsed() < duration && !self.journal.is_broken() {
            self.heal_due()?;
            self.inject_due()?;
            self.notice_ends()?;
            self.screen.tick(
                self.journal.clock.elapsed(),
                self.progress.acked(),
                self.active.len(),
            );
            rest(TICK);
        }
        Ok(())
    }

    fn inject_due(&mut self) -> Result<(), RunFault> {
        let now = self.journal.clock.elapsed();
        let due = |planned: &Planned| self.time_of(&planned.when).is_some_and(|time| time <= now);
        let Some(place) = self.planned.iter().position(due) else {
            return Ok(());
        };
        let planned = self.planned.remove(place);
        let victims = self.resolve(&planned);
        let acked_before = self.progress.acked();
        let at_ns = self.journal.clock.now_ns();
        let active = self.stage.world.inject(
            planned.fault,
            victims,
            &planned.with,
            planned.lasts.map(|lasts| lasts.0),
        )?;
        let injection = Injection {
            id: planned.id,
            fault: planned.fault,
            target: match planned.whom {
                Whom::Expression(text) => text,
                Whom::Resolved { .. } => "as before".into(),
            },
            nodes: active.victims.nodes.clone(),
            links: active.victims.links.clone(),
            at_ns,
            healed_ns: None,
            lasts: planned.lasts,
            with: planned.with,
            proof: None,
            doubt: None,
            may_miss: planned.may_miss,
            acked_before,
            acked_at_heal: None,
        };
        let text = format!(
            "{} {} {}",
            injection.id,
            injection.fault,
            says_whom(&injection)
        );
        self.journal.note("fault_start", &text);
        self.screen.say(&text);
        let ends_ns = injection
            .lasts
            .map(|lasts| self.journal.clock.now_ns() + lasts.ns());
        // A restart is over when it is done; nothing lasts.
        let ends_ns = if injection.fault == Fault::Restart {
            Some(0)
        } else {
            ends_ns
        };
        self.active.push((injection, active, ends_ns));
        self.write(&[])
    }

    /// When a planned fault is due, if that is known yet.
    fn time_of(&self, when: &When) -> Option<Duration> {
        match when {
            When::At(at) => Some(*at),
            When::After { id, edge, plus } => {
                let lasting = self.active.iter().map(|(injection, _, _)| injection);
                let known = lasting
                    .chain(&self.done)
                    .find(|injection| injection.id == *id)?;
                let edge_ns = match edge {
                    Edge::Started => known.at_ns,
                    Edge::Healed => known.healed_ns?,
                };
                Some(Duration::from_nanos(edge_ns) + *plus)
            }
        }
    }

    fn resolve(&mut self, planned: &Planned) -> Victims {
        let text = match &planned.whom {
            Whom::Resolved { nodes, links } => {
                return Victims {
                    nodes: nodes.clone(),
                    links: links.clone(),
                };
            }
            Whom::Expression(text) => text,
        };
        let cluster = self.stage.at_clients(Stage::view);
        let mut chance = Stream::new(self.seed, &format!("target {}", planned.id));
        if planned.fault.is_between_hosts() {
            let cut: Cut = text
                .parse()
                .expect("targets were checked when the scenario was read");
            let links = World::cut_links(&cut, &cluster, &mut chance);
            let nodes = links.iter().map(|(from, _)| *from).filter(|host| *host > 0);
            let mut nodes: Vec<u32> = nodes.collect();
            nodes.dedup();
            return Victims {
                nodes,
                links: links.into_iter().collect(),
            };
        }
        let set: NodeSet = text
            .parse()
            .expect("targets were checked when the scenario was read");
        Victims {
            nodes: set.resolve(&cluster, &mut chance).into_iter().collect(),
            links: Vec::new(),
        }
    }

    fn heal_due(&mut self) -> Result<(), RunFault> {
        let now_ns = self.journal.clock.now_ns();
        let is_due = |ends_ns: &Option<u64>| ends_ns.is_some_and(|end| end <= now_ns);
        while let Some(place) = self
            .active
            .iter()
            .position(|(_, _, ends_ns)| is_due(ends_ns))
        {
            self.heal(place)?;
        }
        Ok(())
    }

    fn heal(&mut self, place: usize) -> Result<(), RunFault> {
        let (mut injection, active, _) = self.active.remove(place);
        let acked = self.progress.acked();
        match self.stage.world.heal(active)? {
            Ok(proof) => injection.proof = Some(proof),
            Err(doubt) => injection.doubt = Some(doubt),
        }
        injection.acked_at_heal = Some(acked);
        injection.healed_ns = Some(self.journal.clock.now_ns());
        let shown = injection
            .proof
            .as_deref()
            .or(injection.doubt.as_deref())
            .unwrap_or_default();
        let text = format!("{} is healed: {shown}", injection.id);
        self.journal.note("fault_stop", &text);
        self.screen.say(&text);
        self.done.push(injection);
        self.write(&[])
    }

    /// Heals everything, the latest first, and says when the last one was.
    fn heal_all(&mut self) -> Result<u64, RunFault> {
        while !self.active.is_empty() {
            self.heal(self.active.len() - 1)?;
        }
        Ok(self.journal.clock.now_ns())
    }

    /// When every partition had acknowledged something that was sent after the heal.
    fn await_recovery(&mut self, healed_ns: u64, bound: Duration) -> Result<Option<u64>, RunFault> {
        let deadline = Instant::now() + bound;
        let mut recovered = None;
        while Instant::now() < deadline && !self.journal.is_broken() {
            self.notice_ends()?;
            if self.progress.all_acked_after(healed_ns) {
                recovered = Some(self.journal.clock.now_ns());
                rest(COOL_DOWN);
                break;
            }
            rest(TICK);
        }
        Ok(recovered)
    }

    /// A node may end under a fault of its disk or memory; at any other time that is a finding.
    fn notice_ends(&mut self) -> Result<(), RunFault> {
        for node in &mut self.stage.world.target.nodes {
            let number = node.number;
            let excuse = self.active.iter().any(|(injection, _, _)| {
                use Fault::{DeadDisk, DiskFull, Memory};
                matches!(injection.fault, DeadDisk | DiskFull | Memory)
                    && injection.nodes.contains(&number)
            });
            if excuse || node.is_held() {
                continue;
            }
            if let Some(status) = node.unexpected_end() {
                let text = format!("node {number} ended by itself with {status}");
                self.journal.note("node_end", &text);
                self.screen.say(&text);
                self.journal.record(
                    0,
                    Action::ProcExit {
                        node: Some(number),
                        expected: false,
                    },
                );
                node.start(self.stage.world.network.as_ref())
                    .map_err(TargetFault::from)?;
            }
        }
        Ok(())
    }

    /// Writes all injections so far; they are few, and a killed run must leave them behind.
    fn write(&self, all: &[Injection]) -> Result<(), RunFault> {
        let lasting = self.active.iter().map(|(injection, _, _)| injection);
        let mut known: Vec<&Injection> = self.done.iter().chain(lasting).chain(all).collect();
        known.sort_by_key(|injection| injection.at_ns);
        let lines = known.into_iter().map(|injection| {
            serde_json::to_string(injection).expect("an injection is made of plain values") + "\n"
        });
        fs::write(&self.path, lines.collect::<String>()).map_err(file("write", &self.path))
    }
}

fn says_whom(injection: &Injection) -> String {
    if injection.links.is_empty() {
        let nodes = injection.nodes.iter().map(|node| format!("n{node}"));
        return nodes.collect::<Vec<_>>().join(" ");
    }
    let links = injection
        .links
        .iter()
        .map(|(from, to)| format!("{from}>{to}"));
    links.collect::<Vec<_>>().join(" ")
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RunFault {
    let path = path.to_owned();
    move |source| RunFault::File {
        action,
        path,
        source,
    }
}
