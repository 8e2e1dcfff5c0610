//! The operators' tool against real clusters: what it says, what it changes, and what it ends with.

mod contract;
mod disk;
mod local;
mod mirror;
mod moves;
mod raft;
mod reasons;
mod records;
mod snapshots;
mod steer;
mod view;
mod words;

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chronik_local::{ChronikOptions, Cluster, wait};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{chronikctl, server, test_dir};

const ALL: [usize; 3] = [1, 2, 3];
/// No call of the tool takes longer, not even one that waits for something, on a busy machine.
const RUN_BOUND: Duration = Duration::from_secs(120);
/// No change of leaders takes longer, not even on a busy machine.
const CHANGE_BOUND: Duration = Duration::from_secs(60);

/// Three nodes and the tool, with a folder for what the tool writes down.
struct Three {
    cluster: Cluster,
    dir: TempDir,
}

/// What the tool said and how it ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
    took: Duration,
}

impl Three {
    fn start() -> Three {
        Three::with_later(0)
    }

    /// Three nodes that run, and addresses for others that may join.
    fn with_later(later: usize) -> Three {
        let dir = test_dir();
        let cluster = ChronikOptions::new(server(), dir.path())
            .with("group.initial_rebalance_delay", "0ms")
            .cluster_with_later(ALL.len(), later);
        let mut three = Three {
            cluster: cluster.expect("three nodes"),
            dir,
        };
        three.cluster.spawn(&ALL).expect("three processes");
        three.cluster.await_ready(&ALL).expect("three ready nodes");
        three
    }

    /// A topic with three replicas of its one partition, led by somebody.
    fn with_topic(name: &str) -> Three {
        let three = Three::start();
        let created = three.run(&["topic", "create", name, "-p", "1", "-r", "3", "--yes"]);
        assert_eq!(created.code, 0, "{created:?}");
        let settled = three.cluster.await_first_leaders(&ALL, name);
        settled.expect("leaders that stay");
        three
    }

    /// Asks one node, the same one as before, so that what it has answered is known to it: the first that runs.
    fn run(&self, arguments: &[&str]) -> Ended {
        let running = ALL
            .into_iter()
            .find(|id| self.cluster.node(*id).pid().is_some());
        match running {
            Some(id) => self.ask(&[id], arguments),
            None => self.ask(&ALL, arguments),
        }
    }

    /// Asks these nodes.
    fn ask(&self, nodes: &[usize], arguments: &[&str]) -> Ended {
        let admin = nodes.iter().map(|id| self.admin(*id)).collect::<Vec<_>>();
        let mut command = self.command();
        command.args(["--admin", &admin.join(",")]);
        command.args(["--server", &self.cluster.bootstrap()]);
        run(command.args(arguments), &self.dir)
    }

    /// The data of an answer that must come.
    fn data(&self, arguments: &[&str]) -> Value {
        self.run(arguments).data()
    }

    fn admin(&self, id: usize) -> String {
        let address = self.cluster.node(id).admin_address();
        address.expect("Chronik has an admin door").to_string()
    }

    /// The tool with nothing of this user's environment.
    fn command(&self) -> Command {
        command(&self.dir)
    }

    /// Stops in order and fails on error lines that nobody announced.
    fn finish(mut self) {
        self.cluster.stop().expect("an orderly end");
        let offences = self.cluster.unannounced_errors(&[]).expect("readable logs");
        assert!(offences.is_empty(), "{}", offences.join("\n"));
    }
}

impl Ended {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The data of an answer, which must be a yes.
    fn data(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        self.json()["data"].clone()
    }

    /// The code of a refusal in JSON, with the exit code.
    fn refusal(&self) -> (i32, String) {
        let code = self.json()["error"]["code"].clone();
        (self.code, code.as_str().expect("a code").to_owned())
    }
}

fn command(dir: &TempDir) -> Command {
    let mut command = Command::new(chronikctl());
    command
        .env_clear()
        .env("HOME", dir.path())
        .env(
            "PATH",
            server().parent().expect("the folder of the programs"),
        )
        .stdin(Stdio::null());
    command
}

/// Runs to the end, which must come.
fn run(command: &mut Command, dir: &TempDir) -> Ended {
    let said = TempDir::new_in(dir.path()).expect("a folder for what is said");
    let (out, err) = (said.path().join("out"), said.path().join("err"));
    let begun = Instant::now();
    let mut child = command
        .stdout(File::create(&out).expect("a file"))
        .stderr(File::create(&err).expect("a file"))
        .spawn()
        .expect("the tool starts");
    let ended = wait::until("the end of the tool", RUN_BOUND, || {
        child.try_wait().expect("a child of ours")
    });
    if ended.is_err() {
        _ = child.kill();
    }
    let took = begun.elapsed();
    let read = |path| String::from_utf8(fs::read(path).expect("what was said")).expect("text");
    let (stdout, stderr) = (read(out), read(err));
    let status = ended.unwrap_or_else(|late| panic!("{late}: {stdout}{stderr}"));
    Ended {
        code: status.code().expect("no signal ended it"),
        stdout,
        stderr,
        took,
    }
}
