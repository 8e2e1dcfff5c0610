//! group-hole: a group commits past records that none of its consumers was given.

use super::group::Undelivered;
use crate::finding::{Anomaly, Finding, Findings};
use crate::history::Name;
use crate::state::Partition;

/// Only offsets where somebody else saw a record count; the others may be holes of the log.
pub(crate) fn judge(
    findings: &mut Findings,
    group: &Name,
    partition: &Partition,
    undelivered: &Undelivered,
) {
    let offsets = undelivered.offsets.clone();
    let existing = partition.observed_offsets.within(offsets).next();
    if let Some(existing) = existing {
        let detail = format!(
            "{group} committed {} and was never given the offsets from {} to {}",
            undelivered.committed,
            existing.start,
            existing.end - 1
        );
        findings.report(
            Finding::new(Anomaly::GroupHole, detail)
                .place(&partition.name)
                .offset(existing.start)
                .lines(undelivered.lines),
        );
    }
}
