//! What is known of the snapshots of this node: those that are there, those on their way, and what came of others.

use std::collections::BTreeMap;

use chronik_core::ids::GroupUid;

use super::format::{Cause, FormatError, Header};

/// All snapshots by their numbers, which grow with time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shelf {
    pub(crate) rows: BTreeMap<u64, Row>,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The one group that it is of; none if it is of the whole node.
    pub(crate) group: Option<(GroupUid, String)>,
    pub(crate) cause: Cause,
    pub(crate) state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// So many groups of so many are in it.
    Making {
        done: usize,
        total: usize,
    },
    Complete(Made),
    /// The file is there, and cannot be trusted.
    Damaged(String),
    /// There is no file.
    Failed(String),
}

/// What a snapshot that is there amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) groups: usize,
    /// As of which entry it is: of its group, or of the metadata group.
    pub(crate) index: u64,
    pub(crate) term: u64,
}

/// Attempts that came to nothing and are remembered.
const FAILURES: usize = 4;

impl Shelf {
    /// A number for a snapshot that begins now: none was ever given twice, as long as the clock does not stand still
    /// while the node is away.
    pub(crate) fn reserve(&mut self, now_ms: u64, row: Row) -> u64 {
        let newest = self.rows.last_key_value().map_or(0, |(id, _)| *id);
        let id = now_ms.max(newest + 1);
        self.rows.insert(id, row);
        id
    }

    pub(crate) fn note(&mut self, id: u64, state: State) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.state = state;
        }
        let is_failed = |(_, row): &(&u64, &Row)| matches!(row.state, State::Failed(_));
        let failed: Vec<u64> = self
            .rows
            .iter()
            .filter(is_failed)
            .map(|(id, _)| *id)
            .collect();
        for id in &failed[..failed.len().saturating_sub(FAILURES)] {
            self.rows.remove(id);
        }
    }

    /// What was found in the folder at the start.
    pub(crate) fn found(&mut self, id: u64, found: Result<(Header, Made), FormatError>) {
        let row = match found {
            Ok((header, made)) => Row {
                group: header.group,
                cause: header.cause,
                state: State::Complete(made),
            },
            Err(error) => Row {
                group: None,
                cause: Cause::Operator,
                state: State::Damaged(error.to_string()),
            },
        };
        self.rows.insert(id, row);
    }

    /// The snapshots that are too many once the newest `keep` of each kind stay: of the node, and of each group.
    pub(crate) fn surplus(&self, keep: usize) -> Vec<u64> {
        let mut kept: BTreeMap<Option<GroupUid>, usize> = BTreeMap::new();
        let complete = self.rows.iter().rev();
        let complete = complete.filter(|(_, row)| matches!(row.state, State::Complete(_)));
        let is_surplus = |(_, row): &(&u64, &Row)| {
            let count = kept.entry(row.group.as_ref().map(|(group, _)| *group));
            let count = count.or_default();
            *count += 1;
            *count > keep
        };
        complete.filter(is_surplus).map(|(id, _)| *id).collect()
    }

    /// When the newest snapshot of the whole node was made.
    pub(crate) fn newest_ms(&self) -> Option<u64> {
        let mut newest = self.rows.iter().rev();
        let is_it = |(_, row): &(&u64, &Row)| {
            row.group.is_none() && matches!(row.state, State::Complete(_))
        };
        newest.find(is_it).map(|(id, _)| *id)
    }

    /// What is there now: how many files, and of how many bytes.
    pub(crate) fn held(&self) -> (usize, u64) {
        let made = self.rows.values().filter_map(|row| match &row.state {
            State::Complete(made) => Some(made.bytes),
            _ => None,
        });
        made.fold((0, 0), |(files, bytes), more| (files + 1, bytes + more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(group: Option<u64>) -> Row {
        Row {
            group: group.map(|group| (GroupUid(group), String::new())),
            cause: Cause::Time,
            state: State::Complete(Made::default()),
        }
    }

    #[test]
    fn numbers_never_repeat_and_the_oldest_of_each_kind_go() {
        let mut shelf = Shelf::default();
        let ids: Vec<u64> = [None, Some(1), None, None, Some(1), Some(7)]
            .map(|group| shelf.reserve(50, row(group)))
            .to_vec();
        assert_eq!(ids, [50, 51, 52, 53, 54, 55]);
        assert_eq!(shelf.surplus(1), [52, 51, 50]);
        assert_eq!(shelf.surplus(2), [50]);
        assert_eq!(shelf.newest_ms(), Some(53));
        assert_eq!(shelf.reserve(1000, row(None)), 1000);
    }

    #[test]
    fn what_came_to_nothing_is_remembered_for_a_while() {
        let mut shelf = Shelf::default();
        for now in 0..10 {
            let id = shelf.reserve(now, row(None));
            shelf.note(id, State::Failed("the disk is full".to_owned()));
        }
        assert_eq!(shelf.rows.len(), FAILURES);
        assert_eq!((shelf.newest_ms(), shelf.held()), (None, (0, 0)));
    }
}
