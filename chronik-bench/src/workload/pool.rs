//! Payloads prepared in advance, each with room for the header that says who wrote it.

use chronik_check::header::{HEADER_LEN, Header, body_hash};

use super::SizeSpec;

/// Zeros and ones would be cheaper to compress than anything a user has.
const FILLER: &[u8] = b"the quick brown fox jumps over the lazy dog, time and again; ";
/// Random and filler alternate in runs of this length, so that every part of a body compresses alike.
const RUN_BYTES: usize = 32;

/// What a pool is made of.
#[derive(Clone, Debug)]
pub(crate) struct PoolOptions {
    pub(crate) size: SizeSpec,
    /// 0 compresses to nothing, 1 not at all.
    pub(crate) entropy: f64,
    pub(crate) bytes: usize,
    pub(crate) seed: u64,
}

/// A circle of bodies; a broker or a compressor sees none of them twice within some 64 MB.
#[derive(Debug)]
pub(crate) struct PayloadPool {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    start: usize,
    len: usize,
    body_hash: u64,
}

impl PayloadPool {
    pub(crate) fn new(options: &PoolOptions) -> Self {
        let mut random = fastrand::Rng::with_seed(options.seed);
        let mut bytes = vec![0; options.bytes.max(options.size.mean_bytes() as usize * 2)];
        fill(&mut bytes, options.entropy, &mut random);
        let mut slots = Vec::new();
        let mut start = 0;
        loop {
            let len = options.size.draw(&mut random);
            if start + len > bytes.len() && !slots.is_empty() {
                break;
            }
            if start + len > bytes.len() {
                bytes.resize(start + len, b'.');
            }
            let body = bytes[start..start + len].get(HEADER_LEN..);
            let body_hash = body.map_or(0, body_hash);
            slots.push(Slot {
                start,
                len,
                body_hash,
            });
            start += len;
        }
        Self {
            bytes,
            slots,
            at: 0,
        }
    }

    /// The next payload under this header; one that is too short for a header goes without.
    pub(crate) fn next_payload(&mut self, header: &Header) -> &[u8] {
        let slot = self.slots[self.at];
        self.at += 1;
        if self.at == self.slots.len() {
            self.at = 0;
        }
        let payload = &mut self.bytes[slot.start..slot.start + slot.len];
        if let Some(head) = payload.first_chunk_mut::<HEADER_LEN>() {
            *head = header.encode(slot.body_hash);
        }
        payload
    }
}

fn fill(bytes: &mut [u8], entropy: f64, random: &mut fastrand::Rng) {
    let random_bytes = (RUN_BYTES as f64 * entropy.clamp(0.0, 1.0)).round() as usize;
    for run in bytes.chunks_mut(RUN_BYTES) {
        let cut = random_bytes.min(run.len());
        let (chance, filler) = run.split_at_mut(cut);
        random.fill(chance);
        filler.copy_from_slice(&FILLER[..filler.len()]);
    }
}

#[cfg(test)]
mod tests {
    use chronik_check::header::ANY_PARTITION;
    use chronik_check::history::Value;

    use super::*;

    fn options(size: &str) -> PoolOptions {
        PoolOptions {
            size: size.parse().unwrap(),
            entropy: 0.5,
            bytes: 10_000,
            seed: 3,
        }
    }

    fn header(seq: u64) -> Header {
        Header {
            run: 9,
            partition_hash: ANY_PARTITION,
            value: Value {
                producer: 1,
                incarnation: 0,
                seq,
            },
            intended_ns: 77,
        }
    }

    #[test]
    fn every_payload_says_who_wrote_it() {
        let mut pool = PayloadPool::new(&options("100..300"));
        for seq in 0..1_000 {
            let payload = pool.next_payload(&header(seq)).to_vec();
            assert!((100..=300).contains(&payload.len()));
            assert_eq!(Header::decode(&payload), Ok(header(seq)));
        }
    }

    #[test]
    fn short_payloads_go_without_a_header() {
        let mut pool = PayloadPool::new(&options("20"));
        assert_eq!(pool.next_payload(&header(1)).len(), 20);
    }

    #[test]
    fn one_body_larger_than_the_pool_is_enough() {
        let mut pool = PayloadPool::new(&options("15000..60000"));
        assert!(pool.next_payload(&header(1)).len() >= 15_000);
    }

    #[test]
    fn entropy_decides_how_many_bytes_are_random() {
        let count_filler = |entropy| {
            let mut bytes = vec![0; 32_000];
            fill(&mut bytes, entropy, &mut fastrand::Rng::with_seed(1));
            let runs = bytes.chunks(RUN_BYTES);
            runs.filter(|run| FILLER.starts_with(run)).count()
        };
        assert_eq!(count_filler(0.0), 1_000);
        assert_eq!(count_filler(1.0), 0);
    }
}
