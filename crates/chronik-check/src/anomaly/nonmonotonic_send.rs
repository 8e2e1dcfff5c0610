//! nonmonotonic-send: one producer in one partition, and a later send has the lower offset.
//!
//! A producer that is not idempotent and tries twice may overtake itself: counted, unless the earlier send had been acknowledged.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::Value;
use crate::state::{Partition, Settled};

/// `earlier` has the lower sequence and the higher offset.
pub(crate) fn judge(
    findings: &mut Findings,
    partition: &Partition,
    writer: u32,
    value: Value,
    later: &Settled,
    earlier: &Settled,
) {
    let acked_first = earlier.acked && earlier.end_line < later.invoke_line;
    let may_overtake = earlier.wire.is_none() && (earlier.unsure || later.unsure);
    if may_overtake && !acked_first {
        return findings.count(Anomaly::NonmonotonicSend, 1);
    }
    findings.accuse(writer, value.seq, || {
        let detail = format!(
            "{value} is at offset {}, after sequence {} at {}",
            earlier.offset, later.seq, later.offset
        );
        Finding::new(Anomaly::NonmonotonicSend, detail)
            .place(&partition.name)
            .offset(earlier.offset)
            .value(value)
            .lines(later.lines().into_iter().chain(earlier.lines()))
    });
}
