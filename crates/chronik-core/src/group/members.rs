//! Who takes part in a group, and how that changes.

use protobuf::Message as _;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState};

use crate::wire::{Reader, WireError, Writer};

/// The members of a group. While `voters_outgoing` is not empty, two majorities are needed: one of each set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
    pub voters_outgoing: Vec<u64>,
    /// Voters of the outgoing set that will be learners.
    pub learners_next: Vec<u64>,
    /// The leader leaves the joint state by itself.
    pub auto_leave: bool,
}

/// One wish about one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Voter(u64),
    Learner(u64),
    Remove(u64),
}

/// Why a change of members was not proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    #[error("this replica does not lead the group")]
    NotLeader,
    #[error("leadership is being handed over")]
    Transferring,
    #[error("an earlier change is not finished")]
    Unfinished,
    #[error("a group without voters could not decide anything")]
    NoVoters,
    #[error("there is nothing to change")]
    Nothing,
}

impl Members {
    pub fn of_voters(voters: Vec<u64>) -> Members {
        Members {
            voters,
            ..Members::default()
        }
    }

    pub fn is_joint(&self) -> bool {
        !self.voters_outgoing.is_empty()
    }

    pub fn is_voter(&self, replica: u64) -> bool {
        self.voters.contains(&replica) || self.voters_outgoing.contains(&replica)
    }

    pub fn contains(&self, replica: u64) -> bool {
        self.is_voter(replica) || self.learners.contains(&replica)
    }

    /// Whether those for which `has` holds are a majority, or two of them in a joint state.
    pub fn is_majority(&self, has: impl Fn(u64) -> bool) -> bool {
        let most = |voters: &[u64]| {
            let count = voters.iter().filter(|voter| has(**voter)).count();
            voters.is_empty() || count > voters.len() / 2
        };
        !self.voters.is_empty() && most(&self.voters) && most(&self.voters_outgoing)
    }

    pub fn encode(&self, out: &mut Writer) {
        for replicas in [
            &self.voters,
            &self.learners,
            &self.voters_outgoing,
            &self.learners_next,
        ] {
            out.count(replicas.len());
            replicas.iter().for_each(|replica| _ = out.u64(*replica));
        }
        out.u8(self.auto_leave.into());
    }

    pub fn decode(input: &mut Reader<'_>) -> Result<Members, WireError> {
        Ok(Members {
            voters: replicas(input)?,
            learners: replicas(input)?,
            voters_outgoing: replicas(input)?,
            learners_next: replicas(input)?,
            auto_leave: input.u8()? != 0,
        })
    }

    pub(super) fn from_raft(state: &ConfState) -> Members {
        // Sorted, because raft-rs lists them in the order of a hash table.
        let sorted = |replicas: &[u64]| {
            let mut replicas = replicas.to_vec();
            replicas.sort_unstable();
            replicas
        };
        Members {
            voters: sorted(&state.voters),
            learners: sorted(&state.learners),
            voters_outgoing: sorted(&state.voters_outgoing),
            learners_next: sorted(&state.learners_next),
            auto_leave: state.auto_leave,
        }
    }

    pub(super) fn to_raft(&self) -> ConfState {
        ConfState {
            voters: self.voters.clone(),
            learners: self.learners.clone(),
            voters_outgoing: self.voters_outgoing.clone(),
            learners_next: self.learners_next.clone(),
            auto_leave: self.auto_leave,
            ..ConfState::default()
        }
    }

    /// The voters once all `changes` are made.
    pub(super) fn voters_after(&self, changes: &[Change]) -> Vec<u64> {
        let mut voters = self.voters.clone();
        for change in changes {
            match *change {
                Change::Voter(replica) if !voters.contains(&replica) => voters.push(replica),
                Change::Voter(_) => {}
                Change::Learner(replica) | Change::Remove(replica) => {
                    voters.retain(|voter| *voter != replica)
                }
            }
        }
        voters
    }
}

/// One change is made at once, several through a joint state that the leader leaves by itself.
pub(super) fn proposal(changes: &[Change]) -> ConfChangeV2 {
    let single = |change: &Change| {
        let (kind, replica) = match *change {
            Change::Voter(replica) => (ConfChangeType::AddNode, replica),
            Change::Learner(replica) => (ConfChangeType::AddLearnerNode, replica),
            Change::Remove(replica) => (ConfChangeType::RemoveNode, replica),
        };
        ConfChangeSingle {
            change_type: kind,
            node_id: replica,
            ..ConfChangeSingle::default()
        }
    };
    let mut proposal = ConfChangeV2::default();
    proposal.set_changes(changes.iter().map(single).collect::<Vec<_>>().into());
    proposal
}

/// What a committed entry changes.
pub(super) fn committed(data: &[u8]) -> ConfChangeV2 {
    ConfChangeV2::parse_from_bytes(data).expect("the leader parsed this entry before it took it")
}

fn replicas(input: &mut Reader<'_>) -> Result<Vec<u64>, WireError> {
    let count = input.count(8)?;
    (0..count).map(|_| input.u64()).collect()
}
