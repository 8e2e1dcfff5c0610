//! Which replicas keep up, in the eyes of the leader.
//!
//! A peer is in sync while it is heard of and has what the leader had some time ago: the newest index moves all the
//! time, so nobody ever equals it. Whoever fell out comes back only after keeping up for a while.

use std::collections::{BTreeMap, VecDeque};

use super::Peer;

/// When a replica counts as lagging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// A peer must have what the leader had so many ticks ago, and be heard of since.
    pub most_ticks: u64,
    /// How long a peer keeps up before it is in sync again.
    pub return_ticks: u64,
}

/// The leader's view. It begins with everybody in sync, because a new leader knows nothing against anybody.
#[derive(Debug)]
pub(super) struct InSync {
    lag: Lag,
    term: u64,
    tick: u64,
    /// What the last index was, oldest first.
    past: VecDeque<(u64, u64)>,
    peers: BTreeMap<u64, Watched>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    heard_at: u64,
    is_in_sync: bool,
    keeps_up_since: u64,
}

/// Looks into the past that are kept, whatever time they cover.
const SAMPLES: u64 = 8;

impl InSync {
    pub(super) fn new(lag: Lag) -> InSync {
        InSync {
            lag,
            term: 0,
            tick: 0,
            past: VecDeque::new(),
            peers: BTreeMap::new(),
        }
    }

    /// One tick of a leader: what it knows of its voters.
    pub(super) fn tick(&mut self, term: u64, last_index: u64, voters: impl Iterator<Item = Peer>) {
        if self.term != term {
            *self = InSync {
                term,
                ..InSync::new(self.lag)
            };
        }
        self.tick += 1;
        self.sample(last_index);
        let (tick, lag) = (self.tick, self.lag);
        let (since, floor) = *self.past.front().expect("a sample was just taken");
        // Before that much time has passed there is no past to be behind of.
        let floor = if tick - since < lag.most_ticks {
            0
        } else {
            floor
        };
        let mut peers = BTreeMap::new();
        for peer in voters {
            let fresh = Watched {
                heard_at: tick,
                is_in_sync: true,
                keeps_up_since: tick,
            };
            let mut watched = self.peers.get(&peer.replica).copied().unwrap_or(fresh);
            if peer.is_active {
                watched.heard_at = tick;
            }
            let keeps_up = tick - watched.heard_at < lag.most_ticks && peer.matched >= floor;
            if !keeps_up {
                watched.keeps_up_since = tick;
                watched.is_in_sync = false;
            }
            watched.is_in_sync |= tick - watched.keeps_up_since >= lag.return_ticks;
            peers.insert(peer.replica, watched);
        }
        self.peers = peers;
    }

    /// How many voters are in sync; before the first tick of a term everybody is.
    pub(super) fn count(&self, term: u64, voters: usize) -> usize {
        if self.term != term {
            return voters;
        }
        self.peers.values().filter(|peer| peer.is_in_sync).count()
    }

    pub(super) fn contains(&self, term: u64, replica: u64) -> bool {
        self.term != term || self.peers.get(&replica).is_none_or(|peer| peer.is_in_sync)
    }

    fn sample(&mut self, last_index: u64) {
        let pace = (self.lag.most_ticks / SAMPLES).max(1);
        let newest = self.past.back().map_or(0, |(tick, _)| *tick);
        if self.past.is_empty() || self.tick - newest >= pace {
            self.past.push_back((self.tick, last_index));
        }
        // The front is the newest sample that is old enough.
        while self
            .past
            .get(1)
            .is_some_and(|(tick, _)| self.tick - tick >= self.lag.most_ticks)
        {
            self.past.pop_front();
        }
    }
}
