//! `suite`: several workloads against several targets, interleaved, with one report over all of them; can be resumed.

mod cells;
mod definition;
mod report;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use chronik_local::contender::Contender;
use chronik_local::{Cluster, checkout_commit, target_dir};
use serde::{Deserialize, Serialize};

use self::cells::{Cells, Key};
use self::definition::{Suite, Target};
use crate::cli::{OutputArguments, SuiteArguments};
use crate::clock::{utc, utc_compact, wall_now};
use crate::commands::run::run_plan;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::output;
use crate::plan::Plan;
use crate::signals::Signals;
use crate::store::{read_json, write_json};

const STATE: &str = "suite.json";

/// What a resumed suite has to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    started_utc: String,
    /// Of the checkout that this program was built in, if it is still there.
    commit: Option<String>,
    rounds: u32,
    scale: f64,
    suite: Suite,
    /// Loads that a target could not bear, and why. They are not tried again.
    failures: BTreeMap<String, String>,
}

/// A suite on its way.
struct Session<'a> {
    arguments: &'a SuiteArguments,
    signals: &'a Signals,
    dir: PathBuf,
    state: State,
    cells: Cells,
}

/// A target that serves; a started one ends with its handle.
struct Serving {
    bootstrap: String,
    cluster: Option<(Cluster, PathBuf)>,
}

pub(crate) fn run(arguments: &SuiteArguments, signals: &Signals) -> Result<Exit, BenchError> {
    let (dir, state) = match (&arguments.resume, &arguments.suite) {
        (Some(dir), _) => (dir.clone(), read_json(&dir.join(STATE))?),
        (None, Some(name)) => begin(arguments, name)?,
        (None, None) => return Err(BenchError::Usage("which suite?".to_owned())),
    };
    let mut session = Session {
        cells: Cells::read(&dir)?,
        arguments,
        signals,
        dir,
        state,
    };
    let exit = session.rounds()?;
    let failed = match session.state.failures.is_empty() {
        true => Exit::Pass,
        false => Exit::CouldNotRun,
    };
    let exit = exit.worst(failed).worst(session.cells.exit());
    report::write(&session.dir, &session.state, &session.cells)?;
    Ok(exit)
}

fn begin(arguments: &SuiteArguments, name: &str) -> Result<(PathBuf, State), BenchError> {
    let suite = Suite::read(name)?;
    let started = wall_now();
    let folder = format!("{}-{}", utc_compact(started), suite.name);
    let dir = arguments.output.out.join(folder);
    fs::create_dir_all(&dir).map_err(BenchError::file("make the folder", &dir))?;
    let state = State {
        started_utc: utc(started),
        commit: checkout_commit().ok(),
        rounds: arguments.rounds.max(1),
        scale: arguments.scale,
        suite,
        failures: BTreeMap::new(),
    };
    write_json(&dir.join(STATE), &state)?;
    Ok((dir, state))
}

