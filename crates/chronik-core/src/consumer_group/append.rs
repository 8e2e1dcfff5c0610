//! What was sent to the log and is not there yet, and what happens when it is.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::coordinator::Turn;
use super::error::GroupError;
use super::group::Phase;
use super::groups::Groups;
use super::message::{Reply, Ticket, TopicOutcome};
use super::records::Record;
use super::static_member::Replacement;

/// Names one append until its outcome is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

/// Why records did not get into the log, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("this node does not lead the partition any more")]
    NotLeader,
    #[error("the records do not fit into one batch")]
    TooLarge,
    #[error("the log did not answer in time")]
    Unavailable,
}

/// Appends on their way.
#[derive(Debug, Default)]
pub(super) struct Appends {
    last: u64,
    pending: BTreeMap<Token, Pending>,
}

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) records: Vec<Record>,
    pub(super) purpose: Purpose,
}

/// Why something is written.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The leader assigned: everyone who asked may be told.
    Assignment {
        group: String,
        generation: i32,
        assignments: BTreeMap<String, Bytes>,
    },
    /// A static member came back under another id.
    Replacement(Box<Replacement>),
    /// The last member is gone.
    Emptied {
        group: String,
    },
    Commit {
        group: String,
        ticket: Ticket,
        outcome: Vec<TopicOutcome>,
        offsets: Vec<(String, i32)>,
    },
    DeleteOffsets {
        group: String,
        ticket: Ticket,
        outcome: Vec<TopicOutcome>,
    },
    DeleteGroup {
        group: String,
        ticket: Ticket,
    },
    /// Nobody asked: offsets grew old, or their topic is gone.
    Tombstones {
        group: String,
    },
}

impl Appends {
    pub(super) fn order(&mut self, records: Vec<Record>, purpose: Purpose) -> Token {
        self.last += 1;
        let token = Token(self.last);
        self.pending.insert(token, Pending { records, purpose });
        token
    }

    pub(super) fn take(&mut self, token: Token) -> Pending {
        self.pending
            .remove(&token)
            .expect("each append is reported once")
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Pending> {
        std::mem::take(&mut self.pending).into_values()
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }
}

impl AppendError {
    pub(super) fn to_group_error(self) -> GroupError {
        match self {
            AppendError::NotLeader => GroupError::NotCoordinator,
            AppendError::Unavailable => GroupError::CoordinatorNotAvailable,
            AppendError::TooLarge => GroupError::InvalidCommitOffsetSize,
        }
    }
}

impl Purpose {
    pub(super) fn finish(
        self,
        groups: &mut Groups,
        turn: &mut Turn<'_>,
        result: Result<(), AppendError>,
    ) {
        let group_id = self.group().to_owned();
        let group = groups
            .get_mut(&group_id)
            .expect("a group outlives its appends");
        group.stores_in_flight -= 1;
        let error = result.err().map(AppendError::to_group_error);
        match self {
            Purpose::Assignment {
                generation,
                assignments,
                ..
            } => {
                group.assignment_stored(turn, generation, assignments, error);
            }
            Purpose::Replacement(replacement) => {
                group.replacement_stored(turn, *replacement, error)
            }
            Purpose::Commit {
                ticket,
                outcome,
                offsets,
                ..
            } => {
                offsets
                    .iter()
                    .for_each(|(topic, partition)| group.landed(topic, *partition));
                turn.reply(ticket, Reply::CommitOffsets(error.map_or(Ok(outcome), Err)));
            }
            Purpose::DeleteOffsets {
                ticket, outcome, ..
            } => {
                turn.reply(ticket, Reply::DeleteOffsets(error.map_or(Ok(outcome), Err)));
            }
            Purpose::DeleteGroup { ticket, .. } => {
                group.enter(Phase::Empty, turn.now_ms);
                turn.reply(ticket, Reply::DeleteGroup(error.map_or(Ok(()), Err)));
            }
            Purpose::Emptied { .. } | Purpose::Tombstones { .. } => {}
        }
        groups.settle(turn, &group_id);
    }

    /// The answer to whoever waits for this append and for nothing else.
    pub(super) fn refusal(self, error: GroupError) -> Option<(Ticket, Reply)> {
        match self {
            Purpose::Commit { ticket, .. } => Some((ticket, Reply::CommitOffsets(Err(error)))),
            Purpose::DeleteOffsets { ticket, .. } => {
                Some((ticket, Reply::DeleteOffsets(Err(error))))
            }
            Purpose::DeleteGroup { ticket, .. } => Some((ticket, Reply::DeleteGroup(Err(error)))),
            // These wait as parked members.
            Purpose::Assignment { .. } | Purpose::Replacement(_) => None,
            Purpose::Emptied { .. } | Purpose::Tombstones { .. } => None,
        }
    }

    fn group(&self) -> &str {
        match self {
            Purpose::Replacement(replacement) => &replacement.group,
            Purpose::Assignment { group, .. }
            | Purpose::Emptied { group }
            | Purpose::Commit { group, .. }
            | Purpose::DeleteOffsets { group, .. }
            | Purpose::DeleteGroup { group, .. }
            | Purpose::Tombstones { group } => group,
        }
    }
}
