//! chronik-bench as its users run it: a real program against a real cluster, in good times and in bad ones.
//!
//! `CHRONIK_TEST_TARGET=kafka` and `CHRONIK_TEST_NODES=3` choose another cluster, `CHRONIK_TEST_BROWSER=chromium` also opens
//! the reports.

mod browser;
mod ground;
mod liar;
mod load;
mod verbs;

use std::fs;
use std::thread;
use std::time::Duration;

use chronik_local::{wait, workspace_dir};
use rustix::process::Signal;
use serde_json::Value;

use ground::Ground;
use liar::Lie;
use load::{Load, assert_valid, count, number, schema};

const SNAPSHOT_BOUND: Duration = Duration::from_secs(30);
const INTERRUPTED: i32 = 130;
const INTEGRITY: i32 = 5;

impl Ground {
    fn load(&self, arguments: &str) -> Load {
        Load::start(self.dir(), &self.bootstrap(), arguments)
    }
}

#[test]
fn the_line_of_the_documentation_works() {
    let ground = Ground::start();
    let line = "--topic perf-baseline --mode produce --concurrency 64 --message-size 1024 --duration 4s --acks all";
    let mut load = ground.load(&format!("{line} --warmup 1s --csv"));
    let result = load.end_with(0);
    assert_eq!(result["schema"], "chronik-bench/1");
    assert_eq!(result["complete"], true);
    assert_eq!(result["workload"]["loop"], "closed");
    assert_eq!(result["target"]["partitions"], 6);
    assert!(number(&result, "/throughput/msgs_per_second") > 100.0);
    // Where the time goes is known of every request.
    assert!(count(&result, "/decomposition_us/network_and_broker/count") > 0);
    let page = load.read("report.html");
    assert!(page.contains("<svg") && !page.contains("<script"));
    assert!(!page.contains("https://") && !page.contains("NaN"));
    assert!(load.read("latency.hlog").contains("Tag=ack-service,"));
    assert!(load.read("intervals.csv").lines().count() > 4);
    ground.finish();
}

#[test]
fn every_mode_runs() {
    let ground = Ground::start();
    let short = "--warmup 500ms --duration 2s";
    let modes = [
        "--mode e2e --rate 500 --verify full --idempotent",
        "--mode fanout --groups 2 --rate 300 --key random:50",
        "--mode round-trip --concurrency 2",
        "--mode mixed --rate 500 --consume-rate 300",
        "--mode connect --concurrency 2",
        "--mode metadata --concurrency 2 --partitions 2",
        "--mode backlog --backlog 1M --rate 500",
        "--rate-profile burst:200@1s,900@500ms --arrival poisson --compression zstd --topics 2",
        "--messages 2k --rate 2k --message-size 50..900 --key zipf:1,100",
        "--rate 500 --until-steady --key seq",
    ];
    for (number, mode) in modes.into_iter().enumerate() {
        let mut load = ground.load(&format!("--topic mode-{number} {mode} {short}"));
        load.end_with(0);
        for dir in load.dirs() {
            let text = fs::read_to_string(dir.join("result.json")).expect("a result");
            let result: Value = serde_json::from_str(&text).expect("a JSON document");
            assert_valid(&result);
            let throughput = &result["throughput"];
            let done = throughput["acked"]
                .as_u64()
                .max(throughput["consumed"].as_u64());
            assert!(done > Some(0), "{mode}: {throughput}");
            assert_eq!(count(&result, "/errors/failed"), 0, "{mode}");
            if mode.contains("connect") {
                assert!(count(&result, "/latency_us/by_tag/group-join/count") > 0);
            }
            browser::assert_opens(&dir.join("report.html"));
        }
    }
    let mut load = ground.load("--topic mode-0 --mode consume");
    let result = load.end_with(0);
    assert_eq!(result["time"]["window_end"], "end-of-data");
    assert!(count(&result, "/throughput/consumed") > 500);
    ground.finish();
}

#[test]
fn a_stopped_broker_shows_in_the_open_loop_and_hides_in_the_closed_one() {
    let ground = Ground::start();
    let mut open = ground.load("--topic open --rate 1k --warmup 1s --duration 6s");
    open.await_window();
    pause_for_a_second(&ground);
    let result = open.end_with(0);
    // A sixth of the messages was meant to leave while nobody answered, so even p95 is in the stall.
    assert!(number(&result, "/latency_us/by_tag/ack-response/p999") > 800_000.0);
    assert!(number(&result, "/latency_us/by_tag/ack-response/p95") > 300_000.0);

    let mut closed = ground.load("--topic closed --concurrency 8 --warmup 1s --duration 6s");
    closed.await_window();
    pause_for_a_second(&ground);
    let result = closed.end_with(0);
    assert!(number(&result, "/latency_us/by_tag/ack-service/p99") < 500_000.0);
    assert!(number(&result, "/latency_us/by_tag/ack-service/max") > 800_000.0);
    let basis = result["latency_us"]["basis"].as_str().unwrap();
    assert!(basis.contains("hides itself"), "{basis}");
    ground.finish();
}

