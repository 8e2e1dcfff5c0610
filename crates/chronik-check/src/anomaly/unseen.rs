//! unseen: acknowledged, in the log by its end, but the final read did not get there in its time.

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
            format!("the final read ended before {count} acknowledged record(s) from {value}");
        let mut finding = Finding::new(Anomaly::Unseen, detail)
            .place(&partition.name)
            .value(value)
            .lines(lines);
        finding.offset = offset;
        finding
    });
}
