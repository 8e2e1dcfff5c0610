//! A run of the tool whose results lie in a folder of the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use chronik_local::foreign::run;
use chronik_local::wait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::bench;

const END_BOUND: Duration = Duration::from_secs(180);
const ROW_BOUND: Duration = Duration::from_secs(60);
/// An invalid measurement.
const INVALID: i32 = 6;
/// What a busy machine does to a generator and its gauge, and nothing else may make a run invalid here.
const EXCUSES: [&str; 3] = [
    "audit: send lateness",
    "audit: target rate",
    "audit: little's law",
];

/// The tool, running or ended.
pub(super) struct Load {
    child: Child,
    out: PathBuf,
}

impl Load {
    /// `arguments` are as on a command line; results go to a folder below `dir`.
    pub(super) fn start(dir: &Path, bootstrap: &str, arguments: &str) -> Self {
        let out = tempfile::tempdir_in(dir).expect("a folder").keep();
        let line = format!(
            "--bootstrap-servers {bootstrap} --out {} {arguments}",
            out.display()
        );
        Self::spawn(out, &line)
    }

    /// As [`Self::start`], with a verb that comes first.
    pub(super) fn verb(dir: &Path, line: &str) -> Self {
        let out = tempfile::tempdir_in(dir).expect("a folder").keep();
        let line = format!("{line} --out {}", out.display());
        Self::spawn(out, &line)
    }

    fn spawn(out: PathBuf, line: &str) -> Self {
        let log = fs::File::create(out.join("output.log")).expect("a log");
        let child = Command::new(bench())
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("chronik-bench starts");
        Self { child, out }
    }

    /// Waits until a second of the window is on disk.
    pub(super) fn await_window(&self) {
        self.await_rows(1);
    }

    pub(super) fn await_rows(&self, count: usize) {
        wait::until("rows of the window", ROW_BOUND, || {
            let rows = fs::read_to_string(self.dir()?.join("intervals.ndjson")).ok()?;
            let of_window = rows.matches("\"phase\":\"window\"").count();
            (of_window >= count).then_some(())
        })
        .unwrap_or_else(|late| panic!("{late}; {}", self.log()));
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), signal).expect("the signal arrives");
    }

    /// SIGKILL, and no word more.
    pub(super) fn kill(&mut self) {
        self.child.kill().expect("SIGKILL arrives");
        self.child.wait().expect("an end");
    }

    /// The exit code.
    pub(super) fn end(&mut self) -> i32 {
        let ended = wait::until("the end of chronik-bench", END_BOUND, || {
            self.child.try_wait().expect("a child")
        });
        let status = ended.unwrap_or_else(|late| panic!("{late}; {}", self.log()));
        status
            .code()
            .unwrap_or_else(|| panic!("{status}; {}", self.log()))
    }

    /// The result of a run that ended with this code, or that was spoiled by a busy machine and says so.
    pub(super) fn end_with(&mut self, expected: i32) -> Value {
        let code = self.end();
        let result = self.result();
        assert_valid(&result);
        if code == INVALID && expected != INVALID {
            assert_excused(&result);
            return result;
        }
        assert_eq!(code, expected, "{}", self.log());
        result
    }

    pub(super) fn result(&self) -> Value {
        serde_json::from_str(&self.read("result.json")).expect("a JSON document")
    }

    pub(super) fn read(&self, name: &str) -> String {
        let path = self.dir().expect("a result").join(name);
        fs::read_to_string(&path).unwrap_or_else(|_| panic!("{}; {}", path.display(), self.log()))
    }

    /// Where all results of the command are.
    pub(super) fn out(&self) -> &Path {
        &self.out
    }

    /// The first folder in it.
    pub(super) fn dir(&self) -> Option<PathBuf> {
        self.dirs().into_iter().next()
    }

    pub(super) fn dirs(&self) -> Vec<PathBuf> {
        folders(&self.out)
    }

    /// What it printed.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.out.join("output.log")).unwrap_or_default()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It has ended unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Folders in a folder, by name.
pub(super) fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut dirs: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    dirs.sort();
    dirs
}

pub(super) fn schema() -> &'static str {
    static SCHEMA: OnceLock<String> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut program = Command::new(bench());
        run("chronik-bench schema", program.arg("schema")).expect("a schema")
    })
}

/// The result is what the published schema says.
pub(super) fn assert_valid(result: &Value) {
    let schema: Value = serde_json::from_str(schema()).expect("a JSON document");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let faults: Vec<String> = validator
        .iter_errors(result)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
}

fn assert_excused(result: &Value) {
    let reasons = result["verdict"]["reasons"].as_array().expect("reasons");
    let audits = reasons
        .iter()
        .filter_map(Value::as_str)
        .filter(|reason| reason.starts_with("audit: "));
    for reason in audits {
        let is_excused = EXCUSES.iter().any(|excuse| reason.starts_with(excuse));
        assert!(is_excused, "{reason}");
    }
}

pub(super) fn number(result: &Value, pointer: &str) -> f64 {
    let found = result.pointer(pointer).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("{pointer} in {result:#}"))
}

pub(super) fn count(result: &Value, pointer: &str) -> u64 {
    let found = result.pointer(pointer).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("{pointer} in {result:#}"))
}
