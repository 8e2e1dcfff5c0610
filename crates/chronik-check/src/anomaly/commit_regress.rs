//! commit-regress: the committed offset that a group is told falls below one that was acknowledged before it asked.

use super::group::GroupPartition;
use crate::finding::{Anomaly, Finding, Findings};
use crate::history::Name;

/// `told` is what the coordinator answered to a question asked at line `began`.
pub(crate) fn judge(
    findings: &mut Findings,
    group: &Name,
    partition: &Name,
    state: &mut GroupPartition,
    began: u64,
    line: u64,
    told: Option<u64>,
) {
    let Some(committed) = state.committed.filter(|committed| committed.line < began) else {
        return;
    };
    let lowest_legal = state
        .lowest_open()
        .map_or(committed.offset, |open| open.min(committed.offset));
    if told.is_some_and(|told| told >= lowest_legal) {
        return;
    }
    let told_text = told.map_or("nothing".to_owned(), |told| told.to_string());
    let detail = format!(
        "{group} had committed {} in {partition} and is told {told_text}",
        committed.offset
    );
    let mut finding = Finding::new(Anomaly::CommitRegress, detail)
        .place(partition)
        .lines([committed.line, line]);
    finding.offset = told;
    findings.report(finding);
    // What follows from it is not another fault.
    state.committed = None;
}
