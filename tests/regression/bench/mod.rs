//! chronik-bench as its users run it: a real program against a real broker, in good times and in bad ones.

mod liar;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use chronik_local::foreign::run;
use chronik_local::{wait, workspace_dir};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Broker, bench};
use liar::Lie;

const END_BOUND: Duration = Duration::from_secs(120);
const ROW_BOUND: Duration = Duration::from_secs(60);
/// An invalid measurement: on a busy machine sends are late, and the tool has to say so.
const INVALID: i32 = 6;

/// A run of the tool whose results lie in a folder of the test.
struct Run {
    child: Child,
    out: PathBuf,
}

#[test]
fn the_line_of_the_documentation_works() {
    let broker = Broker::start();
    let line = "--topic perf-baseline --mode produce --concurrency 64 --message-size 1024 --duration 4s --acks all";
    let mut load = Run::start(&broker, &format!("{line} --warmup 1s"));
    assert_eq!(load.end(), 0);
    let result = load.result();
    assert_eq!(result["schema"], "chronik-bench/1");
    assert_eq!(result["complete"], true);
    assert_eq!(result["workload"]["loop"], "closed");
    assert_eq!(result["target"]["partitions"], 6);
    assert!(number(&result, "/throughput/msgs_per_second") > 100.0);
    assert_valid(&result);
    let page = load.read("report.html");
    assert!(page.contains("<svg") && !page.contains("<script"));
    assert!(!page.contains("https://") && !page.contains("NaN"));
    assert!(load.read("latency.hlog").contains("Tag=ack-service,"));
    broker.finish();
}

#[test]
fn every_mode_runs() {
    let broker = Broker::start();
    let short = "--warmup 500ms --duration 2s";
    let modes = [
        "--mode e2e --rate 500 --verify full --idempotent",
        "--mode fanout --groups 2 --rate 300 --key random:50",
        "--mode round-trip --concurrency 2",
        "--mode mixed --rate 500 --consume-rate 300",
        "--mode connect --concurrency 2",
        "--mode metadata --concurrency 2 --partitions 2",
        "--rate-profile burst:200@1s,900@500ms --arrival poisson --compression zstd --topics 2",
        "--messages 2k --rate 2k --message-size 50..900 --key zipf:1,100",
    ];
    for (number, mode) in modes.into_iter().enumerate() {
        let mut load = Run::start(&broker, &format!("--topic mode-{number} {mode} {short}"));
        let code = load.end();
        assert!([0, INVALID].contains(&code), "{mode}: exit {code}");
        let result = load.result();
        assert!(number_of(&result, "/throughput/acked") > 0, "{mode}");
        assert_eq!(number_of(&result, "/errors/failed"), 0, "{mode}");
        assert_valid(&result);
    }
    let mut load = Run::start(&broker, "--topic mode-0 --mode consume");
    assert_eq!(load.end(), 0);
    let result = load.result();
    assert_eq!(result["time"]["window_end"], "end-of-data");
    assert!(number_of(&result, "/throughput/consumed") > 500);
    broker.finish();
}

#[test]
fn a_stopped_broker_shows_in_the_open_loop_and_hides_in_the_closed_one() {
    let broker = Broker::start();
    let mut open = Run::start(&broker, "--topic open --rate 1k --warmup 1s --duration 6s");
    open.await_window();
    pause_for_a_second(&broker);
    assert!([0, INVALID].contains(&open.end()));
    let result = open.result();
    // A sixth of the messages was meant to leave while nobody answered, so even p95 is in the stall.
    assert!(number(&result, "/latency_us/by_tag/ack-response/p999") > 800_000.0);
    assert!(number(&result, "/latency_us/by_tag/ack-response/p95") > 300_000.0);

    let mut closed = Run::start(
        &broker,
        "--topic closed --concurrency 8 --warmup 1s --duration 6s",
    );
    closed.await_window();
    pause_for_a_second(&broker);
    assert!([0, INVALID].contains(&closed.end()));
    let result = closed.result();
    assert!(number(&result, "/latency_us/by_tag/ack-service/p99") < 500_000.0);
    assert!(number(&result, "/latency_us/by_tag/ack-service/max") > 800_000.0);
    let basis = result["latency_us"]["basis"].as_str().unwrap();
    assert!(basis.contains("hides itself"), "{basis}");
    broker.finish();
}

#[test]
fn an_interrupt_leaves_a_valid_report_that_says_so() {
    let broker = Broker::start();
    let mut load = Run::start(
        &broker,
        "--topic interrupted --rate 500 --warmup 1s --duration 10m",
    );
    load.await_window();
    load.signal(Signal::INT);
    assert!([130, INVALID].contains(&load.end()));
    let result = load.result();
    assert_eq!(result["complete"], false);
    assert_eq!(result["time"]["window_end"], "interrupted");
    assert!(number_of(&result, "/throughput/acked") > 100);
    assert_valid(&result);
    assert!(load.read("report.md").contains("Incomplete"));
    broker.finish();
}

#[test]
fn a_killed_broker_leaves_a_report_with_the_gap_in_it() {
    let mut broker = Broker::start();
    let mut load = Run::start(
        &broker,
        "--topic killed --rate 500 --warmup 1s --duration 8s --drain 2s --idempotent --verify full -X message.timeout.ms=2000",
    );
    load.await_window();
    broker.kill().expect("SIGKILL ends the broker");
    let code = load.end();
    assert_ne!(code, 0);
    let result = load.result();
    assert_valid(&result);
    let failed = number_of(&result, "/errors/failed") + number_of(&result, "/latency_us/censored");
    assert!(failed > 500, "{failed}");
    let rows = load.read("intervals.ndjson");
    assert!(rows.lines().any(|row| row.contains("\"acked\":0,")));
}

