//! stale-tail: the end of a log is told lower than it had been told before the question was asked.
//!
//! Chronik confirms its leadership before it answers ListOffsets, so there it is an error.
//! Kafka does not, and a fetch's high watermark may lag by right: a warning.

use crate::contract::Contract;
use crate::finding::{Anomaly, Finding, Findings};
use crate::state::{Partition, Told};

pub(crate) fn judge_log_end(
    findings: &mut Findings,
    partition: &mut Partition,
    contract: Contract,
    began: u64,
    line: u64,
    offset: u64,
) {
    if let Some(before) = partition
        .log_end
        .before(began)
        .filter(|before| offset < before.offset)
    {
        let finding = finding(partition, "log end", before, offset, [began, line]);
        findings.report(match contract.log_end_is_linearizable() {
            true => finding,
            false => finding.warning(),
        });
    }
    partition.log_end.tell(offset, line);
}

pub(crate) fn judge_high_watermark(
    findings: &mut Findings,
    partition: &mut Partition,
    began: u64,
    line: u64,
    offset: u64,
) {
    if let Some(before) = partition
        .high_watermark
        .before(began)
        .filter(|before| offset < before.offset)
    {
        findings
            .report(finding(partition, "high watermark", before, offset, [began, line]).warning());
    }
    partition.high_watermark.tell(offset, line);
}

fn finding(
    partition: &Partition,
    what: &str,
    before: Told,
    offset: u64,
    lines: [u64; 2],
) -> Finding {
    let detail = format!(
        "the {what} was told as {} and later as {offset}",
        before.offset
    );
    Finding::new(Anomaly::StaleTail, detail)
        .place(&partition.name)
        .offset(offset)
        .lines(lines.into_iter().chain([before.line]))
}
