//! offset-hole: an offset without a record, where the contract says that there is none.

use crate::finding::{Anomaly, Finding, Findings};
use crate::state::{Gap, Partition};

/// A reader passed the gap, nobody saw a record in it, and no acknowledgement explains it.
pub(crate) fn judge(findings: &mut Findings, partition: &mut Partition, gap: &Gap) {
    let from = gap.offsets.start.max(partition.log_start());
    if from >= gap.offsets.end {
        return;
    }
    for unclaimed in partition.claimed_offsets.missing(from..gap.offsets.end) {
        for hole in partition.reported_holes.missing(unclaimed) {
            let detail = format!(
                "no record is at the offsets from {} to {}",
                hole.start,
                hole.end - 1
            );
            findings.report(
                Finding::new(Anomaly::OffsetHole, detail)
                    .place(&partition.name)
                    .offset(hole.start)
                    .lines(gap.lines),
            );
            partition.reported_holes.insert(hole);
        }
    }
}