#[test]
fn lies_of_a_broker_are_found() {
    let cases = [
        (Lie::None, 0, ""),
        (Lie::FlipBit, 1, "corrupt"),
        (Lie::RepeatRecord, 1, "duplicated"),
        (Lie::RepeatRecord, 1, "lost"),
        (Lie::SwapRecords, 1, "reordered"),
    ];
    for (lie, least, finding) in cases {
        let (broker, _proxy) = liar::start(lie);
        let mut load = Run::start(
            &broker,
            "--topic lies --partitions 1 --rate 500 --warmup 500ms --duration 2s --idempotent --verify full --message-size 100 --entropy 1",
        );
        let code = load.end();
        let result = load.result();
        if finding.is_empty() {
            assert_ne!(code, 5, "{}", result["integrity"]);
            assert_eq!(result["integrity"]["violations"], Value::Array(Vec::new()));
            continue;
        }
        assert_eq!(code, 5, "{lie:?}: {}", result["integrity"]);
        let found = number_of(&result, &format!("/integrity/{finding}"));
        assert!(found >= least, "{lie:?}: {}", result["integrity"]);
    }
}

#[test]
fn a_topic_is_verified_by_its_own_records() {
    let broker = Broker::start();
    let mut load = Run::start(
        &broker,
        "--topic verified --messages 1k --rate 1k --warmup 0s",
    );
    assert!([0, INVALID].contains(&load.end()));
    let mut verify = Command::new(bench());
    verify.args(["verify", "verified", "-b", &broker.bootstrap()]);
    let text = run("chronik-bench verify", &mut verify).expect("a clean topic");
    assert!(
        text.contains("1000 records read, 0 of them not of this tool"),
        "{text}"
    );
    broker.finish();
}

#[test]
fn results_are_compared_and_become_a_baseline_only_if_they_may() {
    let broker = Broker::start();
    let mut load = Run::start(
        &broker,
        "--topic compared --concurrency 8 --warmup 500ms --duration 1s --repeat 2",
    );
    assert!([0, INVALID].contains(&load.end()));
    let program = || Command::new(bench());
    let out = load.out.display().to_string();
    let same = program()
        .args(["compare", &out, &out])
        .output()
        .expect("it starts");
    // Two runs of a closed loop: the throughput is equal, and there is no latency to gate.
    assert!(
        [Some(0), Some(INVALID)].contains(&same.status.code()),
        "{same:?}"
    );
    let refused = program()
        .args([
            "baseline",
            "--baselines",
            &format!("{out}/baselines"),
            "save",
            "main",
            &out,
        ])
        .output()
        .expect("it starts");
    assert_eq!(refused.status.code(), Some(2));
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(reason.contains("at least 5 are needed"), "{reason}");
    broker.finish();
}

#[test]
fn the_published_schema_is_fresh() {
    let made = schema();
    let kept = fs::read_to_string(workspace_dir().join("docs/chronik-bench-result.schema.json"));
    assert!(
        kept.expect("a kept schema") == made,
        "docs/chronik-bench-result.schema.json is stale; write it again with: cargo xtask docs"
    );
}

impl Run {
    fn start(broker: &Broker, arguments: &str) -> Self {
        let out = tempfile::tempdir_in(broker.dir()).expect("a folder").keep();
        let log = fs::File::create(out.join("stderr.log")).expect("a log");
        let child = Command::new(bench())
            .args(["--bootstrap-servers", &broker.bootstrap(), "--out"])
            .arg(&out)
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("chronik-bench starts");
        Self { child, out }
    }

    /// Waits until a second of the window is on disk.
    fn await_window(&self) {
        wait::until("a row of the window", ROW_BOUND, || {
            let rows = fs::read_to_string(self.dir()?.join("intervals.ndjson")).ok()?;
            rows.contains("\"phase\":\"window\"").then_some(())
        })
        .unwrap_or_else(|late| panic!("{late}; {}", self.log()));
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), signal).expect("the signal arrives");
    }

    fn end(&mut self) -> i32 {
        let ended = wait::until("the end of chronik-bench", END_BOUND, || {
            self.child.try_wait().expect("a child")
        });
        let status = ended.unwrap_or_else(|late| panic!("{late}; {}", self.log()));
        status
            .code()
            .unwrap_or_else(|| panic!("{status}; {}", self.log()))
    }

    fn result(&self) -> Value {
        serde_json::from_str(&self.read("result.json")).expect("a JSON document")
    }

    fn read(&self, name: &str) -> String {
        let path = self.dir().expect("a result").join(name);
        fs::read_to_string(&path).unwrap_or_else(|_| panic!("{}; {}", path.display(), self.log()))
    }

    fn dir(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(&self.out).ok()?;
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.is_dir())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.out.join("stderr.log")).unwrap_or_default()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It has ended unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The stall is what is tested: it lasts a second by definition.
fn pause_for_a_second(broker: &Broker) {
    broker.pause().expect("SIGSTOP arrives");
    thread::sleep(Duration::from_secs(1));
    broker.resume().expect("SIGCONT arrives");
}

fn schema() -> String {
    let mut program = Command::new(bench());
    run("chronik-bench schema", program.arg("schema")).expect("a schema")
}

fn assert_valid(result: &Value) {
    let schema: Value = serde_json::from_str(&schema()).expect("a JSON document");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let faults: Vec<String> = validator
        .iter_errors(result)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
}

fn number(result: &Value, pointer: &str) -> f64 {
    let found = result.pointer(pointer).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("{pointer} in {result:#}"))
}

fn number_of(result: &Value, pointer: &str) -> u64 {
    let found = result.pointer(pointer).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("{pointer} in {result:#}"))
}
