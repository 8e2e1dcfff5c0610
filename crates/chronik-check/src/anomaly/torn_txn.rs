//! torn-txn: readers of committed records see a part of a transaction and pass the rest.

use crate::finding::{Anomaly, Finding, Findings};
use crate::state::{Partition, Writer};

/// One write of the transaction that readers passed without seeing it.
pub(crate) fn report(
    findings: &mut Findings,
    partition: &Partition,
    writer: &Writer,
    (id, seq): (u32, u64),
    transaction: u64,
    offset: u64,
    end_line: u64,
) {
    let value = writer.value(seq);
    findings.accuse(id, seq, || {
        let story = writer.send_of(seq).map_or([0; 3], |(_, send)| send.lines());
        let detail = format!(
            "{value} of transaction {transaction} is hidden, though other records of it are shown"
        );
        Finding::new(Anomaly::TornTxn, detail)
            .place(&partition.name)
            .offset(offset)
            .value(value)
            .lines(story.into_iter().chain([end_line]))
    });
}
