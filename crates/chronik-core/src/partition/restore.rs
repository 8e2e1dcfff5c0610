//! From what is on disk to a replica: a checkpoint, then every record after it in the order of writing.

use chronik_fault::{Fault, Planted};
use raft::eraftpb::Entry;

use super::log::Log;
use super::replica::Replica;
use crate::group::{HardState, Install, Members, Settings, Stored, Trim, changes_members};
use crate::wire::{Reader, WireError};

/// A replica that is being read from its log.
pub struct Restore {
    stored: Stored,
    log: Log,
    planted: Planted,
}

pub(super) const VERSION: u8 = 1;

impl Restore {
    /// A group that begins with these voters.
    pub fn born(voters: Vec<u64>) -> Restore {
        Restore::from_parts(Stored::new(voters), Log::default())
    }

    /// A replica that joins a group and knows nothing of it.
    pub fn joining() -> Restore {
        Restore::from_parts(Stored::empty(), Log::default())
    }

    /// What [`Replica::encode`] wrote for a checkpoint.
    pub fn decode(state: &[u8]) -> Result<Restore, WireError> {
        let mut input = Reader::new(state);
        match input.u8()? {
            VERSION => {}
            other => return Err(input.unknown("replica state version", other.into())),
        }
        let restore = Restore::from_parts(Stored::decode(&mut input)?, Log::decode(&mut input)?);
        input.end()?;
        Ok(restore)
    }

    pub fn plant(&mut self, fault: Planted) {
        self.planted = fault;
    }

    pub fn hard_state(&mut self, hard_state: HardState) {
        self.stored.hard_state = hard_state;
    }

    pub fn members(&mut self, as_of: u64, members: Members) {
        self.stored.members(as_of, members);
    }

    /// An entry replaces the same index and everything above it.
    pub fn entry(&mut self, entry: &Entry) {
        self.stored.entry(entry);
        let epoch = i32::try_from(entry.term).expect("a term fits the epochs of Kafka");
        let batches: &[u8] = match changes_members(entry) {
            true => &[],
            false => &entry.data,
        };
        self.log.entry(entry.index, epoch, batches);
    }

    pub fn install(&mut self, install: &Install) -> Result<(), WireError> {
        let before = self.stored.clone();
        self.stored.install(install);
        self.log = Log::installed(&install.state)?;
        if self.planted.is(Fault::StaleTailKept) && before.last_index > install.trim.index {
            let above = |start: &&crate::group::TermStart| start.index > install.trim.index;
            self.stored.terms.extend(before.terms.iter().filter(above));
            self.stored.last_index = before.last_index;
        }
        Ok(())
    }

    /// Entries up to `trim` are gone, which only committed ones can be; the next one begins at `offset`.
    pub fn trim(&mut self, trim: Trim, offset: i64) {
        self.stored.trim(trim);
        self.log.committed(trim.index);
        self.log.trim_entries(offset);
    }

    /// What is known of the group so far.
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    pub fn into_replica<T>(mut self, settings: &Settings) -> Replica<T> {
        if settings.planted.is(Fault::DedupLostOnRestart) {
            self.log.forget_producers();
        }
        Replica::new(settings, self.stored, self.log)
    }

    fn from_parts(stored: Stored, log: Log) -> Restore {
        Restore {
            stored,
            log,
            planted: Planted::default(),
        }
    }
}
