//! Starts a node on localhost, on the ports a server without arguments uses, and leaves it running.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chronik_local::{ChronikOptions, Launch, probe, process_exists, wait, workspace_dir};

use crate::error::XtaskError;
use crate::{Outcome, output, step};

const KAFKA_PORT: u16 = 9092;
const PEER_PORT: u16 = 9192;
const ADMIN_PORT: u16 = 9292;
/// Long enough to recover a full disk; a fresh node needs a fraction of a second.
const READY_BOUND: Duration = Duration::from_secs(60);

pub(crate) fn run() -> Outcome {
    let dir = node_dir();
    if let Some(pid) = running_pid() {
        return Err(XtaskError::Refused(format!(
            "a node is up already (process {pid}, {}); stop it with: cargo xtask down",
            address(KAFKA_PORT)
        )));
    }
    refuse_taken_ports()?;
    let program = step::release_server()?;
    fs::create_dir_all(&dir).map_err(XtaskError::file("create", &dir))?;
    let launch = ChronikOptions::new(program, &dir).launch(
        address(KAFKA_PORT),
        address(PEER_PORT),
        address(ADMIN_PORT),
    )?;
    let pid = launch.spawn_detached()?;
    let pid_file = pid_file();
    fs::write(&pid_file, pid.to_string()).map_err(XtaskError::file("write", &pid_file))?;
    await_ready(pid, &launch)?;
    greet(pid, &launch.log);
    Ok(())
}

/// The node that `up` started, if it still runs.
pub(crate) fn running_pid() -> Option<u32> {
    let pid = fs::read_to_string(pid_file()).ok()?.trim().parse().ok()?;
    // After a reboot the number may belong to somebody else.
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    (name.trim() == "chronik-server" && process_exists(pid)).then_some(pid)
}

pub(crate) fn pid_file() -> PathBuf {
    node_dir().join("chronik-server.pid")
}

fn node_dir() -> PathBuf {
    workspace_dir().join(".chronik")
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn refuse_taken_ports() -> Outcome {
    for port in [KAFKA_PORT, PEER_PORT, ADMIN_PORT] {
        TcpListener::bind(address(port)).map_err(|error| {
            XtaskError::Refused(format!(
                "port {port} is taken by another process ({error}); find it with: ss -ltnp 'sport = :{port}'"
            ))
        })?;
    }
    Ok(())
}

fn await_ready(pid: u32, launch: &Launch) -> Outcome {
    let ready = wait::until("a ready node", READY_BOUND, || {
        if !process_exists(pid) {
            return Some(false);
        }
        let is_ready = probe::serves_kafka(address(KAFKA_PORT))
            && probe::http_ok(address(ADMIN_PORT), "/readyz").is_some();
        is_ready.then_some(true)
    });
    match ready {
        Ok(true) => Ok(()),
        Ok(false) => Err(XtaskError::Refused(format!(
            "the node ended at once; it said:\n{}",
            launch.log_tail()
        ))),
        Err(timed_out) => Err(XtaskError::Refused(format!(
            "{timed_out}; the node said:\n{}",
            launch.log_tail()
        ))),
    }
}

fn greet(pid: u32, log: &Path) {
    let bootstrap = address(KAFKA_PORT);
    output::line(&format!(
        "\nChronik is up: process {pid}, log {}\n\n  bootstrap.servers={bootstrap}\n\n\
         Try it:\n  echo hello | kcat -b {bootstrap} -P -t greetings\n  \
         kcat -b {bootstrap} -C -t greetings -e\n  curl http://{}/metrics\n\n\
         Stop it:\n  cargo xtask down",
        log.display(),
        address(ADMIN_PORT),
    ));
}
