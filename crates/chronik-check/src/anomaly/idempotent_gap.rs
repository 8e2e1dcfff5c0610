//! idempotent-gap: in one producer id and epoch, a later sequence is in the log while an earlier one is absent or later.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::Value;
use crate::state::{Partition, Settled, Writer};

/// Sequences of the wire wrap to 0 after this many.
const SEQUENCES: i64 = 1 << 31;

/// Whether two batches went out under one producer id and epoch, so that the broker had to keep their order.
pub(crate) fn is_one_stream(one: &Settled, other: &Settled) -> bool {
    match (one.wire, other.wire) {
        (Some(one), Some(other)) => {
            (one.producer_id, one.epoch) == (other.producer_id, other.epoch)
        }
        _ => false,
    }
}

/// `earlier` has the lower sequence and the higher offset.
pub(crate) fn report_later(
    findings: &mut Findings,
    partition: &Partition,
    writer: u32,
    value: Value,
    later: &Settled,
    earlier: &Settled,
) {
    findings.accuse(writer, value.seq, || {
        let detail = format!(
            "{value} is at offset {}, after sequence {} at {}",
            earlier.offset, later.seq, later.offset
        );
        Finding::new(Anomaly::IdempotentGap, detail)
            .place(&partition.name)
            .offset(earlier.offset)
            .value(value)
            .lines(later.lines().into_iter().chain(earlier.lines()))
    });
}

/// Between two batches that follow each other in the log, sequences of the wire are missing.
pub(crate) fn judge_missing(
    findings: &mut Findings,
    partition: &Partition,
    writer: &Writer,
    id: u32,
    last: &Settled,
    next: &Settled,
) {
    let expected = last.seq + u64::from(last.count);
    if next.seq <= expected || !is_one_stream(last, next) {
        return;
    }
    let (Some(last_wire), Some(next_wire)) = (last.wire, next.wire) else {
        return;
    };
    let wire_expected = i64::from(last_wire.base_sequence) + i64::from(last.count);
    let skipped = (i64::from(next_wire.base_sequence) - wire_expected).rem_euclid(SEQUENCES);
    if skipped != (next.seq - expected) as i64 {
        // What lies between went out elsewhere, or never reached the wire.
        return;
    }
    // A missing record that was acknowledged is a lost one, which is the worse name.
    let unread = writer.read.missing(expected..next.seq);
    for seqs in unread
        .into_iter()
        .flat_map(|seqs| writer.acked.missing(seqs))
    {
        let value = writer.value(seqs.start);
        findings.accuse(id, seqs.start, || {
            let story = writer
                .send_of(seqs.start)
                .map_or([0; 3], |(_, send)| send.lines());
            let detail = format!(
                "{value} is absent, though sequence {} is at offset {}",
                next.seq, next.offset
            );
            Finding::new(Anomaly::IdempotentGap, detail)
                .place(&partition.name)
                .offset(next.offset)
                .value(value)
                .lines(story.into_iter().chain(next.lines()))
        });
    }
}
