//! Idempotent producers: which sequences a partition has seen, by Kafka's rules.
//!
//! The state follows from the log alone, so that every replica and every restart computes the same.

use std::collections::{BTreeMap, VecDeque};

use super::batch::BatchHeader;
use crate::wire::{Reader, WireError, Writer};

/// Per producer the last batches, as many as a client may have in flight.
const REMEMBERED_BATCHES: usize = 5;
/// Beyond this many producers the quarter that wrote longest ago is forgotten.
const MAX_PRODUCERS: usize = 16_384;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    by_id: BTreeMap<i64, Producer>,
}

/// One producer's recent past in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    pub epoch: i16,
    pub batches: VecDeque<Seen>,
}

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub first_sequence: i32,
    pub last_sequence: i32,
    pub base_offset: i64,
    pub last_offset: i64,
    pub max_timestamp: i64,
}

/// How to forget a batch again, if its entry is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undo {
    producer: i64,
    before: Before,
    /// Producers that were forgotten to make room.
    evicted: Vec<(i64, Producer)>,
}

/// What was known of the producer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Before {
    /// Nothing, or an older epoch.
    Other(Option<Producer>),
    /// The same but the newest batch; this one made room for it.
    Same { oldest: Option<Seen> },
}

/// What a batch is to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    New,
    /// It was appended before: the answer is that of the first time.
    Duplicate(Seen),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceRefused {
    #[error("sequence {got} does not follow {last}")]
    OutOfOrder { got: i32, last: i32 },
    #[error("a new producer epoch begins with sequence 0, not {got}")]
    EpochNotAtZero { got: i32 },
    #[error("producer epoch {got} is older than {current}")]
    OldEpoch { got: i16, current: i16 },
    #[error("a batch of an idempotent producer has a sequence and an epoch")]
    Incomplete,
}

impl Producers {
    /// Judges a batch against everything appended so far. Batches without a producer id are always new.
    pub fn judge(&self, batch: &BatchHeader) -> Result<Verdict, SequenceRefused> {
        if !batch.is_idempotent() {
            return Ok(Verdict::New);
        }
        if batch.base_sequence < 0 || batch.producer_epoch < 0 {
            return Err(SequenceRefused::Incomplete);
        }
        let Some(producer) = self.by_id.get(&batch.producer_id) else {
            return Ok(Verdict::New);
        };
        if batch.producer_epoch < producer.epoch {
            return Err(SequenceRefused::OldEpoch {
                got: batch.producer_epoch,
                current: producer.epoch,
            });
        }
        if batch.producer_epoch > producer.epoch {
            return match batch.base_sequence {
                0 => Ok(Verdict::New),
                got => Err(SequenceRefused::EpochNotAtZero { got }),
            };
        }
        producer.judge(batch.base_sequence, last_sequence(batch))
    }

    /// Takes note of a batch that is in the log at `base_offset`. None if it teaches nothing.
    pub(super) fn remember(&mut self, batch: &BatchHeader, base_offset: i64) -> Option<Undo> {
        if !batch.is_idempotent() {
            return None;
        }
        let seen = Seen {
            first_sequence: batch.base_sequence,
            last_sequence: last_sequence(batch),
            base_offset,
            last_offset: base_offset + i64::from(batch.last_offset_delta),
            max_timestamp: batch.max_timestamp,
        };
        let same_epoch = |producer: &&mut Producer| producer.epoch == batch.producer_epoch;
        let before = match self.by_id.get_mut(&batch.producer_id).filter(same_epoch) {
            Some(producer) => {
                let is_full = producer.batches.len() == REMEMBERED_BATCHES;
                let oldest = producer.batches.pop_front_if(|_| is_full);
                producer.batches.push_back(seen);
                Before::Same { oldest }
            }
            None => {
                let producer = Producer {
                    epoch: batch.producer_epoch,
                    batches: VecDeque::from([seen]),
                };
                Before::Other(self.by_id.insert(batch.producer_id, producer))
            }
        };
        Some(Undo {
            producer: batch.producer_id,
            before,
            evicted: self.forget_oldest(),
        })
    }

