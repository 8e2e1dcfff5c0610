//! invariant-log: a node panicked, failed an assertion, dumped core or ended when nobody ended it.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::Invariant;

pub(crate) fn judge_report(findings: &mut Findings, line: u64, invariant: &Invariant) {
    let node = invariant
        .node
        .map_or("a node".to_owned(), |node| format!("node {node}"));
    let detail = format!("{node}: {}: {}", invariant.kind, invariant.text);
    findings.report(Finding::new(Anomaly::InvariantLog, detail).lines([line]));
}

pub(crate) fn judge_exit(findings: &mut Findings, line: u64, node: Option<u32>, expected: bool) {
    if let (Some(node), false) = (node, expected) {
        let detail = format!("node {node} ended by itself");
        findings.report(Finding::new(Anomaly::InvariantLog, detail).lines([line]));
    }
}
