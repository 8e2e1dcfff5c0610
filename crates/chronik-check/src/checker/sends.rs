//! Sends: what was tried, what was acknowledged, what must never appear.

use super::{Checker, HistoryFault, Incomplete, MAX_UNANSWERED_SENDS, MAX_UNDECIDED_SENDS, OpenOp};
use crate::anomaly::{aborted_read, ack_offset_implausible, split_brain_ack};
use crate::classify::{classify, possible_copies};
use crate::history::{Outcome, SendEnd, SendInvoke};
use crate::state::{AckHigh, Claim, Send};

/// A partition id that no partition has: the sender does not know it yet.
const UNKNOWN_PARTITION: u32 = u32::MAX;

impl Checker {
    pub(super) fn send_invoke(
        &mut self,
        line: u64,
        invoke: &SendInvoke,
    ) -> Result<(), HistoryFault> {
        let home = match invoke.partition.as_str().ends_with("/*") {
            true => None,
            false => Some(self.partition_id(&invoke.partition)),
        };
        let acked_before = home.and_then(|partition| self.partitions[partition as usize].ack_high);
        let id = self.writer_id(home, invoke.value.producer, invoke.value.incarnation);
        let writer = &mut self.writers[id as usize];
        let seq = invoke.value.seq;
        let seqs = seq..seq + u64::from(invoke.count);
        if writer.invoked.overlaps(&seqs) {
            let value = invoke.value;
            return Err(HistoryFault::ValueReused { line, value });
        }
        writer.invoked.insert(seqs);
        writer.idempotent |= invoke.wire.is_some();
        writer.transactional |= invoke.transaction.is_some();
        let send = Send {
            count: invoke.count,
            copies_allowed: 1,
            copies_seen: 1,
            outcome: None,
            acks: invoke.acks,
            wire: invoke.wire,
            wire_ambiguous: false,
            retried: false,
            transaction: invoke.transaction,
            acked_before,
            invoke_line: line,
            end_line: 0,
            read_line: 0,
            partition: home.unwrap_or(UNKNOWN_PARTITION),
            claim: None,
            place: None,
            settled: false,
        };
        writer.sends.insert(seq, send);
        if self.forgets {
            self.bound_sends(id);
        }
        if let Some(transaction) = invoke.transaction {
            self.transactions
                .wrote(transaction, id, seq, invoke.count, line);
            if let Some(partition) = home {
                self.partitions[partition as usize].transactional = true;
            }
        }
        self.open(line, invoke.op, OpenOp::Send { writer: id, seq })
    }

    pub(super) fn send_end(&mut self, line: u64, end: &SendEnd) -> Result<(), HistoryFault> {
        let Some(OpenOp::Send { writer: id, seq }) = self.ops.remove(&end.op) else {
            return Err(HistoryFault::UnknownOperation { line, op: end.op });
        };
        let told_partition = end.partition.as_ref().map(|name| self.partition_id(name));
        let writer = &mut self.writers[id as usize];
        let Some(send) = writer.sends.get_mut(&seq) else {
            // Dropped for lack of room, which the report says.
            return Ok(());
        };
        send.end_line = line;
        send.copies_allowed = possible_copies(&end.attempts, self.contract);
        send.retried = end.attempts.len() > 1;
        send.wire_ambiguous = end
            .attempts
            .iter()
            .any(|attempt| attempt.wire.is_some() && attempt.wire != send.wire);
        if let (UNKNOWN_PARTITION, Some(partition)) = (send.partition, told_partition) {
            send.partition = partition;
        }
        let outcome = match classify(end, self.contract) {
            // Nobody promised anything.
            Outcome::Ok if send.acks == 0 => Outcome::Info,
            outcome => outcome,
        };
        send.outcome = Some(outcome);
        match outcome {
            Outcome::Ok => self.send_acked(line, id, seq, end),
            Outcome::Fail => self.send_failed(id, seq),
            Outcome::Info => {}
        }
        Ok(())
    }

    fn bound_sends(&mut self, id: u32) {
        let sends = &mut self.writers[id as usize].sends;
        while sends.len() > MAX_UNANSWERED_SENDS
            && let Some(oldest) = sends.first_entry()
            && oldest.get().outcome == Some(Outcome::Info)
        {
            oldest.remove();
        }
        if sends.len() > MAX_UNDECIDED_SENDS {
            sends.pop_first();
            self.incomplete.insert(Incomplete::TooManyUndecidedSends);
        }
    }

    fn send_failed(&mut self, id: u32, seq: u64) {
        let writer = &mut self.writers[id as usize];
        let Some(send) = writer.sends.remove(&seq) else {
            return;
        };
        let seqs = seq..seq + u64::from(send.count);
        writer.failed.insert(seqs.clone());
        writer
            .refusals
            .insert(seq, [send.invoke_line, send.end_line]);
        if self.forgets && writer.refusals.len() > MAX_UNANSWERED_SENDS {
            writer.refusals.pop_first();
        }
        if writer.read.overlaps(&seqs) {
            let place = self
                .partitions
                .get(send.partition as usize)
                .map(|partition| &partition.name);
            aborted_read::report(
                &mut self.findings,
                place,
                id,
                writer.value(seq),
                send.place,
                send.lines(),
            );
        }
        if let Some(transaction) = send.transaction {
            self.transactions.write_failed(transaction, id, seq);
        }
    }

    fn send_acked(&mut self, line: u64, id: u32, seq: u64, end: &SendEnd) {
        let writer = &mut self.writers[id as usize];
        let value = writer.value(seq);
        let Some(send) = writer.sends.get_mut(&seq) else {
            return;
        };
        let seqs = seq..seq + u64::from(send.count);
        if send.transaction.is_none() {
            writer.acked.insert(seqs);
        }
        let Some(partition) = self.partitions.get_mut(send.partition as usize) else {
            return;
        };
        if let (Some(epoch), Some(node)) = (end.leader_epoch, end.node) {
            split_brain_ack::judge_ack(&mut self.findings, partition, epoch, node, line);
        }
        let Some(offset) = end.offset else {
            return;
        };
        if ack_offset_implausible::is_zero_for_later(send, offset) {
            ack_offset_implausible::report_zero(&mut self.findings, partition, id, value, send);
            return;
        }
        send.claim = Some(offset);
        let claim = Claim {
            count: u64::from(send.count),
            writer: id,
            seq,
            line,
        };
        let last = offset + claim.count - 1;
        ack_offset_implausible::note_claim(partition, offset, claim);
        if self.forgets && partition.claims.len() > MAX_UNDECIDED_SENDS {
            partition.claims.pop_first();
            self.incomplete.insert(Incomplete::TooManyUndecidedSends);
        }
        if partition.ack_high.is_none_or(|high| high.offset < last) {
            partition.ack_high = Some(AckHigh {
                offset: last,
                writer: id,
                line,
            });
        }
        if send.settled {
            // It was read long ago; only now is it known where it should have been.
            ack_offset_implausible::judge_place(&mut self.findings, partition, id, value, send);
            if self.forgets {
                writer.sends.remove(&seq);
            }
        }
    }
}
