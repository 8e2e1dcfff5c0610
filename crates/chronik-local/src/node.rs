//! A broker process that can be stopped, killed, paused, restarted and asked whether it is ready.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::LocalError;
use crate::log_police;
use crate::probe;
use crate::process::{Launch, Process, Sample};
use crate::wait;

/// Draining, a last sync and, for Kafka, an orderly shutdown of all its threads.
const STOP_BOUND: Duration = Duration::from_secs(60);

/// A node of either kind; dropping it kills the process but leaves its data.
#[derive(Debug)]
pub struct Node {
    launch: Launch,
    kafka: SocketAddr,
    admin: Option<SocketAddr>,
    data_dir: PathBuf,
    ready_bound: Duration,
    process: Option<Process>,
    time_to_serve: Duration,
}

impl Node {
    /// A node that does not run yet.
    pub(crate) fn new(
        launch: Launch,
        kafka: SocketAddr,
        admin: Option<SocketAddr>,
        data_dir: PathBuf,
        ready_bound: Duration,
    ) -> Self {
        Self {
            launch,
            kafka,
            admin,
            data_dir,
            ready_bound,
            process: None,
            time_to_serve: Duration::ZERO,
        }
    }

    /// What clients call `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.kafka.to_string()
    }

    pub fn kafka_address(&self) -> SocketAddr {
        self.kafka
    }

    /// Apache Kafka has no admin port.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub fn log(&self) -> &Path {
        &self.launch.log
    }

    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// From `exec` to the first answered Kafka request, of the latest start.
    pub fn time_to_serve(&self) -> Duration {
        self.time_to_serve
    }

    /// Waits for a condition of this node; if its process ends meanwhile, says so at once.
    pub fn await_condition(
        &mut self,
        condition: &'static str,
        is_met: impl Fn() -> bool,
    ) -> Result<(), LocalError> {
        let process = self.process.as_mut().expect("the node was started");
        let outcome = wait::until(condition, self.ready_bound, || {
            if is_met() {
                return Some(None);
            }
            process.exit_status().map(Some)
        });
        let launch = &self.launch;
        match outcome {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(LocalError::Died {
                name: launch.name.clone(),
                condition,
                status,
                log: launch.log.clone(),
                tail: launch.log_tail(),
            }),
            Err(timed_out) => Err(LocalError::NotReady {
                condition,
                bound: timed_out.bound,
                log: launch.log.clone(),
                tail: launch.log_tail(),
            }),
        }
    }

    pub fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.exit_status().is_none())
    }

    pub fn sample(&self) -> Result<Sample, LocalError> {
        self.running().sample()
    }

    /// SIGTERM, without waiting for the end; nothing if the node does not run.
    pub fn ask_to_stop(&self) -> Result<(), LocalError> {
        match &self.process {
            Some(process) => process.ask_to_stop(),
            None => Ok(()),
        }
    }

    /// SIGTERM and an orderly end; a non-zero exit status is an error.
    pub fn stop(&mut self) -> Result<Duration, LocalError> {
        self.ask_to_stop()?;
        self.await_stopped()
    }

    /// Waits for the orderly end of a node that was asked to stop, if it runs.
    pub fn await_stopped(&mut self) -> Result<Duration, LocalError> {
        let Some(mut process) = self.process.take() else {
            return Ok(Duration::ZERO);
        };
        let begin = Instant::now();
        let status = process.await_end(STOP_BOUND)?;
        // The Java launcher reports an orderly end after SIGTERM as 143.
        if status.success() || status.code() == Some(143) {
            return Ok(begin.elapsed());
        }
        Err(LocalError::Command {
            what: format!("stopping {}", self.launch.name),
            status,
            output: self.launch.log_tail(),
        })
    }

    /// SIGKILL: what is not on the disk by now is lost.
    pub fn kill(&mut self) -> Result<(), LocalError> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    pub fn pause(&self) -> Result<(), LocalError> {
        self.running().pause()
    }

    pub fn resume(&self) -> Result<(), LocalError> {
        self.running().resume()
    }

    /// Removes the data of a node that does not run.
    pub fn wipe(&mut self) -> Result<(), LocalError> {
        assert!(self.process.is_none(), "{} still runs", self.launch.name);
        match fs::remove_dir_all(&self.data_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(LocalError::file("remove", &self.data_dir)),
        }
    }

    /// Starts a node that does not run: same ports, same data. Returns once it serves and says that it is ready.
    pub fn begin(&mut self) -> Result<(), LocalError> {
        self.spawn()?;
        self.await_ready()
    }

    /// Starts a node that does not run, and waits for nothing.
    pub fn spawn(&mut self) -> Result<(), LocalError> {
        assert!(self.process.is_none(), "{} runs already", self.launch.name);
        self.process = Some(self.launch.spawn()?);
        Ok(())
    }

    /// Waits until the node answers Kafka requests, ready or not.
    pub fn await_listening(&mut self) -> Result<(), LocalError> {
        let kafka = self.kafka;
        self.await_condition("the first answered request", move || {
            probe::serves_kafka(kafka)
        })
    }

    /// Waits until the node serves Kafka requests and, if it has one, its admin port says ready.
    pub fn await_ready(&mut self) -> Result<(), LocalError> {
        let kafka = self.kafka;
        self.await_condition("the first answered request", move || {
            probe::serves_kafka(kafka)
        })?;
        self.time_to_serve = self.running().started().elapsed();
        if let Some(admin) = self.admin {
            self.await_condition("ready on the admin port", move || {
                probe::http_ok(admin, "/readyz").is_some()
            })?;
        }
        Ok(())
    }

    /// What `/readyz` says: whether the node is ready, and the text with its reasons. None without an answer.
    pub fn readiness(&self) -> Option<(bool, String)> {
        let (status, body) = probe::http(self.admin?, "/readyz").ok()?;
        Some((status == 200, body))
    }

    /// Error and panic lines of this node that `announced` does not excuse.
    pub fn unannounced_errors(&self, announced: &[&str]) -> Result<Vec<String>, LocalError> {
        log_police::unannounced(&self.launch.log, announced)
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the node was started")
    }
}
