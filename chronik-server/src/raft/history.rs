//! When groups changed their leaders and why, as far as this node knows. Bounded, and begun anew with every start.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use chronik_core::ids::{GroupUid, NodeId};

use crate::clock;

/// One change: who leads a group from then on.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// When this node learned of it, by its wall clock.
    pub(crate) at_ms: i64,
    pub(crate) group: GroupUid,
    pub(crate) term: u64,
    pub(crate) leader: Option<NodeId>,
    /// For how long this node knew of no leader before.
    pub(crate) leaderless: Option<Duration>,
    pub(crate) why: Option<Why>,
}

/// What this node did or noticed before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// An operator asked for it.
    Operator,
    /// The node that led says nothing.
    Suspected(NodeId),
    /// This node stops, and hands over what it leads.
    Stopping,
}

/// The newest changes.
#[derive(Debug, Default)]
pub(super) struct History {
    changes: VecDeque<Change>,
    /// What the next change of a group will be put down to.
    causes: BTreeMap<GroupUid, Why>,
    /// Since when groups have no leader.
    leaderless: BTreeMap<GroupUid, Instant>,
}

const MAX_CHANGES: usize = 4096;

impl History {
    /// What will change the leader of a group, if anything does.
    pub(super) fn because(&mut self, group: GroupUid, why: Why) {
        self.causes.insert(group, why);
    }

    /// Another pair of term and leader is known.
    pub(super) fn note(&mut self, group: GroupUid, term: u64, leader: Option<NodeId>) {
        let now = Instant::now();
        let since = match leader {
            // It stays without one: the beginning counts.
            None => {
                self.leaderless.entry(group).or_insert(now);
                None
            }
            Some(_) => self.leaderless.remove(&group),
        };
        // A cause explains the leader that comes of it, and stays until there is one.
        let why = match leader {
            None => self.causes.get(&group).copied(),
            Some(_) => self.causes.remove(&group),
        };
        if self.changes.len() == MAX_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(Change {
            at_ms: clock::wall_ms(),
            group,
            term,
            leader,
            leaderless: since.map(|since| now - since),
            why,
        });
    }

    /// Everything that is remembered, oldest first.
    pub(super) fn changes(&self) -> Vec<Change> {
        self.changes.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupUid = GroupUid(1024);

    #[test]
    fn a_new_leader_is_put_down_to_what_happened_before() {
        let mut history = History::default();
        history.because(GROUP, Why::Suspected(NodeId(1)));
        history.note(GROUP, 7, None);
        history.note(GROUP, 8, None);
        history.note(GROUP, 8, Some(NodeId(2)));
        history.note(GROUP, 9, Some(NodeId(3)));
        let changes = history.changes();
        assert_eq!(changes.len(), 4);
        assert_eq!(changes[2].why, Some(Why::Suspected(NodeId(1))));
        assert!(changes[2].leaderless.is_some() && changes[0].leaderless.is_none());
        assert_eq!((changes[3].why, changes[3].leaderless), (None, None));
    }

    #[test]
    fn the_oldest_changes_are_forgotten() {
        let mut history = History::default();
        for term in 0..MAX_CHANGES as u64 + 2 {
            history.note(GROUP, term, Some(NodeId(1)));
        }
        let changes = history.changes();
        assert_eq!((changes.len(), changes[0].term), (MAX_CHANGES, 2));
    }
}
