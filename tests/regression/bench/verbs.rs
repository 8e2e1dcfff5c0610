//! The verbs beside `run`, each end to end and as short as it can be.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::browser;
use super::ground::Ground;
use super::load::{Load, assert_valid, count, folders, number};
use crate::support::bench;

const USAGE: i32 = 2;
const INCONCLUSIVE: i32 = 4;

/// Of OpenMessaging Benchmark, as far as it matters.
const OPEN_MESSAGING: &str = r#"{"workload": "w", "driver": "d", "messageSize": 1024, "topics": 1, "partitions": 1,
    "publishRate": [100.0, 102.0], "consumeRate": [], "aggregatedPublishLatencyAvg": 1.0,
    "aggregatedPublishLatency50pct": 1.0, "aggregatedPublishLatency99pct": 2.0, "aggregatedPublishLatencyMax": 3.0}"#;

#[test]
fn results_are_verified_compared_merged_and_kept() {
    let ground = Ground::start();
    let mut load = ground.load("--topic kept --concurrency 8 --warmup 0s --duration 2s --repeat 2");
    let result = load.end_with(0);
    assert_eq!(result["repeats"].as_array().map(Vec::len), Some(2));
    let out = load.out().display().to_string();
    let text = told(&["verify", "kept", "-b", &ground.bootstrap()], 0);
    assert!(
        text.contains("records read, 0 of them not of this tool"),
        "{text}"
    );
    assert!(
        text.contains(result["run"].as_str().expect("a run")),
        "{text}"
    );

    // Two runs against themselves: nothing differs, and two runs make no baseline.
    let text = told(&["compare", &out, &out, "--fail-on", "throughput=-10"], 0);
    assert!(text.contains("pass"), "{text}");
    let baselines = format!("{out}-baselines");
    let refused = told(
        &["baseline", "--baselines", &baselines, "save", "main", &out],
        USAGE,
    );
    assert!(refused.contains("at least 5 are needed"), "{refused}");
    let other = load.out().join("open-messaging.json");
    fs::write(&other, OPEN_MESSAGING).expect("a file");
    let other = other.display().to_string();
    told(&["compare", &out, &other], USAGE);
    let text = told(&["compare", &out, &other, "--force"], INCONCLUSIVE);
    assert!(
        text.contains("FORCED") && text.contains("not gated"),
        "{text}"
    );
    told(&["trend", &out], 0);

    // The runs lay behind each other, so they are no two generators of one load; one beside itself is.
    let dirs: Vec<String> = load
        .dirs()
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    told(&["merge", &dirs[0], &dirs[1], "--out", &out], USAGE);
    told(&["merge", &dirs[0], &dirs[0], "--out", &out], 0);
    let merged = folders(load.out())
        .into_iter()
        .next_back()
        .expect("a result");
    let text = fs::read_to_string(merged.join("result.json")).expect("a result");
    let merged: Value = serde_json::from_str(&text).expect("a JSON document");
    assert_valid(&merged);
    let single = count(&result, "/throughput/acked");
    assert!(count(&merged, "/throughput/acked").abs_diff(2 * single) < single / 2);
    ground.finish();
}

#[test]
fn a_soak_survives_its_own_death_and_accounts_for_both_lives() {
    let ground = Ground::start();
    let mut first = Load::verb(
        ground.dir(),
        &format!(
            "soak --bootstrap-servers {} --topic soak --rate 500 --warmup 500ms --duration 8s --checkpoint 1s --idempotent",
            ground.bootstrap()
        ),
    );
    let soak = chronik_local::wait::until(
        "the soak's folder",
        std::time::Duration::from_secs(60),
        || {
            let soak = first.dir()?;
            let rows = fs::read_to_string(folders(&soak).first()?.join("intervals.ndjson")).ok()?;
            (rows.matches("\"phase\":\"window\"").count() >= 3).then_some(soak)
        },
    )
    .unwrap_or_else(|late| panic!("{late}; {}", first.log()));
    first.kill();
    let mut second = Load::verb(ground.dir(), &format!("soak --resume {}", soak.display()));
    let code = second.end();
    let text = fs::read_to_string(soak.join("result.json")).expect("one result");
    let result: Value = serde_json::from_str(&text).expect("a JSON document");
    assert_valid(&result);
    assert!([0, 6].contains(&code), "{code}: {}", second.log());
    assert_eq!(result["complete"], true);
    assert_eq!(result["repeats"].as_array().map(Vec::len), Some(2));
    assert!(number(&result, "/time/window_s") >= 7.0);
    for trouble in ["lost", "duplicated", "reordered", "corrupt"] {
        assert_eq!(
            count(&result, &format!("/integrity/{trouble}")),
            0,
            "{trouble}"
        );
    }
    // Of the killed life only its rows can tell what was acknowledged.
    let life = |number: usize| soak.join(result["repeats"][number].as_str().expect("a life"));
    let rows = fs::read_to_string(life(0).join("intervals.ndjson")).expect("rows");
    let killed: u64 = rows
        .lines()
        .map_while(|row| serde_json::from_str::<Value>(row).ok())
        .map(|row| count(&row, "/acked"))
        .sum();
    let text = fs::read_to_string(life(1).join("result.json")).expect("a result");
    let resumed: Value = serde_json::from_str(&text).expect("a JSON document");
    let resumed = count(&resumed, "/integrity/acked");
    assert!(killed > 0 && resumed > 0, "{killed} and {resumed}");
    let acked = count(&result, "/integrity/acked");
    assert_eq!(acked, killed + resumed);
    assert!(count(&result, "/integrity/read") >= acked, "{acked}");
    assert!(
        fs::read_to_string(soak.join("report.md"))
            .expect("a report")
            .contains("2 lives")
    );
    ground.finish();
}

