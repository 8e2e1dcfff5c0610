//! Our own drivers for the official Java client, each of their steps a case.

use std::time::{Duration, Instant};

use chronik_local::foreign::maven;
use chronik_local::{Launch, kafka, wait, workspace_dir};

use super::report::{self, CaseResult, Verdict};
use super::target::{AutoCreate, Nodes};
use super::{Options, lists};
use crate::error::XtaskError;
use crate::{Outcome, output, step};

const SUITE: &str = "java";
const VERSIONS: [&str; 2] = ["3.9.1", kafka::VERSION];
const RECORDS: &str = "5000";
const BOUND: Duration = Duration::from_secs(600);

pub(super) fn run(options: &Options) -> Outcome {
    let lists = lists::read(SUITE, options.nodes)?;
    let nodes = Nodes::new(options)?;
    let mut seen = Vec::new();
    for version in VERSIONS {
        seen.extend(drive(version, &nodes)?);
    }
    // A driver that dies early must not make the denominator smaller.
    let wanted = lists.denominator.iter().map(|(name, _)| unescape(name));
    let results = wanted
        .filter(|name| options.only.as_ref().is_none_or(|part| name.contains(part)))
        .map(|name| CaseResult {
            verdict: seen
                .iter()
                .find(|(found, _)| *found == name)
                .map_or(Verdict::Failed, |(_, verdict)| *verdict),
            name: escape(&name),
            took: Duration::ZERO,
        })
        .collect();
    report::conclude(SUITE, options, &lists, results)
}

fn drive(version: &str, nodes: &Nodes) -> Result<Vec<(String, Verdict)>, XtaskError> {
    output::heading(&format!("java client {version}"));
    let (classes, jars) = build(version)?;
    let dir = tempfile::tempdir_in(step::work_dir("compat")?)
        .map_err(XtaskError::file("make a folder in", "target/compat"))?;
    let mut cluster = nodes.start(dir.path(), AutoCreate::On)?;
    let log = dir.path().join("driver.log");
    let mut driver = Launch {
        name: format!("java-{version}"),
        program: "java".into(),
        args: [
            "-cp",
            &format!("{classes}:{jars}"),
            "Driver",
            &cluster.bootstrap(),
            RECORDS,
        ]
        .map(Into::into)
        .into(),
        environment: Vec::new(),
        working_dir: dir.path().to_path_buf(),
        log: log.clone(),
    }
    .spawn()?;
    let begin = Instant::now();
    // A driver that hangs is killed when it is dropped; the steps it never reached count as failed.
    let _ = wait::until("the end of the driver", BOUND, || driver.exit_status());
    let text = std::fs::read_to_string(&log).map_err(XtaskError::file("read", &log))?;
    output::line(&text);
    output::line(&format!("took {:.1?}", begin.elapsed()));
    cluster.stop()?;
    Ok(text
        .lines()
        .filter_map(|line| parse(version, line))
        .collect())
}

/// Folder of the compiled drivers, and the class path of the client of this version.
pub(crate) fn build(version: &str) -> Result<(String, String), XtaskError> {
    let jars = maven::class_path(
        &format!("java-client-{version}"),
        &[
            ("org.apache.kafka", "kafka-clients", version),
            ("org.slf4j", "slf4j-nop", "1.7.36"),
        ],
    )?;
    let dir = workspace_dir().join("tests/regression/clients/java");
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(XtaskError::file("list", &dir))? {
        sources.push(entry.map_err(XtaskError::file("list", &dir))?.path());
    }
    sources.sort();
    let classes = maven::compile(&format!("java-drivers-{version}"), &sources, &jars)?;
    Ok((classes.display().to_string(), jars))
}

/// `ok NAME` or `FAIL NAME | REASON`.
fn parse(version: &str, line: &str) -> Option<(String, Verdict)> {
    let (verdict, name) = if let Some(name) = line.strip_prefix("ok ") {
        (Verdict::Passed, name)
    } else {
        let (name, _) = line.strip_prefix("FAIL ")?.split_once(" | ")?;
        (Verdict::Failed, name)
    };
    Some((format!("{version} {name}"), verdict))
}

/// Names of cases are one word in the lists.
fn escape(name: &str) -> String {
    name.replace(' ', "_")
}

fn unescape(name: &str) -> String {
    name.replace('_', " ")
}
