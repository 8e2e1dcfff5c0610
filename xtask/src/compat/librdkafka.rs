//! librdkafka's own test runner, built from the sources in the `rdkafka-sys` crate, one process per test number.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chronik_local::foreign::{self, install_once};
use chronik_local::{Launch, LocalError, target_dir, wait};

use super::report::{self, CaseResult, Verdict};
use super::target::{AutoCreate, Nodes};
use super::{Options, lists};
use crate::error::XtaskError;
use crate::{Outcome, output, step};

const SUITE: &str = "librdkafka";
/// The crate that carries librdkafka 2.12.1 with its tests.
const CRATE_VERSION: &str = "4.10.0";
/// What the tests are told about the broker: the last version before KIP-848 became the default of some of them.
const BROKER_VERSION: &str = "3.9.0";
/// The longest tests take two minutes on an idle machine.
const BOUND: Duration = Duration::from_secs(300);
const NO_AUTO_CREATE: &str = "noautocreate";
/// In place of a scenario: the test does nothing in the runner's quick mode.
const NOT_QUICK: &str = "not-quick";

/// Tests that share a number run in one process, because the runner selects by number.
struct Group {
    number: String,
    scenario: Option<String>,
    names: Vec<String>,
}

pub(super) fn run(options: &Options) -> Outcome {
    let lists = lists::read(SUITE, options.nodes)?;
    let runner_dir = build()?;
    let nodes = Nodes::new(options)?;
    let groups = groups(&lists.denominator, options.only.as_deref());
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let work = || -> Outcome {
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = run_group(&runner_dir, group, &nodes)?;
            for result in &found {
                output::line(&result.line());
            }
            results.lock().expect("no worker panics").extend(found);
        }
        Ok(())
    };
    output::heading(&format!("{SUITE}: {} processes", groups.len()));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..options.jobs).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    let results = results.into_inner().expect("no worker panics");
    report::conclude(SUITE, options, &lists, results)
}

/// Fetches the crate, copies its C sources and builds library and tests once; returns the folder of the tests.
fn build() -> Result<PathBuf, XtaskError> {
    foreign::require("g++", "apt-get install -y g++ make")?;
    require_header(
        "/usr/include/rapidjson/document.h",
        "apt-get install -y rapidjson-dev",
    )?;
    require_header("/usr/include/zstd.h", "apt-get install -y libzstd-dev")?;
    let dir = target_dir()
        .join("foreign")
        .join(format!("librdkafka-{CRATE_VERSION}"));
    let recipe = format!("rdkafka-sys {CRATE_VERSION} with rapidjson and zstd");
    install_once(&dir, &recipe, || {
        output::heading("build librdkafka and its tests (some minutes, once)");
        let sources = fetch_sources(&dir)?;
        let mut copy = Command::new("cp");
        foreign::run("cp", copy.arg("-r").arg(sources).arg(dir.join("lrk")))?;
        let mut make = Command::new("sh");
        make.current_dir(dir.join("lrk")).args([
            "-ec",
            "chmod +x configure lds-gen.py mklove/* tests/*.sh\n\
             ./configure --disable-curl --disable-sasl\n\
             make -j2 libs\n\
             make -j2 -C tests build",
        ]);
        foreign::run("the build of librdkafka", &mut make).map(drop)
    })?;
    Ok(dir.join("lrk/tests"))
}

/// Without these the runner skips tests instead of failing.
fn require_header(path: &'static str, next_step: &'static str) -> Result<(), LocalError> {
    if Path::new(path).is_file() {
        return Ok(());
    }
    Err(LocalError::MissingTool {
        tool: path,
        next_step,
    })
}

