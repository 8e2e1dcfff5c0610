//! A set of sequence numbers that arrive in nearly ascending order, scattered over partitions: a bit for each that is near a gap.

use std::collections::BTreeMap;
use std::ops::Range;

use super::IntervalSet;

const CHUNK_BITS: u64 = 1 << 16;
const CHUNK_WORDS: usize = (CHUNK_BITS / 64) as usize;

/// Complete stretches of 65,536 numbers cost next to nothing; an incomplete one costs 8 KiB.
#[derive(Clone, Debug, Default)]
pub struct SeqSet {
    complete: IntervalSet,
    open: BTreeMap<u64, Chunk>,
}

#[derive(Clone, Debug)]
struct Chunk {
    words: Box<[u64; CHUNK_WORDS]>,
    count: u64,
}

impl SeqSet {
    /// Adds a number; `false` if it was a member already.
    pub fn insert(&mut self, seq: u64) -> bool {
        let (number, bit) = (seq / CHUNK_BITS, seq % CHUNK_BITS);
        if !self.open.contains_key(&number) && self.complete.contains(number) {
            return false;
        }
        let chunk = self.open.entry(number).or_default();
        let word = &mut chunk.words[(bit / 64) as usize];
        let mask = 1 << (bit % 64);
        if *word & mask != 0 {
            return false;
        }
        *word |= mask;
        chunk.count += 1;
        if chunk.count == CHUNK_BITS {
            self.open.remove(&number);
            self.complete.insert(number..number + 1);
        }
        true
    }

    pub fn contains(&self, seq: u64) -> bool {
        let (number, bit) = (seq / CHUNK_BITS, seq % CHUNK_BITS);
        match self.open.get(&number) {
            Some(chunk) => chunk.words[(bit / 64) as usize] & (1 << (bit % 64)) != 0,
            None => self.complete.contains(number),
        }
    }

    pub fn len(&self) -> u64 {
        let complete: u64 = self.complete.iter().map(|run| run.end - run.start).sum();
        let open: u64 = self.open.values().map(|chunk| chunk.count).sum();
        complete * CHUNK_BITS + open
    }

    pub fn is_empty(&self) -> bool {
        self.complete.is_empty() && self.open.is_empty()
    }

    /// Stretches that are incomplete, which is what the set costs.
    pub fn open_chunk_count(&self) -> usize {
        self.open.len()
    }

    /// Members of this set that the other one lacks, as runs; at most `runs_max` of them, and how many numbers they are in all.
    pub fn without(&self, other: &SeqSet, runs_max: usize) -> (Vec<Range<u64>>, u64) {
        let mut runs: Vec<Range<u64>> = Vec::new();
        let mut count = 0;
        for number in self.chunk_numbers() {
            if !other.open.contains_key(&number) && other.complete.contains(number) {
                continue;
            }
            let start = number * CHUNK_BITS;
            for seq in start..start + CHUNK_BITS {
                if !self.contains(seq) || other.contains(seq) {
                    continue;
                }
                count += 1;
                let continues = runs.last().is_some_and(|last| last.end == seq);
                if continues && let Some(last) = runs.last_mut() {
                    last.end += 1;
                } else if runs.len() < runs_max {
                    runs.push(seq..seq + 1);
                }
            }
        }
        (runs, count)
    }

    fn chunk_numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.complete.iter().flatten().collect();
        numbers.extend(self.open.keys());
        numbers.sort_unstable();
        numbers
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            words: Box::new([0; CHUNK_WORDS]),
            count: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_complete_chunk_costs_nothing() {
        let mut set = SeqSet::default();
        for seq in (0..CHUNK_BITS).rev() {
            assert!(set.insert(seq));
        }
        assert_eq!(set.open_chunk_count(), 0);
        assert_eq!(set.len(), CHUNK_BITS);
        assert!(!set.insert(77));
        assert!(!set.contains(CHUNK_BITS));
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(
            mine in proptest::collection::vec(0u64..200_000, 0..60),
            theirs in proptest::collection::vec(0u64..200_000, 0..60),
        ) {
            let (mut set, mut plain) = (SeqSet::default(), BTreeSet::new());
            for seq in mine {
                prop_assert_eq!(set.insert(seq), plain.insert(seq));
            }
            let (mut other, mut other_plain) = (SeqSet::default(), BTreeSet::new());
            for seq in theirs {
                other.insert(seq);
                other_plain.insert(seq);
            }
            prop_assert_eq!(set.len(), plain.len() as u64);
            let (runs, count) = set.without(&other, usize::MAX);
            let expected: Vec<u64> = plain.difference(&other_plain).copied().collect();
            prop_assert_eq!(count, expected.len() as u64);
            prop_assert_eq!(runs.into_iter().flatten().collect::<Vec<_>>(), expected);
        }
    }
}
