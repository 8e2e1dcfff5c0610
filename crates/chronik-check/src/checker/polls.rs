//! Polls: who saw what where, compared with what others saw there.

use super::{Checker, OpenOp, SETTLE_STEPS_PER_WINDOW};
use crate::anomaly::{
    aborted_read, corrupt, duplicate, epoch_regress, inconsistent_offset, misrouted,
    nonmonotonic_poll, phantom, stale_tail,
};
use crate::history::{Content, Isolation, Name, Poll, PollMode, Positions, Record};
use crate::state::{Gap, NOBODY, ReadPosition, Run};

impl Checker {
    pub(super) fn poll(&mut self, line: u64, proc: u32, poll: &Poll) {
        if let Some(OpenOp::Poll { line: began }) = self.ops.remove(&poll.op) {
            for (name, offset) in &poll.high_watermarks {
                let partition = self.partition_id(name);
                let partition = &mut self.partitions[partition as usize];
                stale_tail::judge_high_watermark(
                    &mut self.findings,
                    partition,
                    began,
                    line,
                    *offset,
                );
            }
        }
        for (name, records) in &poll.records {
            if records.is_empty() {
                continue;
            }
            let partition = self.partition_id(name);
            self.follow(line, proc, partition, poll, records);
            for record in records {
                self.see(line, proc, partition, poll, record);
            }
            if let Some(group) = &poll.group {
                let known = &mut self.partitions[partition as usize];
                self.groups.delivered(
                    &mut self.findings,
                    known,
                    partition,
                    group,
                    proc,
                    line,
                    records,
                );
            }
            if self.forgets {
                self.settle_behind_frontier(partition);
            }
        }
    }

    /// The consumer chose its partitions anew: earlier positions mean nothing.
    pub(super) fn assign(&mut self, line: u64, proc: u32, positions: &Positions) {
        self.readers.retain(|(reader, _), _| *reader != proc);
        self.seek(line, proc, positions);
    }

    pub(super) fn seek(&mut self, line: u64, proc: u32, positions: &Positions) {
        for (name, position) in positions {
            let partition = self.partition_id(name);
            let reader = ReadPosition {
                next: *position,
                line,
                ..ReadPosition::default()
            };
            self.readers.insert((proc, partition), reader);
        }
    }

    pub(super) fn assigned(
        &mut self,
        line: u64,
        proc: u32,
        group: &Name,
        generation: i32,
        positions: &Positions,
    ) {
        self.seek(line, proc, positions);
        for (name, position) in positions {
            let id = self.partition_id(name);
            let partition = &self.partitions[id as usize];
            self.groups.assigned(
                &mut self.findings,
                &partition.name,
                id,
                group,
                generation,
                proc,
                line,
                *position,
            );
        }
    }

    pub(super) fn revoked(&mut self, proc: u32, group: &Name, partitions: &[Name]) {
        for name in partitions {
            let partition = self.partition_id(name);
            self.readers.remove(&(proc, partition));
            self.groups.revoked(partition, group, proc);
        }
    }

    /// Moves the reader's position, and notes what it passed and what it stepped back over.
    fn follow(&mut self, line: u64, proc: u32, id: u32, poll: &Poll, records: &[Record]) {
        let reader = self.readers.entry((proc, id)).or_default();
        let partition = &mut self.partitions[id as usize];
        if records[0].offset >= partition.settled_below {
            // What is still known record by record needs no digest.
            reader.blocks = Default::default();
        }
        let mut next = reader.next.unwrap_or(records[0].offset);
        let mut covered_from = next.min(records[0].offset);
        for record in records {
            if record.offset < next {
                let lines = [reader.line, line];
                nonmonotonic_poll::judge(
                    &mut self.findings,
                    &partition.name,
                    poll.mode,
                    next,
                    record.offset,
                    lines,
                );
                covered_from = covered_from.min(record.offset);
            } else if record.offset > next {
                partition.gaps.push(Gap {
                    offsets: next..record.offset,
                    mode: poll.mode,
                    lines: [reader.line, line],
                });
            }
            next = record.offset + u64::from(record.count);
        }
        partition.covered.insert(covered_from..next);
        if poll.isolation == Isolation::Committed {
            partition.covered_committed.insert(covered_from..next);
        }
        reader.next = Some(next);
        reader.line = line;
    }

    fn see(&mut self, line: u64, proc: u32, id: u32, poll: &Poll, record: &Record) {
        let Content::Value(value) = record.content else {
            return self.see_nobody(line, id, record);
        };
        let writer = self.writer_seen(id, value);
        let run = Run {
            offset: record.offset,
            count: u64::from(record.count),
            writer,
            seq: value.seq,
            epoch: record.leader_epoch.unwrap_or(-1),
            line,
        };
        let partition = &mut self.partitions[id as usize];
        if poll.mode == PollMode::Final {
            self.writers[writer as usize].final_read.insert(run.seqs());
            partition.final_offsets.insert(run.offsets());
        }
        if partition.transactional || poll.transaction.is_some() {
            let writers = &self.writers;
            self.transactions.read(
                &mut self.findings,
                &partition.name,
                writers,
                &run,
                poll.isolation,
                poll.transaction,
            );
        }
        if run.offset >= partition.settled_below {
            return self.see_remembered(id, run);
        }
        let split = partition.settled_below.min(run.offset + run.count);
        self.see_forgotten(proc, id, run.part(run.offset..split));
        if split < run.offset + run.count {
            self.see_remembered(id, run.part(split..run.offset + run.count));
        }
    }

