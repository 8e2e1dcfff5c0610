//! precommitted-read: a reader of committed records sees one before its transaction asked to commit.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::{Name, Value};

pub(crate) fn report(
    findings: &mut Findings,
    partition: &Name,
    writer: u32,
    value: Value,
    offset: u64,
    transaction: u64,
    lines: [u64; 2],
) {
    findings.accuse(writer, value.seq, || {
        let detail = format!("{value} of transaction {transaction} was shown as committed before anybody asked to commit it");
        Finding::new(Anomaly::PrecommittedRead, detail)
            .place(partition)
            .offset(offset)
            .value(value)
            .lines(lines)
    });
}
