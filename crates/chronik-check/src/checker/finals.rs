//! The last word after the heal: everything acknowledged must be in the final log.

use super::Checker;
use crate::anomaly::{dirty_then_lost, final_lost, unseen};
use crate::finding::Findings;
use crate::history::FinalRead;
use crate::state::{FinalBounds, Partition, Writer};
use std::ops::Range;

/// What became of a record that the final read did not deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Deleted on purpose, or nobody can tell.
    Excused,
    Lost {
        offset: Option<u64>,
    },
    /// The final read did not get that far.
    NotReached {
        offset: Option<u64>,
    },
}

impl Checker {
    pub(super) fn final_read(&mut self, line: u64, read: &FinalRead) {
        let id = self.partition_id(&read.partition);
        let bounds = &mut self.partitions[id as usize].final_bounds;
        let before = bounds.take();
        *bounds = Some(FinalBounds {
            start: before.map_or(read.start, |before| before.start.max(read.start)),
            end: before.map_or(read.end, |before| before.end.max(read.end)),
            reached: before.map_or(read.reached, |before| before.reached.max(read.reached)),
            line,
        });
    }

    pub(super) fn judge_finals(&mut self) {
        for (id, writer) in self.writers.iter().enumerate().skip(1) {
            let id = id as u32;
            judge_writer(&mut self.findings, &self.partitions, id, writer);
        }
    }
}

fn judge_writer(findings: &mut Findings, partitions: &[Partition], id: u32, writer: &Writer) {
    for acked in writer.acked.iter() {
        for seqs in writer.final_read.missing(acked) {
            for seqs in by_send(writer, seqs) {
                let Some((partition, bounds, fate)) = fate_of(partitions, writer, seqs.start)
                else {
                    continue;
                };
                let lines = evidence(writer, seqs.start, bounds.line);
                match fate {
                    Fate::Excused => {}
                    Fate::Lost { offset } => {
                        final_lost::report(findings, partition, id, writer, &seqs, offset, lines)
                    }
                    Fate::NotReached { offset } => {
                        unseen::report(findings, partition, id, writer, &seqs, offset, lines)
                    }
                }
            }
        }
    }
    if writer.transactional {
        // What readers of uncommitted records saw may be aborted by right.
        return;
    }
    for read in writer.read.iter() {
        for seqs in writer.final_read.missing(read) {
            for seqs in writer
                .acked
                .missing(seqs)
                .into_iter()
                .flat_map(|seqs| by_send(writer, seqs))
            {
                if let Some((partition, bounds, Fate::Lost { offset })) =
                    fate_of(partitions, writer, seqs.start)
                {
                    let lines = evidence(writer, seqs.start, bounds.line);
                    dirty_then_lost::report(findings, partition, id, writer, &seqs, offset, lines);
                }
            }
        }
    }
}

/// Cuts sequences at the borders of the sends that are still known.
fn by_send(writer: &Writer, seqs: Range<u64>) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    let mut from = seqs.start;
    for first in writer
        .sends
        .range(seqs.start + 1..seqs.end)
        .map(|(first, _)| *first)
    {
        parts.push(from..first);
        from = first;
    }
    parts.push(from..seqs.end);
    parts
}

fn fate_of<'a>(
    partitions: &'a [Partition],
    writer: &Writer,
    seq: u64,
) -> Option<(&'a Partition, FinalBounds, Fate)> {
    let known = writer.send_of(seq);
    let home = writer
        .home
        .or_else(|| known.map(|(_, send)| send.partition))?;
    let partition = partitions.get(home as usize)?;
    let bounds = partition.final_bounds?;
    let base = known.and_then(|(first, send)| Some(send.place.or(send.claim)? + (seq - first)));
    let fate = match base {
        Some(offset) if offset < bounds.start => Fate::Excused,
        Some(offset) if offset >= bounds.reached && offset < bounds.end => {
            Fate::NotReached { offset: base }
        }
        Some(_) => Fate::Lost { offset: base },
        None => fate_without_offset(bounds, writer, seq),
    };
    Some((partition, bounds, fate))
}

/// Online the offset is forgotten, and some acknowledgements have none: the order of the writer's sequences stands in for it.
fn fate_without_offset(bounds: FinalBounds, writer: &Writer, seq: u64) -> Fate {
    let first_seen = writer
        .final_read
        .first()
        .map_or(u64::MAX, |first| first.start);
    let seen_end = writer.final_read.end().unwrap_or(0);
    if bounds.start > 0 && seq < first_seen {
        Fate::Excused
    } else if seq < seen_end || bounds.reached >= bounds.end {
        Fate::Lost { offset: None }
    } else {
        Fate::NotReached { offset: None }
    }
}

fn evidence(writer: &Writer, seq: u64, final_line: u64) -> [u64; 4] {
    let [invoke, end, read] = writer.send_of(seq).map_or([0; 3], |(_, send)| send.lines());
    [invoke, end, read, final_line]
}
