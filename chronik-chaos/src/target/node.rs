//! One node: its command line, its process, its disk, and whether it is meant to run.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use chronik_local::{Launch, LocalError, Process, probe, wait};

use crate::disk::Layers;
use crate::net::Network;

/// A stopped node has this long to end in order.
const STOP_BOUND: Duration = Duration::from_secs(60);

/// A thread may wait for a slow disk before it stops.
const STOP_SIGNAL_BOUND: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) number: u32,
    pub(crate) kafka: SocketAddr,
    pub(crate) disk: Option<Layers>,
    launch: Launch,
    process: Option<Process>,
    /// Faults that stop it nest: it runs again when the last of them is healed.
    holds: u32,
}

impl Node {
    pub(super) fn new(
        number: u32,
        launch: Launch,
        kafka: SocketAddr,
        disk: Option<Layers>,
    ) -> Node {
        Node {
            number,
            kafka,
            disk,
            launch,
            process: None,
            holds: 0,
        }
    }

    pub(crate) fn log(&self) -> &std::path::Path {
        &self.launch.log
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        &self.launch.working_dir
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Starts the process on its host; it may take a while until it serves.
    pub(crate) fn start(&mut self, network: Option<&Network>) -> Result<(), LocalError> {
        if self.process.is_some() {
            return Ok(());
        }
        let launch = &self.launch;
        let spawn = || launch.spawn();
        self.process = Some(match network {
            Some(network) => network.hosts[self.number as usize].enter(spawn)?,
            None => spawn()?,
        });
        Ok(())
    }

    pub(crate) fn await_serving(
        &mut self,
        network: Option<&Network>,
        bound: Duration,
    ) -> Result<(), LocalError> {
        let address = self.kafka;
        let number = self.number as usize;
        let launch = &self.launch;
        let process = self.process.as_mut();
        let Some(process) = process else {
            return Ok(());
        };
        let mut look = || {
            wait::until("the first answered request", bound, || {
                if probe::serves_kafka(address) {
                    return Some(None);
                }
                process.exit_status().map(Some)
            })
        };
        let outcome = match network {
            Some(network) => network.hosts[number].enter(look),
            None => look(),
        };
        match outcome? {
            None => Ok(()),
            Some(status) => Err(LocalError::Died {
                name: launch.name.clone(),
                condition: "the first answered request",
                status,
                log: launch.log.clone(),
                tail: launch.log_tail(),
            }),
        }
    }

    /// SIGKILL; the exit status in words, as proof.
    pub(crate) fn kill(&mut self) -> Result<String, LocalError> {
        let Some(mut process) = self.process.take() else {
            return Ok("it did not run".into());
        };
        let status = process.kill()?;
        Ok(match status.signal() {
            Some(signal) => format!("ended by signal {signal}"),
            None => format!("had ended by itself with {status}"),
        })
    }

    pub(crate) fn stop(&mut self) -> Result<String, LocalError> {
        let Some(mut process) = self.process.take() else {
            return Ok("it did not run".into());
        };
        let status = process.stop(STOP_BOUND)?;
        Ok(format!("ended in order with {status}"))
    }

    pub(crate) fn pause(&self) -> Result<String, LocalError> {
        let Some(process) = &self.process else {
            return Ok("it did not run".into());
        };
        process.pause()?;
        let pid = process.pid();
        // A thread in the middle of a system call stops only after it: a flush that is on its way is still done.
        let all_stopped = || {
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
            let mut threads = threads.flatten();
            threads
                .all(|thread| is_stopped(&thread.path()))
                .then_some(())
        };
        wait::until("state T of all threads", STOP_SIGNAL_BOUND, all_stopped)?;
        Ok("state T".into())
    }

    pub(crate) fn resume(&self) -> Result<(), LocalError> {
        match &self.process {
            Some(process) => process.resume(),
            None => Ok(()),
        }
    }

    /// An end that no fault of ours brought.
    pub(crate) fn unexpected_end(&mut self) -> Option<String> {
        let process = self.process.as_mut()?;
        let status = process.exit_status()?;
        self.process = None;
        Some(status.to_string())
    }

    pub(crate) fn hold(&mut self) {
        self.holds += 1;
    }

    /// Whether this was the last fault that kept it down.
    pub(crate) fn release(&mut self) -> bool {
        self.holds = self.holds.saturating_sub(1);
        self.holds == 0
    }

    pub(crate) fn is_held(&self) -> bool {
        self.holds > 0
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }
}

/// The state letter follows the name; T stands for stopped, and a thread that is gone is stopped too.
fn is_stopped(thread: &std::path::Path) -> bool {
    let Ok(stat) = std::fs::read_to_string(thread.join("stat")) else {
        return true;
    };
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| state.starts_with(['T', 'Z', 'X']))
}
