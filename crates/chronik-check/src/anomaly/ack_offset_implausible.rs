//! ack-offset-implausible: an acknowledged offset contradicts the log, overlaps another acknowledgement, or is 0 for a later record.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::Value;
use crate::state::{Claim, Overlap, Partition, Send, Writer};

/// Offset 0 for a record that was sent after another one had been acknowledged.
pub(crate) fn is_zero_for_later(send: &Send, offset: u64) -> bool {
    offset == 0 && send.acked_before.is_some()
}

pub(crate) fn report_zero(
    findings: &mut Findings,
    partition: &Partition,
    writer: u32,
    value: Value,
    send: &Send,
) {
    findings.accuse(writer, value.seq, || {
        let before = send.acked_before.map_or(0, |high| high.line);
        let detail = format!("{value} was acknowledged at offset 0, though an earlier record was acknowledged before it was sent");
        Finding::new(Anomaly::AckOffsetImplausible, detail)
            .place(&partition.name)
            .offset(0)
            .value(value)
            .lines(send.lines().into_iter().chain([before]))
    });
}

/// Remembers an acknowledged range, and with whom it collides.
pub(crate) fn note_claim(partition: &mut Partition, offset: u64, claim: Claim) {
    let offsets = offset..offset + claim.count;
    if partition.claimed_offsets.overlaps(&offsets) {
        let before = partition.claims.range(..offset).next_back();
        let reaching = before.filter(|(base, known)| *base + known.count > offset);
        let from = reaching.map_or(offset, |(base, _)| *base);
        let collision = partition.claims.range(from..offsets.end).next();
        if let Some((base, first)) = collision {
            partition.overlaps.push(Overlap {
                offset: offset.max(*base),
                first: *first,
                second: claim,
            });
        }
    }
    partition.claimed_offsets.insert(offsets);
    partition.claims.entry(offset).or_insert(claim);
}

/// A record read somewhere else than where it was acknowledged.
pub(crate) fn judge_place(
    findings: &mut Findings,
    partition: &Partition,
    writer: u32,
    value: Value,
    send: &Send,
) {
    let (Some(claim), Some(place)) = (send.claim, send.place) else {
        return;
    };
    // With two copies the acknowledgement may be that of the other one: that is a duplicate.
    if claim == place || send.copies_seen > 1 {
        return;
    }
    findings.accuse(writer, value.seq, || {
        let detail = format!("{value} was acknowledged at offset {claim} and read at {place}");
        Finding::new(Anomaly::AckOffsetImplausible, detail)
            .place(&partition.name)
            .offset(claim)
            .value(value)
            .lines(send.lines())
    });
}

/// Collisions that no stronger finding has explained by now.
pub(crate) fn judge_overlaps(
    findings: &mut Findings,
    partition: &mut Partition,
    writers: &[Writer],
    upto: u64,
) {
    let mut kept = Vec::new();
    for overlap in std::mem::take(&mut partition.overlaps) {
        if overlap.offset >= upto {
            kept.push(overlap);
            continue;
        }
        let Overlap {
            offset,
            first,
            second,
        } = overlap;
        if findings.is_accused(first.writer, first.seq)
            || findings.is_accused(second.writer, second.seq)
        {
            continue;
        }
        let one = writers[first.writer as usize].value(first.seq);
        let other = writers[second.writer as usize].value(second.seq);
        findings.accuse(second.writer, second.seq, || {
            let detail = format!("{one} and {other} were both acknowledged at offset {offset}");
            Finding::new(Anomaly::AckOffsetImplausible, detail)
                .place(&partition.name)
                .offset(offset)
                .value(other)
                .lines([first.line, second.line])
        });
    }
    partition.overlaps = kept;
}
