//! epoch-regress: the leader epoch of records falls as the offset grows.

use crate::finding::{Anomaly, Finding, Findings};
use crate::state::{Partition, Run};

/// Compares a newly seen run with its neighbours.
pub(crate) fn judge(findings: &mut Findings, partition: &Partition, run: &Run) {
    if run.epoch < 0 {
        return;
    }
    let before = partition.observed.range(..run.offset).next_back();
    let after = partition.observed.range(run.offset..).next();
    if let Some((_, before)) = before
        && before.epoch > run.epoch
    {
        report(findings, partition, before, run);
    }
    if let Some((_, after)) = after
        && (0..run.epoch).contains(&after.epoch)
    {
        report(findings, partition, run, after);
    }
}

fn report(findings: &mut Findings, partition: &Partition, lower: &Run, higher: &Run) {
    let detail = format!(
        "epoch {} at offset {} is followed by epoch {} at offset {}",
        lower.epoch, lower.offset, higher.epoch, higher.offset
    );
    findings.report(
        Finding::new(Anomaly::EpochRegress, detail)
            .place(&partition.name)
            .offset(higher.offset)
            .lines([lower.line, higher.line]),
    );
}