/// A package of its own, so that the workspace does not depend on a C library it never links.
fn fetch_sources(dir: &Path) -> Result<PathBuf, LocalError> {
    let package = dir.join("package");
    let source_dir = package.join("src");
    fs::create_dir_all(&source_dir).map_err(LocalError::file("create", &source_dir))?;
    let write =
        |path: PathBuf, text: &str| fs::write(&path, text).map_err(LocalError::file("write", path));
    write(source_dir.join("lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"sources\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nrdkafka-sys = {{ version = \"={CRATE_VERSION}\", default-features = false }}\n"
    );
    write(package.join("Cargo.toml"), &manifest)?;
    let mut metadata = Command::new("cargo");
    metadata
        .current_dir(&package)
        .args(["metadata", "--format-version", "1"]);
    let text = foreign::run("cargo metadata", &mut metadata)?;
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let manifest = parsed["packages"]
        .as_array()
        .and_then(|packages| {
            packages
                .iter()
                .find(|package| package["name"] == "rdkafka-sys")
        })
        .and_then(|package| package["manifest_path"].as_str())
        .expect("cargo metadata names the package that the manifest asks for");
    let folder = Path::new(manifest)
        .parent()
        .expect("a manifest lies in a folder");
    Ok(folder.join("librdkafka"))
}

fn groups(denominator: &[(String, Option<String>)], only: Option<&str>) -> Vec<Group> {
    let mut groups: BTreeMap<(String, Option<String>), Vec<String>> = BTreeMap::new();
    for (name, scenario) in denominator {
        if only.is_some_and(|part| !name.contains(part)) {
            continue;
        }
        let number = name.split('_').next().unwrap_or(name).to_owned();
        groups
            .entry((number, scenario.clone()))
            .or_default()
            .push(name.clone());
    }
    groups
        .into_iter()
        .map(|((number, scenario), names)| Group {
            number,
            scenario,
            names,
        })
        .collect()
}

fn run_group(
    runner_dir: &Path,
    group: &Group,
    nodes: &Nodes,
) -> Result<Vec<CaseResult>, XtaskError> {
    let logs = step::work_dir("compat/librdkafka")?;
    let dir = tempfile::tempdir_in(&logs).map_err(XtaskError::file("make a folder in", &logs))?;
    let auto_create = match group.scenario.as_deref() {
        Some(NO_AUTO_CREATE) => AutoCreate::Off,
        _ => AutoCreate::On,
    };
    let cluster = nodes.start(dir.path(), auto_create)?;
    let test_dir = dir.path().join("client");
    fs::create_dir(&test_dir).map_err(XtaskError::file("create", &test_dir))?;
    let settings = test_dir.join("test.conf");
    let text = format!(
        "bootstrap.servers={}\ntest.topic.random=true\n",
        cluster.bootstrap()
    );
    fs::write(&settings, text).map_err(XtaskError::file("write", &settings))?;
    let log = logs.join(format!("{}.log", group.number));
    // The log is appended to, and only this run counts.
    let _ = fs::remove_file(&log);
    let libraries = runner_dir.parent().expect("the tests lie in the sources");
    // One test reads a schema from the folder next to its own.
    let schema_dir = dir.path().join("src");
    symlink(libraries.join("src"), &schema_dir).map_err(XtaskError::file("link", schema_dir))?;
    let mut args = vec!["-p1".into()];
    match group.scenario.as_deref() {
        Some(NOT_QUICK) => {}
        Some(scenario) => args.extend(["-Q".into(), "-s".into(), scenario.into()]),
        None => args.push("-Q".into()),
    }
    let variables = [
        (
            "LD_LIBRARY_PATH",
            format!("{0}/src:{0}/src-cpp", libraries.display()),
        ),
        ("TEST_KAFKA_VERSION", BROKER_VERSION.into()),
        ("TESTS", group.number.clone()),
        ("RDKAFKA_TEST_CONF", settings.display().to_string()),
    ];
    let begin = Instant::now();
    let mut runner = Launch {
        name: format!("librdkafka {}", group.number),
        program: runner_dir.join("test-runner"),
        args,
        environment: variables.map(|(name, value)| (name.into(), value)).into(),
        working_dir: test_dir,
        log: log.clone(),
    }
    .spawn()?;
    let ended = wait::until("the end of the test", BOUND, || runner.exit_status());
    drop(runner);
    let took = begin.elapsed();
    drop(cluster);
    let bytes = fs::read(&log).map_err(XtaskError::file("read", &log))?;
    let text = String::from_utf8_lossy(&bytes);
    let result = |name: &String| CaseResult {
        name: name.clone(),
        verdict: match &ended {
            Err(_) => Verdict::TimedOut,
            Ok(_) => verdict(&text, name),
        },
        took,
    };
    Ok(group.names.iter().map(result).collect())
}

/// The runner says it in a line of its own: `==== Test 0073_headers PASSED ====`.
fn verdict(log: &str, name: &str) -> Verdict {
    let says = |word: &str| log.contains(&format!("= Test {name} {word} ="));
    if says("PASSED") {
        Verdict::Passed
    } else if says("SKIPPED") {
        Verdict::Skipped
    } else {
        Verdict::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
\x1b[32m[0001_multiobj / 1.2s] ================= Test 0001_multiobj PASSED =================
[0101_fetch_from_follower / 0s] ================= Test 0101_fetch_from_follower SKIPPED =================
[0045_subscribe_update / 3s] ================= Test 0045_subscribe_update FAILED =================
";

    #[test]
    fn the_lines_of_the_runner_are_understood() {
        assert_eq!(verdict(LOG, "0001_multiobj"), Verdict::Passed);
        assert_eq!(verdict(LOG, "0101_fetch_from_follower"), Verdict::Skipped);
        assert_eq!(verdict(LOG, "0045_subscribe_update"), Verdict::Failed);
        assert_eq!(verdict(LOG, "0002_absent"), Verdict::Failed);
    }

    #[test]
    fn tests_with_one_number_and_scenario_share_a_process() {
        let names = [
            ("0045_a", None),
            ("0045_b", Some("noautocreate")),
            ("0045_c", None),
        ]
        .map(|(name, scenario)| (name.to_owned(), scenario.map(str::to_owned)));
        let groups = groups(&names, None);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].names, ["0045_a", "0045_c"]);
    }
}
