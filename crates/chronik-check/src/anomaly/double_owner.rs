//! double-owner: one generation of a group gives one partition to two consumers.

use super::group::Owner;
use crate::finding::{Anomaly, Finding, Findings};
use crate::history::Name;

/// Owners of older generations are fenced: they may still believe, but their commits must fail.
pub(crate) fn judge(
    findings: &mut Findings,
    group: &Name,
    partition: &Name,
    owners: &[Owner],
    owner: &Owner,
) {
    let other = owners
        .iter()
        .find(|other| other.generation == owner.generation && other.proc != owner.proc);
    if let Some(other) = other {
        let detail = format!(
            "{group} gave {partition} to clients {} and {} in generation {}",
            other.proc, owner.proc, owner.generation
        );
        findings.report(
            Finding::new(Anomaly::DoubleOwner, detail)
                .place(partition)
                .lines([other.line, owner.line]),
        );
    }
}
