//! A snapshot: what a replica needs that can no longer get all entries.
//!
//! It stands for the log up to its trim point, but its members (and what its owner adds) may be newer than that:
//! they are as of an index up to which the receiver then skips what entries say about them.

use bytes::Bytes;
use raft::eraftpb::{Snapshot, SnapshotMetadata};

use super::members::Members;
use super::storage::Trim;
use crate::wire::{Reader, WireError, Writer};

/// What is installed, and written as one record that kills all earlier entries, also those above its trim point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    pub trim: Trim,
    pub members: Members,
    pub members_as_of: u64,
    /// What the group's owner keeps beside the log.
    pub state: Bytes,
}

const VERSION: u8 = 1;

impl Install {
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.u8(VERSION).u64(self.trim.index).u64(self.trim.term);
        self.members.encode(&mut out);
        out.u64(self.members_as_of).blob(&self.state);
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Install, WireError> {
        let mut input = Reader::new(bytes);
        match input.u8()? {
            VERSION => {}
            other => return Err(input.unknown("snapshot version", other.into())),
        }
        let trim = Trim {
            index: input.u64()?,
            term: input.u64()?,
        };
        let install = Install {
            trim,
            members: Members::decode(&mut input)?,
            members_as_of: input.u64()?,
            state: Bytes::copy_from_slice(input.blob()?),
        };
        input.end()?;
        Ok(install)
    }

    pub(super) fn to_raft(&self) -> Snapshot {
        let mut metadata = SnapshotMetadata {
            index: self.trim.index,
            term: self.trim.term,
            ..SnapshotMetadata::default()
        };
        metadata.set_conf_state(self.members.to_raft());
        let mut snapshot = Snapshot {
            data: self.encode(),
            ..Snapshot::default()
        };
        snapshot.set_metadata(metadata);
        snapshot
    }

    /// Refuses a snapshot whose two halves do not belong together.
    pub(super) fn from_raft(snapshot: &Snapshot) -> Option<Install> {
        let install = Install::decode(&snapshot.data).ok()?;
        let metadata = snapshot.get_metadata();
        let same = install.trim.index == metadata.index
            && install.trim.term == metadata.term
            && install.members == Members::from_raft(metadata.get_conf_state());
        same.then_some(install)
    }
}
