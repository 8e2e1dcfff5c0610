//! split-brain-ack: two nodes acknowledge in one leader epoch, or two leaders share one term of a Raft group.

use crate::finding::{Anomaly, Finding, Findings};
use crate::history::{LeaderView, Name};
use crate::state::Partition;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Epochs or terms remembered for each partition or group.
const MAX_TERMS: usize = 1_024;

/// Which node led which term of which group, by anybody's account, and on which line.
pub(crate) type Leaders = FxHashMap<Name, BTreeMap<u64, (u32, u64)>>;

pub(crate) fn judge_ack(
    findings: &mut Findings,
    partition: &mut Partition,
    epoch: i32,
    node: u32,
    line: u64,
) {
    let (first, first_line) = *partition.epoch_acks.entry(epoch).or_insert((node, line));
    if first != node {
        let detail = format!("nodes {first} and {node} both acknowledged in leader epoch {epoch}");
        findings.report(
            Finding::new(Anomaly::SplitBrainAck, detail)
                .place(&partition.name)
                .lines([first_line, line]),
        );
    }
    if partition.epoch_acks.len() > MAX_TERMS {
        partition.epoch_acks.pop_first();
    }
}

pub(crate) fn judge_leader(
    findings: &mut Findings,
    leaders: &mut Leaders,
    group: &Name,
    view: LeaderView,
    line: u64,
) {
    // Node 0 is how Raft says that nobody leads.
    if view.leader == 0 {
        return;
    }
    let terms = leaders.entry(group.clone()).or_default();
    let (first, first_line) = *terms.entry(view.term).or_insert((view.leader, line));
    if first != view.leader {
        let detail = format!(
            "nodes {first} and {} both lead term {}",
            view.leader, view.term
        );
        findings.report(
            Finding::new(Anomaly::SplitBrainAck, detail)
                .place(group)
                .lines([first_line, line]),
        );
    }
    if terms.len() > MAX_TERMS {
        terms.pop_first();
    }
}
