//! poll-skip: a consumer passed offsets without the records that others saw there. In a group: counted.

use super::offset_hole;
use crate::contract::Contract;
use crate::finding::{Anomaly, Finding, Findings};
use crate::history::PollMode;
use crate::state::{Gap, Partition};

/// Decides each gap below `upto`: skipped, or a hole of the log, or a loss that another rule reports.
pub(crate) fn judge_gaps(
    findings: &mut Findings,
    partition: &mut Partition,
    contract: Contract,
    upto: u64,
) {
    let mut kept = Vec::new();
    for gap in std::mem::take(&mut partition.gaps) {
        if gap.offsets.end > upto {
            kept.push(gap);
        } else {
            judge_gap(findings, partition, contract, &gap);
        }
    }
    partition.gaps = kept;
}

fn judge_gap(findings: &mut Findings, partition: &mut Partition, contract: Contract, gap: &Gap) {
    let from = gap.offsets.start.max(partition.log_start());
    // In transactional logs markers take offsets and aborted records are hidden by right.
    if from >= gap.offsets.end || partition.transactional {
        return;
    }
    let seen = match gap.mode {
        // What every final read misses is lost, and reported so.
        PollMode::Final => &partition.final_offsets,
        PollMode::Assign | PollMode::Group => &partition.observed_offsets,
    };
    let skipped = seen.within(from..gap.offsets.end).next();
    match (skipped, gap.mode) {
        (Some(_), PollMode::Group) => findings.count(Anomaly::PollSkip, 1),
        (Some(skipped), _) => {
            let detail = format!(
                "a consumer passed the offsets from {} to {}, where others saw records",
                skipped.start,
                skipped.end - 1
            );
            findings.report(
                Finding::new(Anomaly::PollSkip, detail)
                    .place(&partition.name)
                    .offset(skipped.start)
                    .lines(gap.lines),
            );
        }
        (None, PollMode::Assign | PollMode::Final) if contract.offsets_are_dense() => {
            let unseen = partition.observed_offsets.missing(from..gap.offsets.end);
            for offsets in unseen {
                let part = Gap {
                    offsets,
                    ..gap.clone()
                };
                offset_hole::judge(findings, partition, &part);
            }
        }
        (None, _) => {}
    }
}
