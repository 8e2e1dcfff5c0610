//! One node: its command line, its process, its disk, and whether it is meant to run.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use chronik_local::{Launch, LocalError, Process, probe, wait};
use rustix::process::Signal;

use super::Addresses;
use super::attach::{Foreign, signal};
use crate::contain::Promise;
use crate::disk::Layers;
use crate::net::Network;
use crate::scenario::Fault;

/// A stopped node has this long to end in order.
const STOP_BOUND: Duration = Duration::from_secs(60);

/// A thread may wait for a slow disk before it stops.
const STOP_SIGNAL_BOUND: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) number: u32,
    pub(crate) kafka: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) disk: Option<Layers>,
    control: Control,
    /// Faults that stop it nest: it runs again when the last of them is healed.
    holds: u32,
}

/// Who starts and stops a node.
#[derive(Debug)]
enum Control {
    /// A process of this run.
    Ours {
        launch: Box<Launch>,
        process: Option<Process>,
    },
    /// Somebody else's, as far as the target's file says how to get at it.
    Theirs(Foreign),
}

impl Node {
    pub(super) fn ours(
        number: u32,
        launch: Launch,
        addresses: Addresses,
        disk: Option<Layers>,
    ) -> Node {
        Node {
            number,
            kafka: addresses.kafka,
            admin: addresses.admin,
            disk,
            control: Control::Ours {
                launch: Box::new(launch),
                process: None,
            },
            holds: 0,
        }
    }

    pub(super) fn theirs(number: u32, kafka: SocketAddr, foreign: Foreign) -> Node {
        Node {
            number,
            kafka,
            admin: kafka,
            disk: None,
            control: Control::Theirs(foreign),
            holds: 0,
        }
    }

    /// What is missing to bring this fault to this node.
    pub(crate) fn lacks(&self, fault: Fault) -> Option<&'static str> {
        match &self.control {
            Control::Ours { .. } => None,
            Control::Theirs(foreign) => foreign.lacks(fault),
        }
    }

    /// What takes this fault back when the run is gone; a process of the run's own goes with it.
    pub(crate) fn way_back(&self, fault: Fault) -> Option<Promise> {
        match &self.control {
            Control::Ours { .. } => None,
            Control::Theirs(foreign) => foreign.way_back(fault),
        }
    }

    pub(crate) fn log(&self) -> Option<&Path> {
        match &self.control {
            Control::Ours { launch, .. } => Some(&launch.log),
            Control::Theirs(_) => None,
        }
    }

    /// Where the node lives; nothing of somebody else's node is touched.
    pub(crate) fn dir(&self) -> Option<&Path> {
        match &self.control {
            Control::Ours { launch, .. } => Some(&launch.working_dir),
            Control::Theirs(_) => None,
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        match &self.control {
            Control::Ours { process, .. } => process.as_ref().map(Process::pid),
            Control::Theirs(foreign) => foreign.pid(),
        }
    }

    /// Starts the process on its host; it may take a while until it serves.
    pub(crate) fn start(&mut self, network: Option<&Network>) -> Result<(), LocalError> {
        let (launch, process) = match &mut self.control {
            Control::Ours { launch, process } => (launch, process),
            Control::Theirs(foreign) => return foreign.start(),
        };
        if process.is_some() {
            return Ok(());
        }
        let spawn = || launch.spawn();
        *process = Some(match network {
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
        let (address, number) = (self.kafka, self.number as usize);
        let mut status_of = || match &mut self.control {
            Control::Ours { process, .. } => process.as_mut().map(Process::exit_status),
            Control::Theirs(_) => Some(None),
        };
        let mut look = || {
            wait::until("the first answered request", bound, || {
                match status_of() {
                    // It was stopped meanwhile.
                    None => Some(None),
                    _ if probe::serves_kafka(address) => Some(None),
                    Some(status) => status.map(Some),
                }
            })
        };
        let outcome = match network {
            Some(network) => network.hosts[number].enter(look),
            None => look(),
        };
        match (outcome?, &self.control) {
            (Some(status), Control::Ours { launch, .. }) => Err(LocalError::Died {
                name: launch.name.clone(),
                condition: "the first answered request",
                status,
                log: launch.log.clone(),
                tail: launch.log_tail(),
            }),
            _ => Ok(()),
        }
    }

    /// SIGKILL; the exit status in words, as proof.
    pub(crate) fn kill(&mut self) -> Result<String, LocalError> {
        let process = match &mut self.control {
            Control::Ours { process, .. } => process.take(),
            Control::Theirs(foreign) => return foreign.kill(),
        };
        let Some(mut process) = process else {
            return Ok("it did not run".into());
        };
        let status = process.kill()?;
        Ok(match status.signal() {
            Some(signal) => format!("ended by signal {signal}"),
            None => format!("had ended by itself with {status}"),
        })
    }

    pub(crate) fn stop(&mut self) -> Result<String, LocalError> {
        let process = match &mut self.control {
            Control::Ours { process, .. } => process.take(),
            Control::Theirs(foreign) => return foreign.stop(),
        };
        let Some(mut process) = process else {
            return Ok("it did not run".into());
        };
        let status = process.stop(STOP_BOUND)?;
        Ok(format!("ended in order with {status}"))
    }

    pub(crate) fn pause(&self) -> Result<String, LocalError> {
        let Some(pid) = self.pid() else {
            return Ok("it did not run".into());
        };
        signal(pid, Signal::STOP)?;
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
        match self.pid() {
            Some(pid) => signal(pid, Signal::CONT),
            None => Ok(()),
        }
    }

    /// An end that no fault of ours brought.
    pub(crate) fn unexpected_end(&mut self) -> Option<String> {
        let Control::Ours { process, .. } = &mut self.control else {
            return None;
        };
        let status = process.as_mut()?.exit_status()?;
        *process = None;
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
        match &self.control {
            Control::Ours { process, .. } => process.is_some(),
            Control::Theirs(foreign) => !foreign.is_down(),
        }
    }
}

/// The state letter follows the name; T stands for stopped, and a thread that is gone is stopped too.
fn is_stopped(thread: &Path) -> bool {
    let Ok(stat) = std::fs::read_to_string(thread.join("stat")) else {
        return true;
    };
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| state.starts_with(['T', 'Z', 'X']))
}
