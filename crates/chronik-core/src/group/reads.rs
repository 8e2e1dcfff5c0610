//! Linearizable reads: which commit index a read must wait for, confirmed by a majority.
//!
//! All reads that are asked for while one round is on its way share the next one, so the state is of fixed size
//! whatever is asked.

use crate::wire::{Reader, Writer};

/// Rounds in which reads are confirmed, one at a time.
#[derive(Debug)]
pub(super) struct Reads {
    /// Part of every context: an answer to an earlier life of this replica would be too old.
    boot: u64,
    /// The round that a read asked for now belongs to.
    next_round: u64,
    is_wanted: bool,
    asked: Option<Asked>,
    contexts: u64,
    /// A round and the commit index that it waits for.
    confirmed: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Asked {
    round: u64,
    context: u64,
    ticks: u32,
}

/// A round is lost when the leader changes or has not committed in its term yet: then it is asked again.
const ASK_AGAIN_TICKS: u32 = 2;

impl Reads {
    pub(super) fn new(boot: u64) -> Reads {
        Reads {
            boot,
            next_round: 1,
            is_wanted: false,
            asked: None,
            contexts: 0,
            confirmed: None,
        }
    }

    pub(super) fn want(&mut self) -> u64 {
        self.is_wanted = true;
        self.next_round
    }

    /// The context to ask raft-rs with, if a round should start now.
    pub(super) fn start(&mut self) -> Option<Vec<u8>> {
        if !self.is_wanted || self.asked.is_some() || self.confirmed.is_some() {
            return None;
        }
        self.is_wanted = false;
        let round = self.next_round;
        self.next_round += 1;
        Some(self.ask(round))
    }

    /// The context to ask with again, if the round that is on its way seems lost.
    pub(super) fn tick(&mut self) -> Option<Vec<u8>> {
        let asked = self.asked.as_mut()?;
        asked.ticks += 1;
        let round = asked.round;
        (asked.ticks >= ASK_AGAIN_TICKS).then(|| self.ask(round))
    }

    pub(super) fn confirm(&mut self, context: &[u8], index: u64) {
        let mut input = Reader::new(context);
        let (Ok(boot), Ok(context)) = (input.u64(), input.u64()) else {
            return;
        };
        let current = |asked: &mut Asked| boot == self.boot && context == asked.context;
        if let Some(asked) = self.asked.take_if(current) {
            self.confirmed = Some((asked.round, index));
        }
    }

    /// The round that is answered now that `committed` is.
    pub(super) fn answered(&mut self, committed: u64) -> Option<(u64, u64)> {
        self.confirmed.take_if(|(_, index)| *index <= committed)
    }

    fn ask(&mut self, round: u64) -> Vec<u8> {
        self.contexts += 1;
        let context = self.contexts;
        self.asked = Some(Asked {
            round,
            context,
            ticks: 0,
        });
        let mut out = Writer::new();
        out.u64(self.boot).u64(context);
        out.finish().to_vec()
    }
}
