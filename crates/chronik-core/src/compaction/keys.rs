//! Where the newest record of each key is, in bounded memory.

use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// The newest offset of each key, by 128 bits that stand for the key: keys that share them would be one, which does not
/// happen by chance, nor on purpose as long as the seed is secret.
#[derive(Clone, Debug)]
pub struct Keys {
    seed: (u64, u64),
    slots: Vec<Slot>,
    used: usize,
    most_slots: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: [u64; 2],
    /// Negative where there is no key.
    offset: i64,
}

const EMPTY: Slot = Slot {
    hash: [0; 2],
    offset: -1,
};
const LEAST_SLOTS: usize = 64;

/// There is no room for another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are more keys than the memory for them holds")]
pub struct Full;

impl Keys {
    pub fn new(seed: (u64, u64), most_bytes: usize) -> Keys {
        let most_slots = most_bytes / size_of::<Slot>();
        // A power of two, rounded down.
        let most_slots = (most_slots / 2 + 1).next_power_of_two();
        Keys {
            seed,
            slots: vec![EMPTY; LEAST_SLOTS],
            used: 0,
            most_slots: most_slots.max(LEAST_SLOTS),
        }
    }

    pub fn len(&self) -> usize {
        self.used
    }

    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// A record of this key is at `offset`. Offsets come in the order of the log.
    pub fn put(&mut self, key: &[u8], offset: i64) -> Result<(), Full> {
        let hash = self.hash(key);
        let at = self.place(hash);
        if self.slots[at].offset < 0 {
            // Three quarters: the way to a key stays short.
            if (self.used + 1) * 4 > self.slots.len() * 3 {
                self.grow()?;
                return self.put(key, offset);
            }
            self.used += 1;
        }
        self.slots[at] = Slot { hash, offset };
        Ok(())
    }

    /// Where the newest record of a key is, as far as was looked.
    pub fn newest(&self, key: &[u8]) -> Option<i64> {
        let slot = self.slots[self.place(self.hash(key))];
        (slot.offset >= 0).then_some(slot.offset)
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let mut hasher = SipHasher13::new_with_keys(self.seed.0, self.seed.1);
        hasher.write(key);
        let hash = hasher.finish128();
        [hash.h1, hash.h2]
    }

    /// The slot of a key, or the empty one where it would go.
    fn place(&self, hash: [u64; 2]) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash[0] as usize & mask;
        while self.slots[at].offset >= 0 && self.slots[at].hash != hash {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) -> Result<(), Full> {
        let slots = self.slots.len() * 2;
        if slots > self.most_slots {
            return Err(Full);
        }
        let before = std::mem::replace(&mut self.slots, vec![EMPTY; slots]);
        for slot in before.into_iter().filter(|slot| slot.offset >= 0) {
            let at = self.place(slot.hash);
            self.slots[at] = slot;
        }
        Ok(())
    }
}
