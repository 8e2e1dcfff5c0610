//! replica-divergence: the chained digests of two replicas differ at an offset that both have committed.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::LogDigest;
use crate::state::{Partition, ReplicaDigest};

/// Offsets whose digests are kept for comparison.
const MAX_OFFSETS: usize = 4_096;

/// Replicas remembered for each offset.
const MAX_REPLICAS: usize = 16;

pub(crate) fn judge(
    findings: &mut Findings,
    partition: &mut Partition,
    told: &LogDigest,
    line: u64,
) {
    for (offset, digest) in &told.digests {
        let known = partition.replica_digests.entry(*offset).or_default();
        for other in known.iter() {
            let committed = *offset < other.commit.min(told.commit);
            let pair = (other.node.min(told.node), other.node.max(told.node));
            // Digests are chained: after the first difference all others follow.
            if committed
                && other.node != told.node
                && other.digest != *digest
                && partition.diverged.insert(pair)
            {
                let detail = format!(
                    "nodes {} and {} hold different records up to offset {offset}",
                    other.node, told.node
                );
                findings.report(
                    Finding::new(Anomaly::ReplicaDivergence, detail)
                        .place(&partition.name)
                        .offset(*offset)
                        .lines([other.line, line]),
                );
            }
        }
        if known.len() < MAX_REPLICAS {
            known.push(ReplicaDigest {
                node: told.node,
                commit: told.commit,
                digest: *digest,
                line,
            });
        }
    }
    while partition.replica_digests.len() > MAX_OFFSETS {
        partition.replica_digests.pop_first();
    }
}
