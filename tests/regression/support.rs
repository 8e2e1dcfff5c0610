//! What every test needs: a fresh broker, the drivers of the foreign clients, and a check of the log at the end.

use std::fmt::Write as _;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use chronik_local::foreign::{maven, run, venv};
use chronik_local::{ChronikOptions, KafkaOptions, Node, target_dir, workspace_dir};
use tempfile::TempDir;

/// Versions of `kafka-clients`: the last of the old line, and the current one.
pub(crate) const JAVA_CLIENTS: [&str; 2] = ["3.9.1", chronik_local::kafka::VERSION];

/// A broker in a folder of its own, killed when the test ends.
pub(crate) struct Broker {
    node: Node,
    dir: TempDir,
}

impl Broker {
    /// A fresh broker: Chronik, or Apache Kafka when `CHRONIK_TEST_TARGET=kafka` proves the drivers.
    pub(crate) fn start() -> Self {
        let dir = test_dir();
        let node = if is_kafka_the_target() {
            KafkaOptions::new(dir.path())
                .with("num.partitions", "4")
                .with("group.initial.rebalance.delay.ms", "0")
                .start()
        } else {
            ChronikOptions::new(server(), dir.path())
                .with("group.initial_rebalance_delay", "0ms")
                .start()
        };
        let node = node.unwrap_or_else(|refused| panic!("{}", chain(&refused)));
        Self { node, dir }
    }

    /// A node that was started in another way.
    pub(crate) fn of(node: Node, dir: TempDir) -> Self {
        Self { node, dir }
    }

    /// A folder for files of the test.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn kill_and_restart(&mut self) {
        self.node.kill().expect("SIGKILL ends the broker");
        self.node
            .begin()
            .unwrap_or_else(|refused| panic!("{}", chain(&refused)));
    }

    /// Stops in order and fails on error lines that nobody announced.
    pub(crate) fn finish(mut self) {
        self.node
            .stop()
            .unwrap_or_else(|refused| panic!("{}", chain(&refused)));
        if is_kafka_the_target() {
            return;
        }
        let offences = self.node.unannounced_errors(&[]).expect("a readable log");
        assert!(
            offences.is_empty(),
            "the broker logged:\n{}",
            offences.join("\n")
        );
    }
}

impl Deref for Broker {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl DerefMut for Broker {
    fn deref_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = std::fs::read(self.node.log()).unwrap_or_default();
            let text = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            println!("last lines of the broker's log:\n{last}");
        }
    }
}

/// Whether the drivers are being proven against Apache Kafka.
pub(crate) fn is_kafka_the_target() -> bool {
    choice("CHRONIK_TEST_TARGET").is_some_and(|target| target == "kafka")
}

/// What whoever started the tests has chosen.
#[expect(
    clippy::disallowed_methods,
    reason = "a test binary has no other way to be given a choice"
)]
pub(crate) fn choice(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The server of this checkout.
pub(crate) fn server() -> PathBuf {
    built("chronik-server")
}

/// The operators' tool of this checkout.
pub(crate) fn chronikctl() -> PathBuf {
    built("chronikctl")
}

/// The load generator of this checkout.
pub(crate) fn bench() -> PathBuf {
    built("chronik-bench")
}

/// The tool that breaks clusters, of this checkout.
pub(crate) fn chaos() -> PathBuf {
    built("chronik-chaos")
}

/// All programs are built once, and together: each alone would want its dependencies with other features, and cargo
/// would compile most of them again.
fn built(program: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(workspace_dir())
            .args(["build", "--quiet", "--workspace", "--bins", "--target-dir"])
            .arg(target_dir());
        run("cargo build", &mut cargo).unwrap_or_else(|failed| panic!("{failed}"));
    });
    target_dir().join("debug").join(program)
}

/// A folder on the disk the build lies on; system-wide temporary folders may be in memory.
pub(crate) fn test_dir() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the test")
}

/// A class of `clients/java`, compiled against a version of the official client.
pub(crate) fn java(version: &str, class: &str) -> Command {
    let name = format!("java-client-{version}");
    let jars = maven::class_path(
        &name,
        &[
            ("org.apache.kafka", "kafka-clients", version),
            ("org.slf4j", "slf4j-nop", "1.7.36"),
        ],
    );
    let jars = jars.unwrap_or_else(|failed| panic!("{}", chain(&failed)));
    let sources = files_of("java", "java");
    let classes = maven::compile(&format!("java-drivers-{version}"), &sources, &jars)
        .unwrap_or_else(|failed| panic!("{}", chain(&failed)));
    let mut command = Command::new("java");
    command
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(format!("{}:{jars}", classes.display()))
        .arg(class);
    command
}

/// A script of `clients/python`, in an environment with the pinned packages.
pub(crate) fn python(script: &str) -> Command {
    let dir = workspace_dir().join("tests/regression/clients/python");
    let requirements =
        std::fs::read_to_string(dir.join("requirements.txt")).expect("the pinned packages");
    let python = venv::python("python-clients", &requirements)
        .unwrap_or_else(|failed| panic!("{}", chain(&failed)));
    let mut command = Command::new(python);
    command.arg("-B").arg(dir.join(script));
    command
}

/// Runs a driver to its end; a failure shows what it printed.
pub(crate) fn drive(what: &str, command: &mut Command) -> String {
    let output = run(what, command).unwrap_or_else(|failed| panic!("{}", chain(&failed)));
    println!("{what}:\n{output}");
    output
}

fn files_of(folder: &str, extension: &str) -> Vec<PathBuf> {
    let dir = workspace_dir()
        .join("tests/regression/clients")
        .join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .expect("the folder of the drivers")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