    /// Takes the newest batch back, as if it had never been there.
    pub(super) fn undo(&mut self, undo: Undo) {
        self.by_id.extend(undo.evicted);
        match undo.before {
            Before::Other(Some(producer)) => _ = self.by_id.insert(undo.producer, producer),
            Before::Other(None) => _ = self.by_id.remove(&undo.producer),
            Before::Same { oldest } => {
                let producer = self
                    .by_id
                    .get_mut(&undo.producer)
                    .expect("the batch to forget is remembered");
                producer.batches.pop_back();
                if let Some(oldest) = oldest {
                    producer.batches.push_front(oldest);
                }
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub fn encode(&self, out: &mut Writer) {
        out.count(self.by_id.len());
        for (id, producer) in &self.by_id {
            out.i64(*id);
            producer.encode(out);
        }
    }

    pub fn decode(input: &mut Reader<'_>) -> Result<Producers, WireError> {
        let by_id = (0..input.count(14)?)
            .map(|_| Ok((input.i64()?, Producer::decode(input)?)))
            .collect::<Result<_, _>>()?;
        Ok(Producers { by_id })
    }

    /// Depends on the log's order only, so that all replicas forget the same ones.
    fn forget_oldest(&mut self) -> Vec<(i64, Producer)> {
        if self.by_id.len() <= MAX_PRODUCERS {
            return Vec::new();
        }
        let mut last_offsets: Vec<i64> = self.by_id.values().map(Producer::last_offset).collect();
        let (_, oldest_kept, _) = last_offsets.select_nth_unstable(MAX_PRODUCERS / 4);
        let oldest_kept = *oldest_kept;
        self.by_id
            .extract_if(.., |_, producer| producer.last_offset() < oldest_kept)
            .collect()
    }
}

impl Undo {
    pub(super) fn encode(&self, out: &mut Writer) {
        out.i64(self.producer);
        match &self.before {
            Before::Other(None) => _ = out.u8(0),
            Before::Other(Some(producer)) => {
                out.u8(1);
                producer.encode(out);
            }
            Before::Same { oldest: None } => _ = out.u8(2),
            Before::Same {
                oldest: Some(oldest),
            } => {
                out.u8(3);
                oldest.encode(out);
            }
        }
        out.count(self.evicted.len());
        for (id, producer) in &self.evicted {
            out.i64(*id);
            producer.encode(out);
        }
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Undo, WireError> {
        let producer = input.i64()?;
        let before = match input.u8()? {
            0 => Before::Other(None),
            1 => Before::Other(Some(Producer::decode(input)?)),
            2 => Before::Same { oldest: None },
            3 => Before::Same {
                oldest: Some(Seen::decode(input)?),
            },
            other => return Err(input.unknown("producer undo", other.into())),
        };
        let evicted = (0..input.count(14)?)
            .map(|_| Ok((input.i64()?, Producer::decode(input)?)))
            .collect::<Result<_, _>>()?;
        Ok(Undo {
            producer,
            before,
            evicted,
        })
    }
}

impl Seen {
    fn encode(&self, out: &mut Writer) {
        out.i32(self.first_sequence).i32(self.last_sequence);
        out.i64(self.base_offset)
            .i64(self.last_offset)
            .i64(self.max_timestamp);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Seen, WireError> {
        Ok(Seen {
            first_sequence: input.i32()?,
            last_sequence: input.i32()?,
            base_offset: input.i64()?,
            last_offset: input.i64()?,
            max_timestamp: input.i64()?,
        })
    }
}

impl Producer {
    fn encode(&self, out: &mut Writer) {
        out.i16(self.epoch).count(self.batches.len());
        self.batches.iter().for_each(|seen| seen.encode(out));
    }

    fn decode(input: &mut Reader<'_>) -> Result<Producer, WireError> {
        let epoch = input.i16()?;
        let batches = (0..input.count(32)?)
            .map(|_| Seen::decode(input))
            .collect::<Result<VecDeque<_>, _>>()?;
        if batches.is_empty() {
            return Err(input.unknown("batches of a producer", 0));
        }
        Ok(Producer { epoch, batches })
    }

    fn judge(&self, first: i32, last: i32) -> Result<Verdict, SequenceRefused> {
        let repeated = |seen: &&Seen| seen.first_sequence == first && seen.last_sequence == last;
        if let Some(seen) = self.batches.iter().find(repeated) {
            return Ok(Verdict::Duplicate(*seen));
        }
        let newest = self
            .batches
            .back()
            .expect("a known producer has appended")
            .last_sequence;
        if first == following(newest) {
            Ok(Verdict::New)
        } else {
            Err(SequenceRefused::OutOfOrder {
                got: first,
                last: newest,
            })
        }
    }

    fn last_offset(&self) -> i64 {
        self.batches
            .back()
            .expect("a known producer has appended")
            .last_offset
    }
}

/// Sequences count from 0 to `i32::MAX` and begin anew.
fn following(sequence: i32) -> i32 {
    if sequence == i32::MAX {
        0
    } else {
        sequence + 1
    }
}

fn last_sequence(batch: &BatchHeader) -> i32 {
    let last = i64::from(batch.base_sequence) + i64::from(batch.last_offset_delta);
    let wrapped = if last > i64::from(i32::MAX) {
        last - i64::from(i32::MAX) - 1
    } else {
        last
    };
    wrapped as i32
}
