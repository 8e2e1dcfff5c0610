//! lost-write: acknowledged or proven, passed by a reader, and never read by anybody.
//!
//! Proven means that another record of its batch was read: a batch is written whole.
//! A record that a later sequence of its stream proves is an idempotent-gap.

use crate::finding::{Anomaly, Finding, Findings};
use crate::state::{Partition, Writer};

/// Whether any record of the batch at `base` is lost.
pub(crate) fn judge(
    findings: &mut Findings,
    partition: &Partition,
    writer: &Writer,
    id: u32,
    seq: u64,
    base: u64,
) -> bool {
    let Some(send) = writer.sends.get(&seq) else {
        return false;
    };
    let seqs = seq..seq + u64::from(send.count);
    if writer.read.covers(&seqs)
        || send.transaction.is_some()
        || !(send.is_acked() || send.place.is_some())
    {
        return false;
    }
    let mut lost = false;
    for missing in writer.read.missing(seqs) {
        let offsets = base + (missing.start - seq)..base + (missing.end - seq);
        // Only what a reader has passed is lost; what nobody has looked at may still be there.
        let Some(passed) = partition
            .covered
            .within(offsets.start.max(partition.log_start())..offsets.end)
            .next()
        else {
            continue;
        };
        lost = true;
        let value = writer.value(seq + (passed.start - base));
        findings.accuse(id, value.seq, || {
            let count = passed.end - passed.start;
            let detail = format!("{count} record(s) from {value} were acknowledged, and readers passed them without a trace");
            Finding::new(Anomaly::LostWrite, detail)
                .place(&partition.name)
                .offset(passed.start)
                .value(value)
                .lines(send.lines())
        });
    }
    lost
}
