//! Starts nodes on localhost, the first one on the ports a server without arguments uses, and leaves them running.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chronik_local::{ChronikOptions, Doors, Launch, probe, process_exists, wait, workspace_dir};
use clap::Args;

use crate::error::XtaskError;
use crate::{Outcome, output, step};

/// The first node's; each further node has the next ones.
const KAFKA_PORT: u16 = 9092;
const PEER_PORT: u16 = 9192;
const ADMIN_PORT: u16 = 9292;
/// Long enough to recover a full disk; a fresh cluster needs a second or two.
const READY_BOUND: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(crate) struct Options {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let running = running_pids();
    if !running.is_empty() {
        return Err(XtaskError::Refused(format!(
            "{} is up already; stop it with: cargo xtask down",
            processes(&running)
        )));
    }
    let doors: Vec<Doors> = (0..options.nodes).map(doors).collect();
    refuse_taken_ports(&doors)?;
    let program = step::release_server()?;
    let launches = launches(program, &doors)?;
    let mut pids = Vec::new();
    for launch in &launches {
        pids.push(launch.spawn_detached()?);
        // Written at once, so that `down` finds also what another node's failure left behind.
        note(&pids)?;
    }
    for ((pid, launch), doors) in pids.iter().zip(&launches).zip(&doors) {
        await_ready(*pid, launch, doors)?;
    }
    greet(&pids, &launches, &doors);
    Ok(())
}

/// The nodes that `up` started, as far as they still run.
pub(crate) fn running_pids() -> Vec<u32> {
    let noted = fs::read_to_string(pid_file()).unwrap_or_default();
    let pids = noted.lines().filter_map(|line| line.trim().parse().ok());
    pids.filter(|pid| is_server(*pid)).collect()
}

pub(crate) fn pid_file() -> PathBuf {
    root_dir().join("chronik-server.pids")
}

/// "process 7" or "processes 7, 8".
pub(crate) fn processes(pids: &[u32]) -> String {
    let noun = if pids.len() == 1 {
        "process"
    } else {
        "processes"
    };
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    format!("{noun} {}", pids.join(", "))
}

/// After a reboot the number may belong to somebody else.
fn is_server(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim() == "chronik-server" && process_exists(pid)
}

fn root_dir() -> PathBuf {
    workspace_dir().join(".chronik")
}

fn doors(position: u16) -> Doors {
    let address = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port + position));
    Doors {
        kafka: address(KAFKA_PORT),
        peer: address(PEER_PORT),
        admin: address(ADMIN_PORT),
    }
}

/// One node keeps its data beside that of a cluster, so that neither is taken for the other.
fn launches(program: PathBuf, doors: &[Doors]) -> Result<Vec<Launch>, XtaskError> {
    let dir = root_dir();
    fs::create_dir_all(&dir).map_err(XtaskError::file("create", &dir))?;
    let options = ChronikOptions::new(program, &dir);
    Ok(match doors {
        [one] => vec![options.launch(*one)?],
        several => options.launches(several)?,
    })
}

fn refuse_taken_ports(doors: &[Doors]) -> Outcome {
    for address in doors.iter().flat_map(Doors::all) {
        TcpListener::bind(address).map_err(|error| {
            let port = address.port();
            XtaskError::Refused(format!(
                "port {port} is taken by another process ({error}); find it with: ss -ltnp 'sport = :{port}'"
            ))
        })?;
    }
    Ok(())
}

fn note(pids: &[u32]) -> Outcome {
    let lines: Vec<String> = pids.iter().map(u32::to_string).collect();
    let path = pid_file();
    fs::write(&path, lines.join("\n")).map_err(XtaskError::file("write", &path))
}

fn await_ready(pid: u32, launch: &Launch, doors: &Doors) -> Outcome {
    let ready = wait::until("a ready node", READY_BOUND, || {
        if !process_exists(pid) {
            return Some(false);
        }
        let is_ready =
            probe::serves_kafka(doors.kafka) && probe::http_ok(doors.admin, "/readyz").is_some();
        is_ready.then_some(true)
    });
    let name = &launch.name;
    match ready {
        Ok(true) => Ok(()),
        Ok(false) => Err(XtaskError::Refused(format!(
            "{name} ended at once; it said:\n{}",
            launch.log_tail()
        ))),
        Err(timed_out) => Err(XtaskError::Refused(format!(
            "{timed_out}; {name} said:\n{}\n\nStop what runs with: cargo xtask down",
            launch.log_tail()
        ))),
    }
}

fn greet(pids: &[u32], launches: &[Launch], doors: &[Doors]) {
    let bootstrap: Vec<String> = doors.iter().map(|doors| doors.kafka.to_string()).collect();
    let bootstrap = bootstrap.join(",");
    let logs: Vec<String> = launches.iter().map(|launch| shown(&launch.log)).collect();
    output::line(&format!(
        "\nChronik is up: {}\n\n  bootstrap.servers={bootstrap}\n\n\
         Try it:\n  echo hello | kcat -b {bootstrap} -P -t greetings\n  \
         kcat -b {bootstrap} -C -t greetings -e\n  curl http://{}/metrics\n\n\
         Look at it:\n  tail -f {}\n\n\
         Stop it:\n  cargo xtask down",
        processes(pids),
        doors[0].admin,
        logs.join(" "),
    ));
}

/// Relative to the checkout, where the commands are typed.
fn shown(path: &Path) -> String {
    let path = path.strip_prefix(workspace_dir()).unwrap_or(path);
    path.display().to_string()
}
