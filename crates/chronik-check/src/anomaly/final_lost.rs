//! final-lost: acknowledged, and after the heal absent from the final read or beyond the log's end.

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
        let detail =
            format!("{count} acknowledged record(s) from {value} are not in the final log");
        let mut finding = Finding::new(Anomaly::FinalLost, detail)
            .place(&partition.name)
            .value(value)
            .lines(lines);
        finding.offset = offset;
        finding
    });
}
