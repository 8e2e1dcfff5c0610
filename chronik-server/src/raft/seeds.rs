//! What a restored node begins with: the parts of a snapshot, each for the replica of its group.

use std::collections::BTreeMap;

use chronik_core::catalog::Catalog;
use chronik_core::group::{Group, HardState, Settings as GroupSettings, Stored};
use chronik_core::ids::GroupUid;
use chronik_core::partition::{Log, Restore};
use chronik_core::wire::WireError;
use chronik_wal::{Kind, Record, Trim};

use super::effects::install_record;
use super::membership::Begun;
use super::meta::Meta;
use super::records::Records;
use super::replica::State;
use super::shard::Shard;
use crate::snapshots::Part;

/// Parts that no replica began with yet.
#[derive(Default)]
pub(super) struct Seeds {
    parts: BTreeMap<GroupUid, Part>,
}

/// Why parts cannot be used here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeedError {
    #[error("group {group} cannot be read")]
    Wire {
        group: GroupUid,
        #[source]
        source: WireError,
    },
    #[error(
        "group {group} has a state of {bytes} bytes, and segments here take {most}: raise wal.segment_size"
    )]
    TooLarge {
        group: GroupUid,
        bytes: usize,
        most: u32,
    },
}

impl Seeds {
    /// Whatever could not be used later is refused now.
    pub(super) fn of(parts: Vec<Part>, most: u32) -> Result<Seeds, SeedError> {
        for part in &parts {
            let group = part.group;
            let state = &part.install.state;
            let readable = match group {
                GroupUid::META => Catalog::decode(state).map(drop),
                _ => Log::installed(state).map(drop),
            };
            readable.map_err(|source| SeedError::Wire { group, source })?;
            let bytes = part.install.encode().len();
            if bytes > most as usize {
                return Err(SeedError::TooLarge { group, bytes, most });
            }
        }
        let parts = parts.into_iter().map(|part| (part.group, part)).collect();
        Ok(Seeds { parts })
    }

    pub(super) fn has(&self, group: GroupUid) -> bool {
        self.parts.contains_key(&group)
    }

    pub(super) fn take(&mut self, group: GroupUid, settings: &GroupSettings) -> Option<Begun> {
        self.parts.remove(&group).map(|part| part.begin(settings))
    }

    fn catalog(&self) -> Option<Catalog> {
        let meta = self.parts.get(&GroupUid::META)?;
        Some(Catalog::decode(&meta.install.state).expect("it was read when the node started"))
    }
}

impl Shard {
    /// Partitions begin before the metadata group: where that one is found after a restart, nothing of the snapshot is
    /// needed any more.
    pub(super) fn begin_seeded(&mut self) {
        if let Some(catalog) = self.seeds.catalog() {
            tracing::info!(
                version = catalog.version,
                "the node begins with the state of a snapshot"
            );
            catalog
                .topics
                .values()
                .for_each(|topic| self.host(topic, 0));
        }
    }
}

impl Part {
    fn begin(self, settings: &GroupSettings) -> Begun {
        let install = &self.install;
        let group = self.group;
        // Nobody was voted for by this replica, in whatever term.
        let hard_state = HardState {
            term: self.term.max(install.trim.term),
            vote: 0,
            commit: install.trim.index,
        };
        let state = match group {
            GroupUid::META => {
                let mut stored = Stored::empty();
                stored.hard_state = hard_state;
                stored.install(install);
                let catalog = Catalog::decode(&install.state);
                let catalog = catalog.expect("it was read when the node started");
                let applied = stored.applied;
                let group = Group::new(settings, stored);
                State::Meta(Box::new(Meta::new(group, catalog, applied)))
            }
            _ => {
                let mut restore = Restore::joining();
                restore.hard_state(hard_state);
                let installed = restore.install(install);
                installed.expect("it was read when the node started");
                State::Records(Box::new(Records::new(restore.into_replica(settings))))
            }
        };
        let log = match &state {
            State::Records(records) => Some(records.log()),
            State::Meta(_) => None,
        };
        let installed = install_record(group, install, log);
        let start = Trim {
            index: installed.index,
            term: installed.term,
            offset: installed.base_offset,
        };
        let vote = Record::new(Kind::HardState, group.0, hard_state.encode());
        Begun {
            state,
            start,
            records: vec![installed, vote],
        }
    }
}
