//! corrupt: the checksum of a payload is wrong. Here too: a header that names another partition (misrouted) or run (phantom).

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::{Content, Record};
use crate::state::{NOBODY, Partition};

/// Reports the record once, however many readers see it.
pub(crate) fn report(
    findings: &mut Findings,
    partition: &Partition,
    id: u32,
    line: u64,
    record: &Record,
) {
    let (anomaly, what) = match record.content {
        Content::Value(_) => return,
        Content::Corrupt => (Anomaly::Corrupt, "its checksum is wrong"),
        Content::Misrouted => (Anomaly::Misrouted, "it was sent to another partition"),
        Content::Foreign => (Anomaly::Phantom, "it belongs to another run"),
    };
    // Partitions and offsets share one number here: a clash would hide one of two such records.
    let key = u64::from(id) << 44 ^ record.offset;
    findings.accuse(NOBODY, key, || {
        let detail = format!(
            "the record at offset {} does not belong there: {what}",
            record.offset
        );
        Finding::new(anomaly, detail)
            .place(&partition.name)
            .offset(record.offset)
            .lines([line])
    });
}
