//! duplicate: one record at two offsets. An error for an idempotent producer; else at most one copy for each attempt.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::Value;
use crate::state::{Partition, Run, Send, Writer};

/// Judges a run at offsets that nobody had read before.
pub(crate) fn judge(
    findings: &mut Findings,
    partition: &Partition,
    writer: &mut Writer,
    run: &Run,
) {
    if !writer.read.overlaps(&run.seqs()) {
        return;
    }
    let copies: Vec<_> = writer.read.within(run.seqs()).collect();
    for seqs in copies {
        let offset = run.offset + (seqs.start - run.seq);
        let value = writer.value(seqs.start);
        let idempotent = writer.idempotent;
        let (mut lines, mut first_place) = ([0; 3], None);
        if let Some((first, send)) = writer.send_of_mut(seqs.start) {
            send.copies_seen += 1;
            lines = send.lines();
            first_place = send.place.map(|base| base + (seqs.start - first));
        }
        if !idempotent {
            findings.count(Anomaly::Duplicate, seqs.end - seqs.start);
            continue;
        }
        findings.accuse(run.writer, seqs.start, || {
            let first = first_place.map_or("another offset".to_owned(), |first| {
                format!("offset {first}")
            });
            let detail = format!("{value} of an idempotent producer is at {first} and at {offset}");
            Finding::new(Anomaly::Duplicate, detail)
                .place(&partition.name)
                .offset(offset)
                .value(value)
                .lines(lines.into_iter().chain([run.line]))
        });
    }
}

/// More copies than attempts, of a producer that may repeat itself.
pub(crate) fn judge_copies(
    findings: &mut Findings,
    partition: &Partition,
    writer: u32,
    value: Value,
    send: &Send,
) {
    if send.wire.is_some() || send.outcome.is_none() || send.copies_seen <= send.copies_allowed {
        return;
    }
    findings.accuse(writer, value.seq, || {
        let (seen, allowed) = (send.copies_seen, send.copies_allowed);
        let detail = format!("{value} is in the log {seen} times after {allowed} attempt(s)");
        Finding::new(Anomaly::Duplicate, detail)
            .place(&partition.name)
            .value(value)
            .lines(send.lines())
    });
}
