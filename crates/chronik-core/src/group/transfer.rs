//! Handing leadership over. Proposals wait meanwhile: at most one election timeout, then raft-rs gives it up.

use super::Group;

/// Why leadership was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferRefused {
    #[error("this replica does not lead the group")]
    NotLeader,
    #[error("replica {0} leads already")]
    AlreadyLeader(u64),
    #[error("replica {0} is no voter of the group")]
    NotVoter(u64),
    #[error("leadership is on its way to replica {0}")]
    InProgress(u64),
}

impl Group {
    pub fn transfer(&mut self, to: u64) -> Result<(), TransferRefused> {
        if !self.is_leader() {
            return Err(TransferRefused::NotLeader);
        }
        if to == self.replica() {
            return Err(TransferRefused::AlreadyLeader(to));
        }
        if !self.node.raft.prs().conf().voters().contains(to) {
            return Err(TransferRefused::NotVoter(to));
        }
        if let Some(to) = self.node.raft.lead_transferee {
            return Err(TransferRefused::InProgress(to));
        }
        self.node.transfer_leader(to);
        Ok(())
    }
}
