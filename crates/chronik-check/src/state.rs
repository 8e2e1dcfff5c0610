//! What the checker remembers: writers with their sends, partitions with what was seen in them, readers.

use crate::history::{Name, Outcome, PollMode, Value, Wire};
use crate::online::{BlockDigests, BlockReader, IntervalSet};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

/// A writer that stands for records whose payload is nobody's; their sequence is their offset.
pub(crate) const NOBODY: u32 = 0;

/// One incarnation of one producer in one partition, or in all of them where it cannot choose.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) producer: u32,
    pub(crate) incarnation: u32,
    /// `None` for a writer whose partitioner is foreign.
    pub(crate) home: Option<u32>,
    pub(crate) idempotent: bool,
    pub(crate) transactional: bool,
    pub(crate) invoked: IntervalSet,
    /// Must survive.
    pub(crate) acked: IntervalSet,
    /// Must never be seen.
    pub(crate) failed: IntervalSet,
    /// Evidence for the failed ones, by first sequence: where they were sent and refused.
    pub(crate) refusals: BTreeMap<u64, [u64; 2]>,
    /// Seen by anybody.
    pub(crate) read: IntervalSet,
    /// Seen by the final read.
    pub(crate) final_read: IntervalSet,
    /// By first sequence; online without what is settled.
    pub(crate) sends: BTreeMap<u64, Send>,
}

/// One batch on its way.
#[derive(Clone, Debug)]
pub(crate) struct Send {
    pub(crate) count: u32,
    pub(crate) copies_allowed: u32,
    pub(crate) copies_seen: u32,
    /// `None` while the operation is open.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) acks: i16,
    pub(crate) wire: Option<Wire>,
    /// Attempts went out under different identities, so which one landed is not known.
    pub(crate) wire_ambiguous: bool,
    pub(crate) retried: bool,
    pub(crate) transaction: Option<u64>,
    /// The highest acknowledged offset when this send began.
    pub(crate) acked_before: Option<AckHigh>,
    pub(crate) invoke_line: u64,
    pub(crate) end_line: u64,
    pub(crate) read_line: u64,
    pub(crate) partition: u32,
    /// The base offset the broker told.
    pub(crate) claim: Option<u64>,
    /// The base offset that reads show.
    pub(crate) place: Option<u64>,
    pub(crate) settled: bool,
}

/// The highest acknowledged offset of a partition and whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckHigh {
    pub(crate) offset: u64,
    pub(crate) writer: u32,
    pub(crate) line: u64,
}

/// Consecutive records first seen in one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) offset: u64,
    pub(crate) count: u64,
    pub(crate) writer: u32,
    pub(crate) seq: u64,
    /// -1 if the reader did not say.
    pub(crate) epoch: i32,
    pub(crate) line: u64,
}

/// An acknowledged batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) count: u64,
    pub(crate) writer: u32,
    pub(crate) seq: u64,
    pub(crate) line: u64,
}

/// Two acknowledged batches that share an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overlap {
    pub(crate) offset: u64,
    pub(crate) first: Claim,
    pub(crate) second: Claim,
}

/// Offsets that a reader passed without a record.
#[derive(Clone, Debug)]
pub(crate) struct Gap {
    pub(crate) offsets: Range<u64>,
    pub(crate) mode: PollMode,
    pub(crate) lines: [u64; 2],
}

/// The last batch of a writer in log order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    pub(crate) seq: u64,
    pub(crate) count: u32,
    pub(crate) offset: u64,
    pub(crate) wire: Option<Wire>,
    /// Tried more than once, or never answered for certain.
    pub(crate) unsure: bool,
    pub(crate) acked: bool,
    pub(crate) invoke_line: u64,
    pub(crate) end_line: u64,
    pub(crate) read_line: u64,
}

/// The bounds of all final reads of a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FinalBounds {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) reached: u64,
    pub(crate) line: u64,
}

/// A digest that a replica reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplicaDigest {
    pub(crate) node: u32,
    pub(crate) commit: u64,
    pub(crate) digest: u64,
    pub(crate) line: u64,
}

/// An offset with the line that told it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) offset: u64,
    pub(crate) line: u64,
}

/// The rising ends that were told, the last ones of them.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    maxima: VecDeque<Told>,
}

