//! What is written down of a cluster on this machine, and which of its processes run.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chronik_admin::Code;
use chronik_local::{Doors, process_exists, terminate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Table, Tone};
use crate::session::Session;

/// Where a cluster is kept, and what it is called.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// Its name, and that of its context
    #[arg(long, value_name = "NAME", default_value = "local")]
    pub(super) name: String,
    /// Where its data is kept, instead of the user's data folder
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

/// A cluster on this machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LocalCluster {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    /// What Kafka's clients call `bootstrap.servers`.
    pub(super) bootstrap: String,
    pub(super) admin: Vec<String>,
    pub(super) nodes: Vec<LocalNode>,
}

/// One of its nodes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct LocalNode {
    pub(super) node_id: usize,
    /// None while it does not run.
    pub(super) pid: Option<u32>,
    #[schemars(with = "String")]
    pub(super) kafka: SocketAddr,
    #[schemars(with = "String")]
    pub(super) peer: SocketAddr,
    #[schemars(with = "String")]
    pub(super) admin: SocketAddr,
    pub(super) log: PathBuf,
}

/// The server's own drain is shorter.
const STOP_BOUND: Duration = Duration::from_secs(60);

/// An orderly end of these processes. All at once: the last of several would look for others to lead in its place.
pub(super) fn stop(pids: &[u32]) -> Result<(), Failure> {
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let end = |pid: &u32| {
            let pid = *pid;
            scope.spawn(move || terminate(pid, STOP_BOUND))
        };
        let ends: Vec<_> = pids.iter().map(end).collect();
        let joined = ends.into_iter().map(|end| end.join());
        joined
            .map(|end| end.expect("waiting does not panic"))
            .collect()
    });
    for outcome in outcomes {
        outcome.map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
    }
    Ok(())
}

/// Nobody ever started one there.
pub(super) fn missing(directory: &Path) -> Failure {
    let message = format!("there is no cluster in {}", directory.display());
    Failure::new(Code::NotFound, message).hint("chronikctl cluster up")
}

/// The server's program: the one that is named, or beside this program, or on the PATH.
pub(crate) fn server_program(session: &Session, named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(program) = named {
        return Ok(program.to_owned());
    }
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let places = beside
        .into_iter()
        .chain(session.settings.paths.programs.iter().cloned());
    let mut found = places
        .map(|place| place.join("chronik-server"))
        .filter(|file| file.is_file());
    found.next().ok_or_else(|| {
        Failure::usage("chronik-server is neither beside this program nor on the PATH")
            .hint("name it with --program FILE")
    })
}

impl Place {
    pub(super) fn directory(&self, session: &Session) -> PathBuf {
        let named = || session.settings.paths.clusters.join(&self.name);
        self.dir.clone().unwrap_or_else(named)
    }
}

impl LocalNode {
    /// Where it keeps all that it has: beside its log.
    pub(super) fn data(&self) -> PathBuf {
        self.log.with_file_name("data")
    }

    pub(super) fn doors(&self) -> Doors {
        Doors {
            kafka: self.kafka,
            peer: self.peer,
            admin: self.admin,
        }
    }
}

impl LocalCluster {
    /// What was written down; the numbers of processes that ended are left out.
    pub(super) fn read(directory: &Path) -> Option<LocalCluster> {
        let text = fs::read_to_string(file(directory)).ok()?;
        let mut cluster: LocalCluster = serde_json::from_str(&text).ok()?;
        for node in &mut cluster.nodes {
            node.pid = node.pid.filter(|pid| is_server(*pid));
        }
        Some(cluster)
    }

    pub(super) fn write(&self) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).expect("a cluster has a JSON form");
        fs::write(file(&self.directory), text).map_err(|error| {
            let file = file(&self.directory);
            Failure::new(
                Code::Internal,
                format!("cannot write {}: {error}", file.display()),
            )
        })
    }

    pub(super) fn answer(&self) -> Answer {
        let columns = [
            Column::number("node"),
            Column::text("state"),
            Column::text("kafka"),
            Column::text("admin"),
            Column::text("peer").wide(),
            Column::text("log"),
        ];
        let mut table = Table::new(&columns);
        for node in &self.nodes {
            let state = match node.pid {
                Some(pid) => Cell::toned(Tone::Good, format!("runs as {pid}")),
                None => Cell::toned(Tone::Dim, "stopped"),
            };
            table.row(vec![
                node.node_id.into(),
                state,
                node.kafka.into(),
                node.admin.into(),
                node.peer.into(),
                node.log.display().into(),
            ]);
        }
        let mut answer = Answer::of("LocalCluster", "", self);
        answer.tables.push(table);
        answer
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("cluster.json")
}

/// After a reboot the number may belong to somebody else. Versions may have names that go on, and the kernel cuts them.
fn is_server(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.starts_with("chronik-server") && process_exists(pid)
}