#[test]
fn an_interrupt_leaves_a_valid_report_that_says_so() {
    let ground = Ground::start();
    let mut load = ground.load("--topic interrupted --rate 500 --warmup 1s --duration 10m");
    load.await_window();
    load.signal(Signal::INT);
    let result = load.end_with(INTERRUPTED);
    assert_eq!(result["complete"], false);
    assert_eq!(result["time"]["window_end"], "interrupted");
    assert!(count(&result, "/throughput/acked") > 100);
    assert!(load.read("report.md").contains("Incomplete"));
    browser::assert_opens(&load.dir().expect("a result").join("report.html"));
    ground.finish();
}

#[test]
fn a_killed_tool_leaves_a_valid_result_and_a_snapshot_is_a_report() {
    let ground = Ground::start();
    let mut load = ground.load("--topic killed-tool --rate 500 --warmup 1s --duration 10m");
    load.await_window();
    let first = load.result();
    assert_valid(&first);
    assert_eq!(first["complete"], false);
    load.signal(Signal::USR1);
    wait::until("a snapshot", SNAPSHOT_BOUND, || {
        let page = load.dir()?.join("report.html");
        (page.is_file() && count(&load.result(), "/throughput/acked") > 100).then_some(())
    })
    .unwrap_or_else(|late| panic!("{late}; {}", load.log()));
    load.kill();
    let result = load.result();
    assert_valid(&result);
    assert_eq!(result["time"]["window_end"], "running");
    assert_eq!(result["complete"], false);
    assert!(load.read("report.md").contains("Incomplete"));
    ground.finish();
}

#[test]
fn a_killed_broker_leaves_a_report_with_the_gap_in_it() {
    let mut ground = Ground::start();
    let mut load = ground.load(
        "--topic killed --rate 500 --warmup 1s --duration 8s --drain 2s --idempotent --verify full -X message.timeout.ms=2000",
    );
    load.await_window();
    ground.kill_one();
    let code = load.end();
    let result = load.result();
    assert_valid(&result);
    browser::assert_opens(&load.dir().expect("a result").join("report.html"));
    if ground.is_alone() {
        assert_ne!(code, 0);
        let failed = count(&result, "/errors/failed") + count(&result, "/latency_us/censored");
        assert!(failed > 500, "{failed}");
        let rows = load.read("intervals.ndjson");
        assert!(rows.lines().any(|row| row.contains("\"acked\":0,")));
    } else {
        // The others take over, and whoever waited for them waited longer than ever before.
        let latency = "/latency_us/by_tag/ack-response";
        let median = number(&result, &format!("{latency}/p50"));
        assert!(number(&result, &format!("{latency}/max")) > 20.0 * median);
        assert_eq!(count(&result, "/integrity/lost"), 0, "{}", load.log());
    }
}

#[test]
fn lies_of_a_broker_are_found() {
    let cases = [
        (Lie::None, ""),
        (Lie::FlipBit, "corrupt"),
        (Lie::LoseRecord, "lost"),
        (Lie::RepeatRecord, "duplicated"),
        (Lie::SwapRecords, "reordered"),
    ];
    for (lie, finding) in cases {
        let (broker, _proxy) = liar::start(lie);
        let mut load = Load::start(
            broker.dir(),
            &broker.bootstrap(),
            "--topic lies --partitions 1 --rate 500 --warmup 500ms --duration 2s --idempotent --verify full --message-size 100 --entropy 1",
        );
        if finding.is_empty() {
            let result = load.end_with(0);
            assert_eq!(result["integrity"]["violations"], Value::Array(Vec::new()));
            continue;
        }
        let result = load.end_with(INTEGRITY);
        let found = count(&result, &format!("/integrity/{finding}"));
        assert_eq!(found, 1, "{lie:?}: {}", result["integrity"]);
    }
}

#[test]
fn the_published_schema_is_fresh() {
    let kept = fs::read_to_string(workspace_dir().join("docs/chronik-bench-result.schema.json"));
    assert!(
        kept.expect("a kept schema") == schema(),
        "docs/chronik-bench-result.schema.json is stale; write it again with: cargo xtask docs"
    );
}

/// The stall is what is tested: it lasts a second by definition.
fn pause_for_a_second(ground: &Ground) {
    ground.pause();
    thread::sleep(Duration::from_secs(1));
    ground.resume();
}
