//! nonmonotonic-poll: one consumer steps back without having asked to. In a group it may follow from a rebalance: counted.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::{Name, PollMode};

pub(crate) fn judge(
    findings: &mut Findings,
    partition: &Name,
    mode: PollMode,
    next: u64,
    got: u64,
    lines: [u64; 2],
) {
    if mode == PollMode::Group {
        return findings.count(Anomaly::NonmonotonicPoll, 1);
    }
    let detail = format!(
        "after offset {} the consumer is given {got}",
        next.saturating_sub(1)
    );
    findings.report(
        Finding::new(Anomaly::NonmonotonicPoll, detail)
            .place(partition)
            .offset(got)
            .lines(lines),
    );
}
