//! dirty-then-lost: a record was polled once, was never acknowledged, and is absent from the final log.

use crate::finding::{Anomaly, Finding, Findings};
use crate::state::{Partition, Writer};
use std::ops::Range;

pub(crate) fn report(
    findings: &mut Findings,
    partition: &Partition,
    id: u32,
    writer: &Writer,
    seqs: &Range<u64>,
    offset: Option<u64>,
    lines: [u64; 4],
) {
    findings.accuse(id, seqs.start, || {
        let value = writer.value(seqs.start);
        let count = seqs.end - seqs.start;
        let detail = format!(
            "{count} record(s) from {value} were polled, and the final log has them no more"
        );
        let mut finding = Finding::new(Anomaly::DirtyThenLost, detail)
            .place(&partition.name)
            .value(value)
            .lines(lines);
        finding.offset = offset;
        finding
    });
}
