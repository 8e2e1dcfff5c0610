//! misrouted: a record is read in another partition than it was sent to or acknowledged in.

use crate::finding::{Anomaly, Finding, Findings};
use crate::state::{Partition, Send};

/// A send whose partition a foreign partitioner chose, read in `partition`.
pub(crate) fn judge_place(
    findings: &mut Findings,
    partition: &Partition,
    (writer, seq): (u32, u64),
    send: &Send,
) {
    if send.claim.is_none() {
        return;
    }
    findings.accuse(writer, seq, || {
        let detail =
            format!("sequence {seq} was acknowledged in another partition than it is read in");
        let mut finding = Finding::new(Anomaly::Misrouted, detail)
            .place(&partition.name)
            .lines(send.lines());
        finding.offset = send.place;
        finding
    });
}