impl Session<'_> {
    fn rounds(&mut self) -> Result<Exit, BenchError> {
        for round in 0..self.state.rounds {
            // Whoever goes second finds a disk that was just busy, so they take turns at that as well.
            let mut targets = self.state.suite.targets.clone();
            let turn = round as usize % targets.len();
            targets.rotate_left(turn);
            for target in &targets {
                if self.life(target, round)? == Exit::Interrupted {
                    output::note(&format!("go on with --resume {}", self.dir.display()));
                    return Ok(Exit::Interrupted);
                }
            }
        }
        Ok(Exit::Pass)
    }

    /// One round on one target, which has the machine to itself meanwhile. What is missing of it is not run alone: loads
    /// of one life belong together.
    fn life(&mut self, target: &Target, round: u32) -> Result<Exit, BenchError> {
        if self.has_all(target, round)? {
            return Ok(Exit::Pass);
        }
        output::note(&format!(
            "== round {} of {}: {}",
            round + 1,
            self.state.rounds,
            target.name
        ));
        let serving = self.start(target, round)?;
        let mut exit = Exit::Pass;
        let workloads = self.state.suite.workloads.clone();
        for (number, workload) in workloads.iter().enumerate() {
            for part in workload.parts(&serving.bootstrap, number)? {
                let key = Key::new(&part.name(&workload.name), &target.name, round);
                let has_failed = self.state.failures.contains_key(&key.to_string());
                if exit == Exit::Pass && !has_failed {
                    exit = self.cell(&key, workload.warms_up, part.plan)?;
                }
            }
        }
        serving.end()?;
        Ok(exit)
    }

    fn has_all(&self, target: &Target, round: u32) -> Result<bool, BenchError> {
        let reported = self.state.suite.reported()?;
        Ok(reported.iter().all(|(name, _)| {
            let key = Key::new(name, &target.name, round);
            self.cells.has(&key) || self.state.failures.contains_key(&key.to_string())
        }))
    }

    /// Runs one load. A target that cannot bear it is a finding, not the end of the suite.
    fn cell(&mut self, key: &Key, warms_up: bool, mut plan: Plan) -> Result<Exit, BenchError> {
        output::note(&format!("-- {key}"));
        plan.duration = plan.duration.mul_f64(self.state.scale);
        plan.messages = plan
            .messages
            .map(|messages| (messages as f64 * self.state.scale).ceil() as u64);
        let output = OutputArguments {
            name: key.to_string(),
            out: self.dir.join(if warms_up { "warm-ups" } else { "" }),
            ..self.arguments.output.clone()
        };
        match run_plan(&plan, &output, Some(&key.target), self.signals) {
            Ok(done) => {
                let is_interrupted = done.result.is_interrupted();
                if !warms_up {
                    self.cells.add(done.result, done.dir);
                }
                // What else a run says of itself is in the report.
                Ok(match is_interrupted {
                    true => Exit::Interrupted,
                    false => Exit::Pass,
                })
            }
            Err(usage @ BenchError::Usage(_)) => Err(usage),
            Err(failed) => {
                output::error(&failed);
                let reason = output::chain(&failed);
                self.state.failures.insert(key.to_string(), reason);
                write_json(&self.dir.join(STATE), &self.state)?;
                Ok(Exit::Pass)
            }
        }
    }

    fn start(&self, target: &Target, round: u32) -> Result<Serving, BenchError> {
        let (Some(kind), None) = (target.kind, &target.bootstrap) else {
            return Ok(Serving {
                bootstrap: target.bootstrap.clone().unwrap_or_default(),
                cluster: None,
            });
        };
        let root = match &self.arguments.data {
            Some(data) => data.clone(),
            None => self.dir.join("data"),
        };
        let data = root.join(format!("{}-{round}", crate::store::plain(&target.name)));
        // What a killed suite has left behind.
        if data.exists() {
            fs::remove_dir_all(&data).map_err(BenchError::file("remove", &data))?;
        }
        fs::create_dir_all(&data).map_err(BenchError::file("make the folder", &data))?;
        // Brokers run elsewhere than this program, so their folder must not depend on where it was started.
        let data = fs::canonicalize(&data).map_err(BenchError::file("find", &data))?;
        let server = target.server.clone().or(self.arguments.server.clone());
        let server = server.unwrap_or_else(|| target_dir().join("release/chronik-server"));
        let contender = Contender {
            kind,
            nodes: target.nodes,
        };
        let (cluster, _) = contender.start(&server, &data, &target.settings)?;
        Ok(Serving {
            bootstrap: cluster.bootstrap(),
            cluster: Some((cluster, data)),
        })
    }
}

impl Serving {
    fn end(self) -> Result<(), BenchError> {
        let Some((mut cluster, data)) = self.cluster else {
            return Ok(());
        };
        cluster.stop()?;
        fs::remove_dir_all(&data).map_err(BenchError::file("remove", &data))
    }
}