    /// A run in the part of the log that is known record by record.
    fn see_remembered(&mut self, id: u32, run: Run) {
        let partition = &self.partitions[id as usize];
        let end = run.offset + run.count;
        if !partition.observed_offsets.overlaps(&run.offsets()) {
            return self.see_first(id, run);
        }
        let before = partition.observed.range(..=run.offset).next_back();
        if let Some((_, known)) = before
            && known.offset + known.count >= end
        {
            let known = *known;
            return self.compare(id, known, run);
        }
        let from = before.map_or(run.offset, |(offset, _)| *offset);
        let known: Vec<Run> = partition
            .observed
            .range(from..end)
            .map(|(_, known)| *known)
            .collect();
        let mut cursor = run.offset;
        for known in known {
            let known_end = known.offset + known.count;
            if known_end <= cursor {
                continue;
            }
            if cursor < known.offset {
                self.see_first(id, run.part(cursor..known.offset));
            }
            let shared = known.offset.max(cursor)..known_end.min(end);
            cursor = shared.end;
            self.compare(id, known, run.part(shared));
        }
        if cursor < end {
            self.see_first(id, run.part(cursor..end));
        }
    }

    /// Offsets that somebody saw before: it must be the same.
    fn compare(&mut self, id: u32, known: Run, run: Run) {
        let expected = known.part(run.offsets());
        let same = expected.writer == run.writer && expected.seq == run.seq;
        if same {
            return;
        }
        if known.writer == NOBODY {
            self.writers[run.writer as usize].read.insert(run.seqs());
            return;
        }
        let partition = &self.partitions[id as usize];
        let writer = &mut self.writers[run.writer as usize];
        if phantom::judge(&mut self.findings, partition, writer, &run)
            && aborted_read::judge(&mut self.findings, partition, writer, &run)
        {
            writer.read.insert(run.seqs());
            inconsistent_offset::report(
                &mut self.findings,
                partition,
                &self.writers,
                &expected,
                &run,
            );
        }
        // Whatever it is, it was delivered, and nobody shall call it lost.
        self.writers[run.writer as usize].read.insert(run.seqs());
    }

    /// Offsets that nobody saw before.
    fn see_first(&mut self, id: u32, run: Run) {
        let partition = &mut self.partitions[id as usize];
        let writer = &mut self.writers[run.writer as usize];
        phantom::judge(&mut self.findings, partition, writer, &run);
        aborted_read::judge(&mut self.findings, partition, writer, &run);
        duplicate::judge(&mut self.findings, partition, writer, &run);
        writer.read.insert(run.seqs());
        epoch_regress::judge(&mut self.findings, partition, &run);
        let from = writer.send_of(run.seq).map_or(run.seq, |(first, _)| first);
        for (first, send) in writer.sends.range_mut(from..run.seq + run.count) {
            let within = run.seq.max(*first);
            let offset = run.offset + (within - run.seq);
            let Some(base) = offset.checked_sub(within - first) else {
                continue;
            };
            if send.place.is_none() || send.claim == Some(base) {
                send.place = Some(base);
                send.read_line = run.line;
            }
            if send.partition != id {
                let value = (run.writer, *first);
                misrouted::judge_place(&mut self.findings, partition, value, send);
                send.partition = id;
            }
        }
        partition.observed_offsets.insert(run.offsets());
        partition.observed.insert(run.offset, run);
    }

    /// A run behind the window: digests stand for the records.
    fn see_forgotten(&mut self, proc: u32, id: u32, run: Run) {
        let partition = &self.partitions[id as usize];
        let writer = &mut self.writers[run.writer as usize];
        let known = phantom::judge(&mut self.findings, partition, writer, &run)
            && aborted_read::judge(&mut self.findings, partition, writer, &run);
        if known && !writer.read.covers(&run.seqs()) {
            writer.read.insert(run.seqs());
            if partition.observed_offsets.overlaps(&run.offsets()) {
                inconsistent_offset::report_forgotten(&mut self.findings, partition, writer, &run);
            }
        }
        let identity = self.writers[run.writer as usize].identity();
        let reader = self.readers.entry((proc, id)).or_default();
        let (findings, line) = (&mut self.findings, run.line);
        let blocks = &partition.blocks;
        blocks.compare(
            &mut reader.blocks,
            run.offset,
            identity,
            run.seq,
            run.count,
            |block| {
                inconsistent_offset::report_block(findings, partition, block, line);
            },
        );
    }

    /// A record that is not one of ours here; it takes its offsets all the same.
    fn see_nobody(&mut self, line: u64, id: u32, record: &Record) {
        let partition = &mut self.partitions[id as usize];
        corrupt::report(&mut self.findings, partition, id, line, record);
        let run = Run {
            offset: record.offset,
            count: u64::from(record.count),
            writer: NOBODY,
            seq: record.offset,
            epoch: -1,
            line,
        };
        for missing in partition.observed_offsets.missing(run.offsets()) {
            partition.observed.insert(missing.start, run.part(missing));
        }
        partition.observed_offsets.insert(run.offsets());
    }

    fn settle_behind_frontier(&mut self, id: u32) {
        let partition = &self.partitions[id as usize];
        // A reader that looked at the tail only does not move the frontier: its interval is not the first.
        let frontier = partition.covered.first().map_or(0, |first| first.end);
        let upto = frontier.saturating_sub(self.window_offsets);
        if upto >= partition.settled_below + self.window_offsets / SETTLE_STEPS_PER_WINDOW {
            self.settle(id, upto);
        }
    }
}
