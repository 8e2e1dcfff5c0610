//! aborted-read (G1a): a reader saw a record of a send that certainly failed, or of an aborted transaction.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::{Name, Value};
use crate::state::{Partition, Run, Writer};

/// Whether nothing of the run is known to have failed.
pub(crate) fn judge(
    findings: &mut Findings,
    partition: &Partition,
    writer: &Writer,
    run: &Run,
) -> bool {
    if !writer.failed.overlaps(&run.seqs()) {
        return true;
    }
    for seqs in writer.failed.within(run.seqs()) {
        let offset = run.offset + (seqs.start - run.seq);
        let value = writer.value(seqs.start);
        let [invoke, end] = writer.refusal_of(seqs.start);
        report(
            findings,
            Some(&partition.name),
            run.writer,
            value,
            Some(offset),
            [invoke, end, run.line],
        );
    }
    false
}

pub(crate) fn report(
    findings: &mut Findings,
    place: Option<&Name>,
    writer: u32,
    value: Value,
    offset: Option<u64>,
    lines: [u64; 3],
) {
    findings.accuse(writer, value.seq, || {
        let detail = format!("{value} was refused for good, and still a reader saw it");
        let mut finding = Finding::new(Anomaly::AbortedRead, detail)
            .value(value)
            .lines(lines);
        finding.place = place.cloned();
        finding.offset = offset;
        finding
    });
}
