//! Golden histories: for each class one that breaks the promise and one that only looks like it.

use chronik_check::history::{Action, Reader};
use chronik_check::{Anomaly, Checker, Contract, Report};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder(anomaly: Anomaly) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(anomaly.name())
}

fn check(path: &Path, make: fn(Contract) -> Checker) -> Report {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut checker = make(Contract::Chronik);
    for event in Reader::new(&bytes[..]) {
        let (line, event) = event.unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        if let Action::Run(run) = &event.action {
            checker = make(run.contract);
        }
        checker
            .feed(line, &event)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    checker.finish()
}

fn histories(anomaly: Anomaly, prefix: &str) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder(anomaly)).unwrap_or_else(|error| panic!("{anomaly}: {error}"));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect();
    paths.retain(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    });
    paths.sort();
    assert!(!paths.is_empty(), "{anomaly} has no {prefix} history");
    paths
}

#[test]
fn bad_histories_show_their_class_and_no_other() {
    for anomaly in Anomaly::ALL {
        for path in histories(*anomaly, "bad") {
            for make in [Checker::offline, Checker::online] {
                let report = check(&path, make);
                let found: BTreeSet<Anomaly> = report.totals.keys().copied().collect();
                assert_eq!(
                    found,
                    BTreeSet::from([*anomaly]),
                    "{}: {:#?}",
                    path.display(),
                    report.findings
                );
                assert!(
                    report
                        .findings
                        .iter()
                        .all(|finding| !finding.lines.is_empty())
                );
            }
        }
    }
}

#[test]
fn good_histories_are_clean() {
    for anomaly in Anomaly::ALL {
        for path in histories(*anomaly, "good") {
            for make in [Checker::offline, Checker::online] {
                let report = check(&path, make);
                assert!(
                    report.findings.is_empty(),
                    "{}: {:#?}",
                    path.display(),
                    report.findings
                );
            }
        }
    }
}
