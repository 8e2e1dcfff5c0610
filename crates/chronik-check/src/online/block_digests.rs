//! One digest for each 65,536 offsets of what was read first, so that a later reader of forgotten records can be compared.
//!
//! A block is the unit, because retention deletes the start of a longer chain.

use std::collections::BTreeMap;

/// Offsets that share one digest.
pub(crate) const BLOCK_OFFSETS: u64 = 65_536;

/// Digests by block number; 24 hours at 2,000 records a second are 2,637 of them.
#[derive(Debug, Default)]
pub(crate) struct BlockDigests {
    complete: BTreeMap<u64, u64>,
    first_read: BlockReader,
}

/// One sequential pass over a log.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockReader {
    /// `None` until the pass meets the start of a block.
    state: Option<(u64, u64)>,
    position: u64,
}

impl BlockDigests {
    /// Takes the next records of the first pass.
    pub(crate) fn record(&mut self, offset: u64, identity: u64, first_seq: u64, count: u64) {
        let complete = &mut self.complete;
        self.first_read
            .run(offset, identity, first_seq, count, |block, digest| {
                complete.insert(block, digest);
            });
    }

    /// Blocks of a later pass that differ from the first one are told to `differs`.
    pub(crate) fn compare(
        &self,
        reader: &mut BlockReader,
        offset: u64,
        identity: u64,
        first_seq: u64,
        count: u64,
        mut differs: impl FnMut(u64),
    ) {
        reader.run(offset, identity, first_seq, count, |block, digest| {
            if self
                .complete
                .get(&block)
                .is_some_and(|first| *first != digest)
            {
                differs(block * BLOCK_OFFSETS);
            }
        });
    }
}

impl BlockReader {
    fn run(
        &mut self,
        offset: u64,
        identity: u64,
        first_seq: u64,
        count: u64,
        mut complete: impl FnMut(u64, u64),
    ) {
        if offset < self.position {
            // The pass stepped back: only a whole block counts.
            self.state = None;
        }
        for step in 0..count {
            let (offset, seq) = (offset + step, first_seq + step);
            let block = offset / BLOCK_OFFSETS;
            self.state = match self.state {
                Some((current, digest)) if current == block => {
                    Some((block, fold(digest, offset, identity, seq)))
                }
                // Holes are legal at either end of a block, so a block is over when the next one begins.
                Some((current, digest)) if current + 1 == block => {
                    complete(current, digest);
                    Some((block, fold(0, offset, identity, seq)))
                }
                _ if offset.is_multiple_of(BLOCK_OFFSETS) => {
                    Some((block, fold(0, offset, identity, seq)))
                }
                _ => None,
            };
            self.position = offset + 1;
        }
    }
}

/// Adds one record to a digest.
fn fold(digest: u64, offset: u64, identity: u64, seq: u64) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed =
        (digest ^ offset).wrapping_mul(ODD).rotate_left(29) ^ identity.rotate_left(17) ^ seq;
    (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_block_differs_and_no_other() {
        let mut digests = BlockDigests::default();
        let end = 3 * BLOCK_OFFSETS + 1;
        digests.record(0, 7, 0, end);
        let mut same = BlockReader::default();
        let mut differing: Vec<u64> = Vec::new();
        digests.compare(&mut same, 0, 7, 0, end, |at| differing.push(at));
        assert!(differing.is_empty());

        let altered = BLOCK_OFFSETS + 5;
        let mut other = BlockReader::default();
        digests.compare(&mut other, 0, 7, 0, altered, |at| differing.push(at));
        digests.compare(&mut other, altered, 8, altered, 1, |at| differing.push(at));
        digests.compare(
            &mut other,
            altered + 1,
            7,
            altered + 1,
            end - altered - 1,
            |at| differing.push(at),
        );
        assert_eq!(differing, [BLOCK_OFFSETS]);
    }
}
