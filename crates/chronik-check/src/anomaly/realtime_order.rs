//! realtime-order: a record sent after another one was acknowledged has the lower offset.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::Value;
use crate::state::{Partition, Send, Writer};

/// Within one writer the producer's own order says the same with more right.
pub(crate) fn judge(
    findings: &mut Findings,
    partition: &Partition,
    writers: &[Writer],
    writer: u32,
    value: Value,
    send: &Send,
    place: u64,
) {
    let Some(before) = send.acked_before else {
        return;
    };
    if place > before.offset || before.writer == writer {
        return;
    }
    // An acknowledged offset that the log contradicts proves nothing about others.
    let seen = partition.observed.range(..=before.offset).next_back();
    if seen.is_none_or(|(_, run)| {
        !run.offsets().contains(&before.offset) || run.writer != before.writer
    }) {
        return;
    }
    let earlier = &writers[before.writer as usize];
    findings.accuse(writer, value.seq, || {
        let detail = format!(
            "{value} is at offset {place}, though producer {} had been acknowledged at {} before it was sent",
            earlier.producer, before.offset
        );
        Finding::new(Anomaly::RealtimeOrder, detail)
            .place(&partition.name)
            .offset(place)
            .value(value)
            .lines(send.lines().into_iter().chain([before.line]))
    });
}
