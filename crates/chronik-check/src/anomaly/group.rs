//! What the group rules share: owners, commits and deliveries of each group.

use super::{commit_regress, double_owner, group_hole, group_redelivery, zombie_commit};
use crate::finding::Findings;
use crate::history::{Commit, CommitEnd, Name, Outcome, Record};
use crate::online::IntervalSet;
use crate::state::{Partition, Told};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Unanswered commits remembered for each partition; the lowest matter.
const MAX_OPEN_COMMITS: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: FxHashMap<Name, Group>,
    commits: FxHashMap<u64, PendingCommit>,
    fetches: FxHashMap<u64, (Name, u64)>,
}

#[derive(Debug, Default)]
struct Group {
    generation: i32,
    generation_line: u64,
    partitions: FxHashMap<u32, GroupPartition>,
}

#[derive(Debug, Default)]
pub(crate) struct GroupPartition {
    owners: Vec<Owner>,
    /// The last acknowledged commit.
    pub(crate) committed: Option<Told>,
    /// Commits without a good answer: operation, line of the invocation, offset.
    open: Vec<(u64, u64, u64)>,
    delivered: IntervalSet,
    /// Where the group began, and later how far its commits have been looked at.
    checked_below: Option<u64>,
    undelivered: Vec<Undelivered>,
}

/// A consumer that was given a partition.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) proc: u32,
    pub(crate) generation: i32,
    pub(crate) line: u64,
    /// It may be given nothing below.
    resumes_at: Option<u64>,
}

/// A commit that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct PendingCommit {
    pub(crate) group: Name,
    pub(crate) generation: i32,
    pub(crate) line: u64,
    /// A newer generation and the line that showed it, before this commit began.
    pub(crate) fenced_by: Option<(i32, u64)>,
    offsets: Vec<(u32, u64)>,
}

/// Offsets that were committed but, as far as is known, never delivered.
#[derive(Clone, Debug)]
pub(crate) struct Undelivered {
    pub(crate) offsets: Range<u64>,
    pub(crate) committed: u64,
    pub(crate) lines: [u64; 2],
}

impl GroupPartition {
    /// The lowest offset among commits that may have happened or may still happen.
    pub(crate) fn lowest_open(&self) -> Option<u64> {
        self.open.iter().map(|(_, _, offset)| *offset).min()
    }

    /// The lowest committed offset that the coordinator may truthfully tell.
    fn lowest_committed(&self) -> Option<u64> {
        let committed = self.committed?.offset;
        Some(
            self.lowest_open()
                .map_or(committed, |open| open.min(committed)),
        )
    }
}

