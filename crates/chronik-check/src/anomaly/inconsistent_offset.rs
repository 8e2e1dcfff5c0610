//! inconsistent-offset: two readers, or one reader twice, saw different records at one offset.

use crate::finding::{Anomaly, Finding, Findings};
use crate::state::{Partition, Run, Writer};

/// `known` and `run` are the same offsets.
pub(crate) fn report(
    findings: &mut Findings,
    partition: &Partition,
    writers: &[Writer],
    known: &Run,
    run: &Run,
) {
    let first = writers[known.writer as usize].value(known.seq);
    let second = writers[run.writer as usize].value(run.seq);
    findings.accuse(run.writer, run.seq, || {
        let detail = format!(
            "{first} and {second} were both read at offset {}",
            run.offset
        );
        Finding::new(Anomaly::InconsistentOffset, detail)
            .place(&partition.name)
            .offset(run.offset)
            .value(second)
            .lines([known.line, run.line])
    });
    // Only one of them can be in the final log.
    for step in 0..run.count {
        findings.excuse(run.writer, run.seq + step);
        findings.excuse(known.writer, known.seq + step);
    }
}

/// The record that was there is forgotten, but this one was nowhere.
pub(crate) fn report_forgotten(
    findings: &mut Findings,
    partition: &Partition,
    writer: &Writer,
    run: &Run,
) {
    let value = writer.value(run.seq);
    findings.accuse(run.writer, run.seq, || {
        let detail = format!(
            "{value} is read at offset {}, where another record was read before",
            run.offset
        );
        Finding::new(Anomaly::InconsistentOffset, detail)
            .place(&partition.name)
            .offset(run.offset)
            .value(value)
            .lines([run.line])
    });
}

/// A block of forgotten records reads differently the second time.
pub(crate) fn report_block(findings: &mut Findings, partition: &Partition, block: u64, line: u64) {
    let detail =
        format!("the block of records from offset {block} does not read as it did the first time");
    findings.report(
        Finding::new(Anomaly::InconsistentOffset, detail)
            .place(&partition.name)
            .offset(block)
            .lines([line]),
    );
}
