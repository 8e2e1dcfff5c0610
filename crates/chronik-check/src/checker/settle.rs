//! Settling: a stretch of the log that readers have passed is judged in offset order, and online forgotten.

use super::Checker;
use crate::anomaly::{
    ack_offset_implausible, duplicate, idempotent_gap, lost_write, nonmonotonic_send, poll_skip,
    realtime_order,
};
use crate::history::Outcome;
use crate::state::{Claim, NOBODY, Run, Settled};

impl Checker {
    /// Judges everything below `upto`, which must never fall.
    pub(super) fn settle(&mut self, id: u32, upto: u64) {
        // A run is forgotten as a whole, so the border moves to its end.
        let mut settled_below = upto;
        while let Some(entry) = self.partitions[id as usize].observed.first_entry() {
            if *entry.key() >= upto {
                break;
            }
            let run = entry.remove();
            settled_below = settled_below.max(run.offset + run.count);
            self.settle_run(id, run);
        }
        while let Some(entry) = self.partitions[id as usize].claims.first_entry() {
            if *entry.key() >= upto {
                break;
            }
            let (offset, claim) = entry.remove_entry();
            self.settle_claim(id, offset, claim);
        }
        let partition = &mut self.partitions[id as usize];
        ack_offset_implausible::judge_overlaps(&mut self.findings, partition, &self.writers, upto);
        poll_skip::judge_gaps(&mut self.findings, partition, self.contract, upto);
        self.groups.settle(&mut self.findings, partition, id, upto);
        partition.settled_below = settled_below;
    }

    fn settle_run(&mut self, id: u32, run: Run) {
        if run.writer == NOBODY {
            return self.excuse_claim(id, run);
        }
        if self.forgets {
            let identity = self.writers[run.writer as usize].identity();
            let blocks = &mut self.partitions[id as usize].blocks;
            blocks.record(run.offset, identity, run.seq, run.count);
        }
        let mut seq = run.seq;
        while seq < run.seq + run.count {
            let writer = &self.writers[run.writer as usize];
            let next = match writer.send_of(seq) {
                Some((first, _)) => Some(first),
                None => writer
                    .sends
                    .range(seq..run.seq + run.count)
                    .next()
                    .map(|(first, _)| *first),
            };
            let Some(first) = next else {
                return;
            };
            seq = first + u64::from(writer.sends[&first].count);
            self.settle_send(id, run.writer, first);
        }
    }

    /// An acknowledged record that became nobody's is reported as such, not as lost too.
    fn excuse_claim(&mut self, id: u32, run: Run) {
        let partition = &self.partitions[id as usize];
        for (base, claim) in partition.claims.range(..run.offset + run.count).rev() {
            if base + claim.count <= run.offset {
                break;
            }
            for offset in run.offset.max(*base)..(run.offset + run.count).min(base + claim.count) {
                self.findings
                    .excuse(claim.writer, claim.seq + (offset - base));
            }
        }
    }

    /// A send that was read.
    fn settle_send(&mut self, id: u32, writer_id: u32, seq: u64) {
        let partition = &mut self.partitions[id as usize];
        let writer = &mut self.writers[writer_id as usize];
        let value = writer.value(seq);
        let Some(send) = writer.sends.get_mut(&seq) else {
            return;
        };
        let Some(place) = send.place else {
            return;
        };
        if send.settled {
            return;
        }
        send.settled = true;
        let send = send.clone();
        let findings = &mut self.findings;
        ack_offset_implausible::judge_place(findings, partition, writer_id, value, &send);
        duplicate::judge_copies(findings, partition, writer_id, value, &send);
        let settled = Settled {
            seq,
            count: send.count,
            offset: place,
            wire: send.wire.filter(|_| !send.wire_ambiguous),
            unsure: send.retried || !send.is_acked(),
            acked: send.is_acked(),
            invoke_line: send.invoke_line,
            end_line: send.end_line,
            read_line: send.read_line,
        };
        let last = partition.last_settled.get(&writer_id).copied();
        match last {
            Some(last) if settled.seq < last.seq => {
                if idempotent_gap::is_one_stream(&last, &settled) {
                    idempotent_gap::report_later(
                        findings, partition, writer_id, value, &last, &settled,
                    );
                } else {
                    nonmonotonic_send::judge(
                        findings, partition, writer_id, value, &last, &settled,
                    );
                }
            }
            last => {
                if let Some(last) = last {
                    idempotent_gap::judge_missing(
                        findings, partition, writer, writer_id, &last, &settled,
                    );
                }
                partition.last_settled.insert(writer_id, settled);
            }
        }
        realtime_order::judge(
            findings,
            partition,
            &self.writers,
            writer_id,
            value,
            &send,
            place,
        );
        lost_write::judge(
            findings,
            partition,
            &self.writers[writer_id as usize],
            writer_id,
            seq,
            place,
        );
        if self.forgets && send.outcome.is_some() {
            self.writers[writer_id as usize].sends.remove(&seq);
        }
    }

    /// An acknowledged send: either it was read, or it is lost, or nobody looked.
    fn settle_claim(&mut self, id: u32, offset: u64, claim: Claim) {
        let partition = &self.partitions[id as usize];
        let writer = &mut self.writers[claim.writer as usize];
        let Some(send) = writer.sends.get_mut(&claim.seq) else {
            return;
        };
        if send.place.is_some() || send.settled {
            return;
        }
        debug_assert_eq!(send.outcome, Some(Outcome::Ok));
        let lost = lost_write::judge(
            &mut self.findings,
            partition,
            writer,
            claim.writer,
            claim.seq,
            offset,
        );
        let judged = lost || partition.covered.contains(offset);
        // The rest of its transaction may still decide about it.
        if self.forgets && judged && writer.sends[&claim.seq].transaction.is_none() {
            writer.sends.remove(&claim.seq);
        }
    }
}