#[test]
fn a_suite_goes_on_where_it_was_interrupted() {
    let ground = Ground::start();
    let suite = ground.dir().join("suite.toml");
    let workload = |name: &str| {
        format!(
            "[[workloads]]\nname = \"{name}\"\narguments = \"--rate 300 --warmup 200ms --duration 2s\"\n"
        )
    };
    let target = |name: &str| {
        format!(
            "[[targets]]\nname = \"{name}\"\nbootstrap = \"{}\"\n",
            ground.bootstrap()
        )
    };
    let text = format!(
        "name = \"two\"\nabout = \"Two names of one cluster.\"\n{}{}{}{}",
        target("one"),
        target("other"),
        workload("first"),
        workload("second")
    );
    fs::write(&suite, text).expect("a file");
    let mut load = Load::verb(
        ground.dir(),
        &format!("suite {} --rounds 1", suite.display()),
    );
    let dir = chronik_local::wait::until(
        "a result of the suite",
        std::time::Duration::from_secs(60),
        || {
            let dir = load.dir()?;
            (folders(&dir).len() >= 2).then_some(dir)
        },
    )
    .unwrap_or_else(|late| panic!("{late}; {}", load.log()));
    load.signal(Signal::INT);
    // Whatever else a run that was cut short says of itself, the suite is over for now.
    load.end();
    assert!(load.log().contains("go on with --resume"), "{}", load.log());
    let mut rest = Load::verb(ground.dir(), &format!("suite --resume {}", dir.display()));
    let code = rest.end();
    assert!([0, 6].contains(&code), "{code}: {}", rest.log());
    let report = fs::read_to_string(dir.join("report.md")).expect("a report");
    let rows = report.matches("| one | 1 |").count() + report.matches("| other | 1 |").count();
    assert_eq!(rows, 4, "{report}");
    assert!(report.contains("other over one"), "{report}");
    browser::assert_opens(&dir.join("report.html"));
    ground.finish();
}

#[test]
fn a_maximum_is_searched_and_a_ratio_is_told() {
    let ground = Ground::start();
    let bootstrap = ground.bootstrap();
    let mut search = Load::verb(
        ground.dir(),
        &format!(
            "find-max --bootstrap-servers {bootstrap} --topic searched --slo throughput<900 --start 500 --step 500ms"
        ),
    );
    let code = search.end();
    // The generator may have been late in a step that missed the goal, which makes the answer a lower bound or none.
    assert!([0, INCONCLUSIVE].contains(&code), "{}", search.log());
    let text = fs::read_to_string(search.out().join("find-max.json")).expect("an answer");
    let found: Value = serde_json::from_str(&text).expect("a JSON document");
    let maximum = found["maximum_per_second"].as_f64();
    assert!(maximum.is_some() || code == INCONCLUSIVE, "{found}");
    if let Some(maximum) = maximum {
        assert!(maximum > 0.0 && maximum < 1_000.0, "{found}");
        // It was looked for: a little more was tried and missed the goal.
        let steps = found["steps"].as_array().expect("steps");
        let is_next = |step: &Value| {
            let rate = number(step, "/target_per_second");
            step["meets_goal"] == false && rate > maximum && rate < maximum * 1.04
        };
        assert!(steps.iter().any(is_next), "{found}");
    }
    browser::assert_opens(&search.out().join("find-max.html"));

    let mut ratio = Load::verb(
        ground.dir(),
        &format!(
            "ratio --bootstrap-servers {bootstrap} --standalone {bootstrap} --topic ratio --concurrency 8 --warmup 200ms --duration 500ms --repeat 2"
        ),
    );
    // On one host the ratio is told and never gated.
    assert_eq!(ratio.end(), INCONCLUSIVE, "{}", ratio.log());
    assert!(ratio.log().contains("per replica byte"), "{}", ratio.log());
    ground.finish();
}

#[test]
fn the_generator_is_calibrated_without_a_cluster() {
    let dir = crate::support::test_dir();
    let mut load = Load::verb(dir.path(), "calibrate --duration 1s");
    assert_eq!(load.end(), 0, "{}", load.log());
    let text = fs::read_to_string(load.out().join("calibration.json")).expect("a calibration");
    let found: Value = serde_json::from_str(&text).expect("a JSON document");
    assert!(
        number(&found, "/ceiling_msgs_per_second") > 1_000.0,
        "{found}"
    );
}

/// What a verb prints, if it ends with this code.
fn told(arguments: &[&str], code: i32) -> String {
    let output = Command::new(bench())
        .args(arguments)
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}
