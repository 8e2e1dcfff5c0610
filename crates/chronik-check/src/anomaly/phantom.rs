//! phantom: a record of this run that nobody ever sent there.

use crate::finding::{Anomaly, Finding, Findings};
use crate::state::{Partition, Run, Writer};

/// Whether every record of the run was sent.
pub(crate) fn judge(
    findings: &mut Findings,
    partition: &Partition,
    writer: &Writer,
    run: &Run,
) -> bool {
    if writer.invoked.covers(&run.seqs()) {
        return true;
    }
    for seqs in writer.invoked.missing(run.seqs()) {
        let value = writer.value(seqs.start);
        let offset = run.offset + (seqs.start - run.seq);
        findings.accuse(run.writer, seqs.start, || {
            let detail = format!(
                "{value} was read at offset {offset}, but never sent to {}",
                partition.name
            );
            Finding::new(Anomaly::Phantom, detail)
                .place(&partition.name)
                .offset(offset)
                .value(value)
                .lines([run.line])
        });
        for seq in seqs {
            findings.excuse(run.writer, seq);
        }
    }
    false
}