#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) name: Name,
    /// By offset; online only the window that is not settled.
    pub(crate) observed: BTreeMap<u64, Run>,
    pub(crate) claims: BTreeMap<u64, Claim>,
    pub(crate) observed_offsets: IntervalSet,
    pub(crate) claimed_offsets: IntervalSet,
    /// Delivered to or passed by some reader.
    pub(crate) covered: IntervalSet,
    /// The same for readers that see only what is committed.
    pub(crate) covered_committed: IntervalSet,
    pub(crate) final_offsets: IntervalSet,
    pub(crate) reported_holes: IntervalSet,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) overlaps: Vec<Overlap>,
    pub(crate) ack_high: Option<AckHigh>,
    pub(crate) last_settled: FxHashMap<u32, Settled>,
    pub(crate) settled_below: u64,
    pub(crate) blocks: BlockDigests,
    pub(crate) log_end: Ends,
    pub(crate) high_watermark: Ends,
    /// Which node acknowledged in which leader epoch.
    pub(crate) epoch_acks: BTreeMap<i32, (u32, u64)>,
    pub(crate) replica_digests: BTreeMap<u64, Vec<ReplicaDigest>>,
    /// Pairs of nodes whose replicas are known to differ.
    pub(crate) diverged: BTreeSet<(u32, u32)>,
    pub(crate) final_bounds: Option<FinalBounds>,
    pub(crate) transactional: bool,
}

/// One consumer's way through one partition.
#[derive(Debug, Default)]
pub(crate) struct ReadPosition {
    pub(crate) next: Option<u64>,
    pub(crate) line: u64,
    pub(crate) blocks: BlockReader,
}

/// How many rises an end remembers: more than any operation spans.
const MAX_ENDS: usize = 256;

impl Ends {
    /// The highest end that was told before a line.
    pub(crate) fn before(&self, line: u64) -> Option<Told> {
        self.maxima
            .iter()
            .rev()
            .find(|told| told.line < line)
            .copied()
    }

    pub(crate) fn tell(&mut self, offset: u64, line: u64) {
        if self.maxima.back().is_none_or(|last| last.offset < offset) {
            self.maxima.push_back(Told { offset, line });
        }
        if self.maxima.len() > MAX_ENDS {
            self.maxima.pop_front();
        }
    }
}

impl Writer {
    /// The batch that holds a sequence, with its first sequence.
    pub(crate) fn send_of(&self, seq: u64) -> Option<(u64, &Send)> {
        let (first, send) = self.sends.range(..=seq).next_back()?;
        (seq < first + u64::from(send.count)).then_some((*first, send))
    }

    pub(crate) fn send_of_mut(&mut self, seq: u64) -> Option<(u64, &mut Send)> {
        let (first, send) = self.sends.range_mut(..=seq).next_back()?;
        (seq < first + u64::from(send.count)).then_some((*first, send))
    }

    /// The lines that tell of the refusal of a sequence.
    pub(crate) fn refusal_of(&self, seq: u64) -> [u64; 2] {
        let refusal = self.refusals.range(..=seq).next_back();
        refusal.map_or([0; 2], |(_, lines)| *lines)
    }

    pub(crate) fn value(&self, seq: u64) -> Value {
        Value {
            producer: self.producer,
            incarnation: self.incarnation,
            seq,
        }
    }

    /// One number for the writer in digests.
    pub(crate) fn identity(&self) -> u64 {
        u64::from(self.producer) << 32 | u64::from(self.incarnation)
    }
}

impl Send {
    /// Lines that tell its story.
    pub(crate) fn lines(&self) -> [u64; 3] {
        [self.invoke_line, self.end_line, self.read_line]
    }

    pub(crate) fn is_acked(&self) -> bool {
        self.outcome == Some(Outcome::Ok)
    }
}

impl Settled {
    /// Lines that tell its story.
    pub(crate) fn lines(&self) -> [u64; 3] {
        [self.invoke_line, self.end_line, self.read_line]
    }
}

impl Run {
    pub(crate) fn offsets(&self) -> Range<u64> {
        self.offset..self.offset + self.count
    }

    pub(crate) fn seqs(&self) -> Range<u64> {
        self.seq..self.seq + self.count
    }

    /// The part at these offsets, which must lie within.
    pub(crate) fn part(&self, offsets: Range<u64>) -> Run {
        Run {
            offset: offsets.start,
            count: offsets.end - offsets.start,
            seq: self.seq + (offsets.start - self.offset),
            ..*self
        }
    }
}

impl Partition {
    pub(crate) fn new(name: Name) -> Partition {
        Partition {
            name,
            observed: BTreeMap::new(),
            claims: BTreeMap::new(),
            observed_offsets: IntervalSet::default(),
            claimed_offsets: IntervalSet::default(),
            covered: IntervalSet::default(),
            covered_committed: IntervalSet::default(),
            final_offsets: IntervalSet::default(),
            reported_holes: IntervalSet::default(),
            gaps: Vec::new(),
            overlaps: Vec::new(),
            ack_high: None,
            last_settled: FxHashMap::default(),
            settled_below: 0,
            blocks: BlockDigests::default(),
            log_end: Ends::default(),
            high_watermark: Ends::default(),
            epoch_acks: BTreeMap::new(),
            replica_digests: BTreeMap::new(),
            diverged: BTreeSet::new(),
            final_bounds: None,
            transactional: false,
        }
    }

    /// Offsets below it were deleted on purpose, as far as the history knows.
    pub(crate) fn log_start(&self) -> u64 {
        self.final_bounds.map_or(0, |bounds| bounds.start)
    }
}