impl Groups {
    #[expect(
        clippy::too_many_arguments,
        reason = "each one is a field of the event or of its partition"
    )]
    pub(crate) fn assigned(
        &mut self,
        findings: &mut Findings,
        partition_name: &Name,
        partition: u32,
        group_name: &Name,
        generation: i32,
        proc: u32,
        line: u64,
        position: Option<u64>,
    ) {
        let group = self.groups.entry(group_name.clone()).or_default();
        if generation > group.generation {
            (group.generation, group.generation_line) = (generation, line);
        }
        let state = group.partitions.entry(partition).or_default();
        let resumes_at = position.or_else(|| state.lowest_committed());
        let owner = Owner {
            proc,
            generation,
            line,
            resumes_at,
        };
        double_owner::judge(findings, group_name, partition_name, &state.owners, &owner);
        state
            .owners
            .retain(|other| other.generation == generation && other.proc != proc);
        state.owners.push(owner);
        if state.checked_below.is_none() {
            state.checked_below = position;
        }
    }

    pub(crate) fn revoked(&mut self, partition: u32, group: &Name, proc: u32) {
        if let Some(state) = self
            .groups
            .get_mut(group)
            .and_then(|group| group.partitions.get_mut(&partition))
        {
            state.owners.retain(|owner| owner.proc != proc);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each one is a field of the event or of its partition"
    )]
    pub(crate) fn delivered(
        &mut self,
        findings: &mut Findings,
        partition: &Partition,
        partition_id: u32,
        group_name: &Name,
        proc: u32,
        line: u64,
        records: &[Record],
    ) {
        let group = self.groups.entry(group_name.clone()).or_default();
        let state = group.partitions.entry(partition_id).or_default();
        let owner = state.owners.iter().find(|owner| owner.proc == proc);
        let resumed_at = owner.and_then(|owner| Some((owner.resumes_at?, owner.line)));
        for record in records {
            let offsets = record.offset..record.offset + u64::from(record.count);
            if state.checked_below.is_none() {
                state.checked_below = Some(offsets.start);
            }
            let again = state.delivered.within(offsets.clone()).next();
            if let Some(again) = again {
                group_redelivery::judge(
                    findings,
                    group_name,
                    &partition.name,
                    again,
                    resumed_at,
                    line,
                );
            }
            state.delivered.insert(offsets);
        }
    }

    pub(crate) fn commit_invoke(&mut self, line: u64, commit: &Commit, offsets: Vec<(u32, u64)>) {
        let group = self.groups.entry(commit.group.clone()).or_default();
        for (partition, offset) in &offsets {
            let state = group.partitions.entry(*partition).or_default();
            state.open.push((commit.op, line, *offset));
            if state.open.len() > MAX_OPEN_COMMITS {
                state.open.sort_unstable_by_key(|(_, _, offset)| *offset);
                state.open.pop();
            }
        }
        let newer = commit.generation < group.generation;
        let pending = PendingCommit {
            group: commit.group.clone(),
            generation: commit.generation,
            line,
            fenced_by: newer.then_some((group.generation, group.generation_line)),
            offsets,
        };
        self.commits.insert(commit.op, pending);
    }

    pub(crate) fn commit_end(&mut self, findings: &mut Findings, line: u64, end: &CommitEnd) {
        let Some(commit) = self.commits.remove(&end.op) else {
            return;
        };
        let Some(group) = self.groups.get_mut(&commit.group) else {
            return;
        };
        if end.outcome == Outcome::Info {
            // It may have happened, or may happen yet.
            return;
        }
        let valid = end.outcome == Outcome::Ok && zombie_commit::judge(findings, &commit, line);
        for (partition, offset) in &commit.offsets {
            let state = group.partitions.entry(*partition).or_default();
            state
                .open
                .retain(|(op, began, _)| *op != end.op && !(valid && *began < commit.line));
            if valid {
                commit_accepted(state, &commit, *offset, line);
            }
        }
    }

    pub(crate) fn fetch_invoke(&mut self, line: u64, op: u64, group: &Name) {
        self.fetches.insert(op, (group.clone(), line));
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each one is a field of the event or of its partition"
    )]
    pub(crate) fn fetched(
        &mut self,
        findings: &mut Findings,
        partition_name: &Name,
        partition: u32,
        proc: u32,
        line: u64,
        op: u64,
        told: Option<u64>,
    ) {
        let Some((group_name, began)) = self.fetches.get(&op) else {
            return;
        };
        let Some(group) = self.groups.get_mut(group_name) else {
            return;
        };
        let state = group.partitions.entry(partition).or_default();
        commit_regress::judge(
            findings,
            group_name,
            partition_name,
            state,
            *began,
            line,
            told,
        );
        if let Some(owner) = state.owners.iter_mut().find(|owner| owner.proc == proc) {
            owner.resumes_at = told;
        }
    }

    pub(crate) fn fetch_end(&mut self, op: u64) {
        self.fetches.remove(&op);
    }

    /// Judges commits over a stretch of the log that everybody had time to read.
    pub(crate) fn settle(
        &mut self,
        findings: &mut Findings,
        partition: &Partition,
        id: u32,
        upto: u64,
    ) {
        for (name, group) in &mut self.groups {
            let Some(state) = group.partitions.get_mut(&id) else {
                continue;
            };
            state.undelivered.retain(|undelivered| {
                let due = undelivered.offsets.end <= upto;
                if due {
                    group_hole::judge(findings, name, partition, undelivered);
                }
                !due
            });
        }
    }
}

fn commit_accepted(state: &mut GroupPartition, commit: &PendingCommit, offset: u64, line: u64) {
    let overlapping = state.committed.filter(|before| before.line > commit.line);
    state.committed = Some(Told {
        // Of two commits at the same time either may be the last one.
        offset: overlapping.map_or(offset, |before| before.offset.min(offset)),
        line,
    });
    let from = state.checked_below.unwrap_or(offset);
    for offsets in state.delivered.missing(from..offset.max(from)) {
        state.undelivered.push(Undelivered {
            offsets,
            committed: offset,
            lines: [commit.line, line],
        });
    }
    state.checked_below = Some(from.max(offset));
}
