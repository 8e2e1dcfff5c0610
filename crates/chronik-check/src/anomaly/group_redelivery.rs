//! group-redelivery: records come again that were committed already. After a rebalance the uncommitted tail may come again: counted.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::Name;
use std::ops::Range;

/// `resumed_at` is the lowest offset from which the owner may begin.
pub(crate) fn judge(
    findings: &mut Findings,
    group: &Name,
    partition: &Name,
    again: Range<u64>,
    resumed_at: Option<(u64, u64)>,
    line: u64,
) {
    match resumed_at {
        Some((lowest, assigned_line)) if again.start < lowest => {
            let detail = format!(
                "{group} had committed {lowest} and is given offset {} again",
                again.start
            );
            findings.report(
                Finding::new(Anomaly::GroupRedelivery, detail)
                    .place(partition)
                    .offset(again.start)
                    .lines([assigned_line, line]),
            );
        }
        _ => findings.count(Anomaly::GroupRedelivery, again.end - again.start),
    }
}
