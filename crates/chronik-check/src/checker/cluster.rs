//! What the cluster says about itself: commits, log ends, leaders, digests, transaction ends.

use super::{Checker, HistoryFault, OpenOp};
use crate::anomaly::transaction::Ended;
use crate::anomaly::{aborted_read, replica_divergence, split_brain_ack, stale_tail};
use crate::history::{
    Commit, CommitEnd, FetchCommittedEnd, ListOffsetsEnd, LogDigest, Name, Outcome, RaftStatus,
};

impl Checker {
    pub(super) fn commit_invoke(&mut self, line: u64, commit: &Commit) -> Result<(), HistoryFault> {
        self.open(line, commit.op, OpenOp::Commit)?;
        let offsets = commit
            .offsets
            .iter()
            .map(|(name, offset)| (self.partition_id(name), *offset));
        let offsets: Vec<(u32, u64)> = offsets.collect();
        self.groups.commit_invoke(line, commit, offsets);
        Ok(())
    }

    pub(super) fn commit_end(&mut self, line: u64, end: &CommitEnd) -> Result<(), HistoryFault> {
        let Some(OpenOp::Commit) = self.ops.remove(&end.op) else {
            return Err(HistoryFault::UnknownOperation { line, op: end.op });
        };
        self.groups.commit_end(&mut self.findings, line, end);
        Ok(())
    }

    pub(super) fn fetch_committed_invoke(
        &mut self,
        line: u64,
        op: u64,
        group: &Name,
    ) -> Result<(), HistoryFault> {
        self.open(line, op, OpenOp::FetchCommitted)?;
        self.groups.fetch_invoke(line, op, group);
        Ok(())
    }

    pub(super) fn fetch_committed_end(
        &mut self,
        line: u64,
        proc: u32,
        end: &FetchCommittedEnd,
    ) -> Result<(), HistoryFault> {
        let Some(OpenOp::FetchCommitted) = self.ops.remove(&end.op) else {
            return Err(HistoryFault::UnknownOperation { line, op: end.op });
        };
        for (name, offset) in &end.offsets {
            let id = self.partition_id(name);
            let name = &self.partitions[id as usize].name;
            self.groups
                .fetched(&mut self.findings, name, id, proc, line, end.op, *offset);
        }
        self.groups.fetch_end(end.op);
        Ok(())
    }

    pub(super) fn list_offsets_end(
        &mut self,
        line: u64,
        end: &ListOffsetsEnd,
    ) -> Result<(), HistoryFault> {
        let Some(OpenOp::ListOffsets { line: began }) = self.ops.remove(&end.op) else {
            return Err(HistoryFault::UnknownOperation { line, op: end.op });
        };
        for (name, offset) in &end.latest {
            let id = self.partition_id(name);
            let partition = &mut self.partitions[id as usize];
            stale_tail::judge_log_end(
                &mut self.findings,
                partition,
                self.contract,
                began,
                line,
                *offset,
            );
        }
        Ok(())
    }

    pub(super) fn transaction_end(
        &mut self,
        line: u64,
        op: u64,
        outcome: Outcome,
    ) -> Result<(), HistoryFault> {
        let Some(OpenOp::Transaction) = self.ops.remove(&op) else {
            return Err(HistoryFault::UnknownOperation { line, op });
        };
        let Some(ended) = self.transactions.end(line, op, outcome) else {
            return Ok(());
        };
        self.finish_writes(line, ended);
        if self.forgets {
            self.transactions
                .forget_old(&self.partitions, &self.writers, &mut self.findings);
        }
        Ok(())
    }

    /// A committed write must survive, an aborted one must not be shown.
    fn finish_writes(&mut self, line: u64, ended: Ended) {
        for (writer_id, seq, count) in ended.writes {
            let writer = &mut self.writers[writer_id as usize];
            let seqs = seq..seq + u64::from(count);
            if ended.committed {
                if writer.send_of(seq).is_none_or(|(_, send)| send.is_acked()) {
                    writer.acked.insert(seqs);
                }
            } else if !ended.visible.contains(&(writer_id, seq)) {
                if self.forgets {
                    writer.sends.remove(&seq);
                }
            } else {
                let send = writer.send_of(seq).map(|(_, send)| send);
                let place = send.and_then(|send| self.partitions.get(send.partition as usize));
                let lines = send.map_or([0; 3], |send| send.lines());
                let lines = [lines[0], lines[2], line];
                let offset = send.and_then(|send| send.place);
                aborted_read::report(
                    &mut self.findings,
                    place.map(|partition| &partition.name),
                    writer_id,
                    writer.value(seq),
                    offset,
                    lines,
                );
            }
        }
    }

    pub(super) fn raft_status(&mut self, line: u64, status: &RaftStatus) {
        for (group, view) in &status.groups {
            split_brain_ack::judge_leader(
                &mut self.findings,
                &mut self.leaders,
                group,
                *view,
                line,
            );
        }
    }

    pub(super) fn log_digest(&mut self, line: u64, digest: &LogDigest) {
        let id = self.partition_id(&digest.partition);
        let partition = &mut self.partitions[id as usize];
        replica_divergence::judge(&mut self.findings, partition, digest, line);
    }
}
