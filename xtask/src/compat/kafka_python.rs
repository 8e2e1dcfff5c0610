//! kafka-python's integration suite, from its source distribution, one process and one fresh node per test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chronik_local::foreign::{self, install_once, venv};
use chronik_local::{Launch, LocalError, target_dir, wait};

use super::report::{self, CaseResult, Verdict};
use super::target::{AutoCreate, Nodes};
use super::{Options, lists};
use crate::error::XtaskError;
use crate::{Outcome, output, step};

const SUITE: &str = "kafka-python";
const VERSION: &str = "3.0.12";
/// The suite skips what the named broker does not have.
const BROKER_VERSION: &str = "3.9.0";
const REQUIREMENTS: &str = "\
cramjam==2.11.0
lz4==4.4.4
mock==5.2.0
py==1.11.0
pytest==8.4.2
pytest-mock==3.15.1
pytest-timeout==2.4.0
python-snappy==0.7.3
zstandard==0.25.0
";
const BOUND: Duration = Duration::from_secs(180);
/// A module of the suite that its source distribution lacks.
const LEFT_OUT_MODULE: &str =
    include_str!("../../../tests/regression/compat/kafka-python/service.py");
/// pytest's exit code for "no test was selected".
const NOTHING_RAN: i32 = 5;

struct Suite {
    python: PathBuf,
    dir: PathBuf,
}

pub(super) fn run(options: &Options) -> Outcome {
    let lists = lists::read(SUITE, options.nodes)?;
    let suite = install()?;
    let nodes = Nodes::new(options)?;
    let is_wanted = |name: &&String| options.only.as_ref().is_none_or(|part| name.contains(part));
    let names: Vec<&String> = lists
        .denominator
        .iter()
        .map(|(name, _)| name)
        .filter(is_wanted)
        .collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let work = || -> Outcome {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = suite.run_case(name, &nodes)?;
            output::line(&result.line());
            results.lock().expect("no worker panics").push(result);
        }
        Ok(())
    };
    output::heading(&format!("{SUITE}: {} cases", names.len()));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..options.jobs).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    let results = results.into_inner().expect("no worker panics");
    report::conclude(SUITE, options, &lists, results)
}

fn install() -> Result<Suite, XtaskError> {
    let python = venv::python("kafka-python-suite", REQUIREMENTS)?;
    let dir = target_dir()
        .join("foreign")
        .join(format!("kafka-python-{VERSION}"));
    let recipe = format!("{VERSION}\n{LEFT_OUT_MODULE}");
    install_once(&dir, &recipe, || {
        let mut pip = Command::new(&python);
        pip.current_dir(&dir)
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--no-binary",
                ":all:",
            ])
            .arg(format!("kafka-python=={VERSION}"));
        foreign::run("pip download", &mut pip)?;
        let mut tar = Command::new("tar");
        tar.current_dir(&dir).args([
            "-xzf",
            &format!("kafka_python-{VERSION}.tar.gz"),
            "--strip-components=1",
        ]);
        foreign::run("tar", &mut tar)?;
        // Without this file Python takes its own package of the same name.
        let package = dir.join("test/__init__.py");
        std::fs::write(&package, "").map_err(LocalError::file("write", package))?;
        let left_out = dir.join("test/service.py");
        std::fs::write(&left_out, LEFT_OUT_MODULE).map_err(LocalError::file("write", left_out))
    })?;
    Ok(Suite { python, dir })
}

impl Suite {
    fn run_case(&self, name: &str, nodes: &Nodes) -> Result<CaseResult, XtaskError> {
        let logs = step::work_dir("compat/kafka-python")?;
        let dir =
            tempfile::tempdir_in(&logs).map_err(XtaskError::file("make a folder in", &logs))?;
        let cluster = nodes.start(dir.path(), AutoCreate::On)?;
        let log = logs.join(format!("{}.log", file_name(name)));
        // The log is appended to, and only this run counts.
        let _ = std::fs::remove_file(&log);
        let variables = [
            // The suite wants one address.
            (
                "KAFKA_URI",
                format!("kafka://{}", cluster.node(1).bootstrap()),
            ),
            ("KAFKA_VERSION", BROKER_VERSION.to_owned()),
            // Its fixtures want a folder of broker programs even when they are told not to start one.
            ("KAFKA_ROOT", self.dir.display().to_string()),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
        ];
        let begin = Instant::now();
        let mut pytest = Launch {
            name: name.to_owned(),
            program: self.python.clone(),
            args: ["-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs"]
                .map(Into::into)
                .into_iter()
                .chain([format!("test/integration/{name}").into()])
                .collect(),
            environment: variables.map(|(name, value)| (name.into(), value)).into(),
            working_dir: self.dir.clone(),
            log: log.clone(),
        }
        .spawn()?;
        let ended = wait::until("the end of the test", BOUND, || pytest.exit_status());
        drop(pytest);
        let took = begin.elapsed();
        drop(cluster);
        let verdict = match ended {
            Err(_) => Verdict::TimedOut,
            Ok(status) => verdict(status.code(), &log)?,
        };
        Ok(CaseResult {
            name: name.to_owned(),
            verdict,
            took,
        })
    }
}

fn verdict(code: Option<i32>, log: &Path) -> Result<Verdict, XtaskError> {
    let text = std::fs::read_to_string(log).map_err(XtaskError::file("read", log))?;
    let last = text
        .lines()
        .rev()
        .find(|line| line.contains(" in "))
        .unwrap_or_default();
    Ok(match code {
        Some(0) if last.contains("passed") => Verdict::Passed,
        Some(0 | NOTHING_RAN) => Verdict::Skipped,
        _ => Verdict::Failed,
    })
}

fn file_name(case: &str) -> String {
    case.replace(['/', ':', '[', ']'], "_")
}
