//! A soak of one Chronik node: the tool is killed in the middle and resumed, and a process beside it leaks on purpose.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chronik_local::contender::{Contender, Kind};
use chronik_local::{LocalError, wait};
use clap::Args;
use serde_json::Value;

use super::loader::{Loader, ended};
use super::store;
use super::verdict::{self, Check};
use crate::error::XtaskError;
use crate::{Outcome, output, step};

const ONE_NODE: Contender = Contender {
    kind: Kind::Chronik,
    nodes: 1,
};
/// Grows by as many bytes as its argument says each second, and touches them.
const LEAK: &str = "import sys, time\nkept = []\nwhile True:\n    kept.append(b'x' * int(sys.argv[1]))\n    time.sleep(1)\n";
/// Of the limit that chronik-bench has by default, in megabytes per minute.
const LEAK_LIMIT_MB: f64 = 1.0;
/// From a second in the middle until a file of the tool shows it.
const ROW_BOUND: Duration = Duration::from_secs(120);

#[derive(Args)]
pub(crate) struct Options {
    /// Length of the window over both lives of the tool
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Messages of 1 KiB per second
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Megabytes per minute by which a process beside the brokers grows
    #[arg(long, default_value_t = 5.0)]
    leak_mb: f64,
    /// A server to load instead of this checkout's
    #[arg(long)]
    server: Option<PathBuf>,
}

/// A child that ends with its handle.
struct Owned(Child);

pub(crate) fn run(options: &Options) -> Outcome {
    let store = store::open("soak", false)?;
    let server = step::server(options.server.as_deref())?;
    let loader = Loader::new(None)?;
    let dir = tempfile::tempdir_in(store.dir())
        .map_err(XtaskError::file("make a folder in", store.dir()))?;
    let (mut cluster, _) = ONE_NODE.start(&server, dir.path(), &BTreeMap::new())?;
    let leak = leak(options.leak_mb)?;
    let out = store.dir().join("results");
    output::heading("first life, to be killed in the middle");
    let mut first = loader.command(&format!(
        "soak --bootstrap-servers {} --topic soak --rate {} --duration {}m --idempotent --checkpoint 10s \
         --host-sample auto,pid:{} --progress none --out {}",
        cluster.bootstrap(),
        options.rate,
        options.minutes,
        leak.0.id(),
        out.display()
    ));
    let mut tool = Owned::start(&mut first)?;
    let soak = await_middle(&mut tool, &out, options.minutes * 30)?;
    drop(tool);
    output::heading("second life");
    let resumed =
        ended(loader.command(&format!("soak --resume {} --progress none", soak.display())))?;
    output::line(&String::from_utf8_lossy(&resumed.stdout));
    cluster.stop()?;
    let result = read(&soak.join("result.json"))?;
    let checks = checks(&result, leak.0.id());
    store.write("checks", &checks)?;
    verdict::conclude(&checks)
}

fn leak(megabytes_per_minute: f64) -> Result<Owned, XtaskError> {
    let bytes_per_second = megabytes_per_minute * 1e6 / 60.0;
    let mut python = Command::new("python3");
    python.args(["-c", LEAK, &format!("{bytes_per_second:.0}")]);
    Owned::start(&mut python)
}

impl Owned {
    fn start(command: &mut Command) -> Result<Self, XtaskError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| XtaskError::Spawn { program, source })?;
        Ok(Self(child))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SIGKILL: whoever is killed gets no chance to write another byte.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until so many seconds of the load are on disk; returns the folder of the soak.
fn await_middle(tool: &mut Owned, out: &Path, seconds: u64) -> Result<PathBuf, XtaskError> {
    let bound = Duration::from_secs(seconds) + ROW_BOUND;
    let found = wait::until("the middle of the soak", bound, || {
        if let Ok(Some(status)) = tool.0.try_wait() {
            return Some(Err(XtaskError::Step {
                step: "the first life of the soak".to_owned(),
                status,
            }));
        }
        std::thread::sleep(Duration::from_millis(200));
        let soak = only_folder(out)?;
        let rows = fs::read_to_string(only_folder(&soak)?.join("intervals.ndjson")).ok()?;
        (rows.lines().count() as u64 >= seconds).then_some(Ok(soak))
    });
    found.map_err(LocalError::from)?
}

fn only_folder(dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.is_dir())
}

fn read(path: &Path) -> Result<Value, XtaskError> {
    let text = fs::read_to_string(path).map_err(XtaskError::file("read", path))?;
    serde_json::from_str(&text).map_err(|_| XtaskError::Unreadable {
        tool: "chronik-bench soak",
        text,
    })
}

fn checks(result: &Value, leaking: u32) -> Vec<Check> {
    let memory = |subject: &str| {
        let leaks = result["leaks"].as_array()?.iter();
        leaks
            .into_iter()
            .find(|leak| leak["subject"] == subject && leak["resource"] == "resident bytes")
    };
    let slope = |subject: &str, bound: &str| {
        let found = memory(subject).and_then(|leak| leak["slope"][bound].as_f64());
        found.unwrap_or(f64::NAN) / 1e6
    };
    let count = |pointer: &str| {
        result
            .pointer(pointer)
            .and_then(Value::as_f64)
            .unwrap_or(f64::NAN)
    };
    let leak = format!("pid:{leaking}");
    let lives = result["repeats"].as_array().map_or(0, Vec::len);
    vec![
        Check::at_least("lives in one report", 2.0, lives as f64, ""),
        Check::at_least(
            "records read",
            count("/integrity/acked"),
            count("/integrity/read"),
            "",
        ),
        Check::at_most("records lost", 0.0, count("/integrity/lost"), ""),
        Check::at_most(
            "records duplicated",
            0.0,
            count("/integrity/duplicated"),
            "",
        ),
        Check::at_least(
            "lower bound of the planted leak",
            LEAK_LIMIT_MB,
            slope(&leak, "low"),
            " MB/min",
        )
        .with(&format!("slope {:.2} MB/min", slope(&leak, "value"))),
        Check::at_most(
            "lower bound of the broker's growth",
            LEAK_LIMIT_MB,
            slope("broker 1", "low"),
            " MB/min",
        )
        .with(&format!(
            "slope {:.2} MB/min, at most {:.2}",
            slope("broker 1", "value"),
            slope("broker 1", "high")
        )),
    ]
}
