//! From the node's log to a running shard: groups are rebuilt from storage alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use chronik_core::catalog::{Catalog, Command, Node};
use chronik_core::group::eraftpb::Entry;
use chronik_core::group::{Group, HardState, Members, Stored, TermStart, Trim};
use chronik_core::ids::{GroupUid, TopicId};
use chronik_core::partition::{Log, batch};
use chronik_core::wire::{Reader, WireError};
use chronik_wal::{RecoveredGroup, Row, Visitor};
use imbl::OrdMap;
use tokio::sync::watch;
use tracing::info;

use super::ShardHandle;
use super::event::Event;
use super::meta::{Birth, Proposals, Proposer};
use super::replica::{
    META_STATE, MetaState, RECORDS_STATE, Records, Replica, STATE_VERSION, State,
};
use super::shard::{Settings, Shard};
use super::upkeep::Upkeep;
use crate::broker::view::View;
use crate::metrics::Metrics;

/// All that a shard needs to begin.
pub(crate) struct Start {
    pub(crate) log: chronik_wal::Options,
    pub(crate) node: Node,
    /// The cluster that is born here if there is none yet.
    pub(crate) cluster_id: String,
    pub(crate) tick: Duration,
    pub(crate) election_ticks: usize,
    pub(crate) heartbeat_ticks: usize,
    pub(crate) cache_bytes: usize,
    pub(crate) retention_interval: Duration,
    pub(crate) min_insync_replicas: u32,
    pub(crate) snapshot_log_entries: u64,
    pub(crate) metrics: Arc<Metrics>,
}

/// A shard that runs.
pub(crate) struct Started {
    pub(crate) shard: ShardHandle,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) reader: chronik_wal::Reader,
    /// True once every group has a leader.
    pub(crate) ready: watch::Receiver<bool>,
    pub(crate) thread: JoinHandle<()>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("the log cannot be opened")]
    Log(#[from] chronik_wal::OpenError),
    #[error("group {group} has a state that this version cannot read")]
    State {
        group: GroupUid,
        #[source]
        source: WireError,
    },
    #[error("the shard thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Requests wait here for the shard; a full inbox refuses.
const INBOX_EVENTS: usize = 16 * 1024;

/// Recovers the log and starts the shard's thread. Returns before groups have leaders.
pub(crate) fn start(start: Start) -> Result<Started, StartError> {
    let mut replay = Replay::default();
    let recovered = chronik_wal::open(start.log.clone(), &mut replay)?;
    info!(
        groups = recovered.groups.len(),
        direct_io = recovered.direct_io,
        torn_bytes = recovered.torn_bytes,
        "log recovered"
    );
    let settings = Settings {
        node: start.node.id,
        replica: start.node.incarnation,
        election_ticks: start.election_ticks,
        heartbeat_ticks: start.heartbeat_ticks,
        cache_bytes: start.cache_bytes,
        retention_interval: start.retention_interval,
        min_insync_replicas: start.min_insync_replicas,
        snapshot_log_entries: start.snapshot_log_entries,
        max_batch_bytes: u32::try_from(start.log.segment_bytes / 2).unwrap_or(u32::MAX),
    };
    let groups = recovered.groups.clone();
    let (sender, inbox) = sync_channel(INBOX_EVENTS);
    let notices = sender.clone();
    let metrics = start.metrics.clone();
    let (writer, reader, index) = recovered.start(move |notice| {
        // Nobody reads any more when the shard has ended: then nobody waits either.
        let _ = notices.send(Event::Log(notice));
    })?;
    let (view, view_receiver) = watch::channel(Arc::new(View::default()));
    let (started, ready) = watch::channel(false);
    let mut shard = Shard {
        upkeep: Upkeep::new(start.tick, settings.retention_interval),
        settings,
        inbox,
        replicas: HashMap::new(),
        touched: Vec::new(),
        actions: Vec::new(),
        tasks: Vec::new(),
        writer,
        index,
        cache_order: Default::default(),
        cached_bytes: 0,
        proposals: Proposals::default(),
        statuses: OrdMap::new(),
        view,
        starting: HashSet::new(),
        started,
        disk_full: false,
        metrics: start.metrics,
    };
    for group in groups {
        shard.restore(group, &mut replay)?;
    }
    shard.begin(start.node, start.cluster_id)?;
    let thread = spawn(shard)?;
    Ok(Started {
        shard: ShardHandle::new(sender, metrics),
        view: view_receiver,
        reader,
        ready,
        thread,
    })
}

/// A panic in the owner of all groups leaves nothing that could be trusted: the process ends.
fn spawn(shard: Shard) -> Result<JoinHandle<()>, StartError> {
    let run = move || {
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| shard.run()));
        if ran.is_err() {
            std::process::abort();
        }
    };
    std::thread::Builder::new()
        .name("shard".to_owned())
        .spawn(run)
        .map_err(StartError::Thread)
}

impl Shard {
    /// Rebuilds a group that the log knows.
    fn restore(
        &mut self,
        recovered: RecoveredGroup,
        replay: &mut Replay,
    ) -> Result<(), StartError> {
        let uid = GroupUid(recovered.uid);
        let replica = rebuild(&recovered, replay.groups.remove(&recovered.uid), |group| {
            self.group_settings(group)
        })
        .map_err(|source| StartError::State { group: uid, source })?;
        self.statuses.insert(uid, replica.status.clone());
        self.replicas.insert(uid, replica);
        self.starting.insert(uid);
        Ok(())
    }

    /// Every group stands for election; the metadata group is born if there is none.
    fn begin(&mut self, node: Node, cluster_id: String) -> Result<(), StartError> {
        if !self.replicas.contains_key(&GroupUid::META) {
            let birth = Birth {
                topic: TopicId::ZERO,
                partition: 0,
                voters: vec![self.settings.replica],
            };
            let meta = MetaState {
                catalog: Catalog::default(),
                applied: 1,
            };
            self.birth(GroupUid::META, birth.encode(), State::Meta(Box::new(meta)));
            self.starting.insert(GroupUid::META);
        }
        let groups: Vec<GroupUid> = self.replicas.keys().copied().collect();
        for group in groups {
            self.replicas
                .get_mut(&group)
                .expect("it is among the keys")
                .group
                .campaign();
            self.touch(group);
        }
        self.upkeep.announce = Some((node, cluster_id));
        self.publish_view();
        Ok(())
    }

    /// The metadata group leads: the cluster gets its id, and clients learn where this node is.
    pub(super) fn announce(&mut self) {
        let Some((node, cluster_id)) = self.upkeep.announce.take() else {
            return;
        };
        let Some(meta) = self.meta() else {
            return;
        };
        let born = !meta.catalog.cluster_id.is_empty();
        let known = meta
            .catalog
            .nodes
            .get(&node.id)
            .is_some_and(|known| **known == node);
        if !born {
            self.propose(Command::Found { cluster_id }, Proposer::Nobody);
        }
        if !known {
            self.propose(Command::RegisterNode(node), Proposer::Nobody);
        }
    }
}

impl Shard {
    /// The node may serve once every group of its last run leads and the catalog knows the node.
    pub(super) fn note_started(&mut self) {
        let announced = self
            .meta()
            .is_some_and(|meta| meta.catalog.nodes.contains_key(&self.settings.node));
        if announced && self.starting.is_empty() && !*self.started.borrow() {
            info!(groups = self.replicas.len(), "every group has a leader");
            self.started.send_replace(true);
        }
    }
}

/// What the log showed beyond the checkpoint.
#[derive(Default)]
struct Replay {
    groups: BTreeMap<u64, Replayed>,
}

/// One group's state as of the last entry shown.
pub(super) struct Replayed {
    kind: ReplayedKind,
    terms: Vec<TermStart>,
    last_index: u64,
}

enum ReplayedKind {
    Meta {
        catalog: Catalog,
        applied: u64,
        tail: Vec<Entry>,
    },
    Records {
        log: Log,
        kept_state: Option<(i64, Bytes)>,
    },
}

impl Visitor for Replay {
    /// A recycled segment holds old batches under torn new ones: each must be whole and in its place.
    fn verify(&self, _group: u64, row: &Row, stored: &[u8]) -> bool {
        let mut offset = row.base_offset as i64;
        for batch in batch::each(stored) {
            let Ok((header, bytes)) = batch else {
                return false;
            };
            let in_place = header.base_offset == offset && header.leader_epoch as u64 == row.term;
            if !in_place || header.last_offset_delta < 0 || header.crc != batch::checksum(bytes) {
                return false;
            }
            offset = header.next_offset();
        }
        offset as u64 == row.next_offset()
    }

    fn checkpointed(&mut self, group: &RecoveredGroup) {
        // A state that cannot be read is told when the group is rebuilt, with its name.
        if let Some(Ok(replayed)) = group
            .state
            .as_deref()
            .map(|state| Replayed::decode(state, group))
        {
            self.groups.insert(group.uid, replayed);
        }
    }

    fn entry(&mut self, group: u64, row: &Row, stored: &[u8]) -> Result<(), String> {
        let fresh = || Replayed::new(GroupUid(group));
        self.groups
            .entry(group)
            .or_insert_with(fresh)
            .entry(row, stored)
    }
}

impl Replayed {
    fn new(group: GroupUid) -> Replayed {
        let kind = match group {
            GroupUid::META => ReplayedKind::Meta {
                catalog: Catalog::default(),
                applied: 1,
                tail: Vec::new(),
            },
            _ => ReplayedKind::Records {
                log: Log::default(),
                kept_state: None,
            },
        };
        Replayed {
            kind,
            terms: vec![TermStart { index: 1, term: 1 }],
            last_index: 1,
        }
    }

    /// Reads what `Replica::encode` wrote.
    pub(super) fn decode(state: &[u8], group: &RecoveredGroup) -> Result<Replayed, WireError> {
        let mut input = Reader::new(state);
        match input.u8()? {
            STATE_VERSION => {}
            other => return Err(input.unknown("replica state version", other.into())),
        }
        let kind = input.u8()?;
        let terms = Group::decode_terms(&mut input)?;
        let kind = match kind {
            META_STATE => {
                let applied = input.u64()?;
                let catalog = Catalog::decode(input.blob()?)?;
                let mut tail = Vec::new();
                for _ in 0..input.count(20)? {
                    tail.push(meta_entry(input.u64()?, input.u64()?, input.blob()?));
                }
                ReplayedKind::Meta {
                    catalog,
                    applied,
                    tail,
                }
            }
            RECORDS_STATE => {
                let log = Log::decode(&mut input)?;
                let kept_state = match input.u8()? {
                    0 => None,
                    _ => Some((input.i64()?, Bytes::copy_from_slice(input.blob()?))),
                };
                ReplayedKind::Records { log, kept_state }
            }
            other => return Err(input.unknown("replica state", other.into())),
        };
        input.end()?;
        Ok(Replayed {
            kind,
            terms,
            last_index: group.last_index,
        })
    }

    fn entry(&mut self, row: &Row, stored: &[u8]) -> Result<(), String> {
        if row.index <= self.last_index {
            return Err(format!(
                "entry {} stands after entry {}",
                row.index, self.last_index
            ));
        }
        self.last_index = row.index;
        if self.terms.last().is_none_or(|start| start.term != row.term) {
            self.terms.push(TermStart {
                index: row.index,
                term: row.term,
            });
        }
        match &mut self.kind {
            ReplayedKind::Meta { tail, .. } => {
                tail.push(meta_entry(row.index, row.term, stored));
                Ok(())
            }
            ReplayedKind::Records { log, .. } => replay_batches(log, row, stored),
        }
    }
}

fn meta_entry(index: u64, term: u64, data: &[u8]) -> Entry {
    Entry {
        index,
        term,
        data: Bytes::copy_from_slice(data),
        ..Entry::default()
    }
}

fn replay_batches(log: &mut Log, row: &Row, stored: &[u8]) -> Result<(), String> {
    let epoch = i32::try_from(row.term).map_err(|_| format!("term {} is too large", row.term))?;
    if row.base_offset != log.end_offset() as u64 {
        return Err(format!(
            "offset {} stands after offset {}",
            row.base_offset,
            log.end_offset()
        ));
    }
    log.note_epoch(epoch);
    for batch in batch::each(stored) {
        let (header, _) = batch.map_err(|error| error.to_string())?;
        if header.base_offset != log.end_offset() {
            return Err(format!(
                "batch {} stands after offset {}",
                header.base_offset,
                log.end_offset()
            ));
        }
        log.record(&header);
    }
    log.entry_appended(row.index, log.end_offset());
    Ok(())
}

pub(super) fn rebuild(
    recovered: &RecoveredGroup,
    replayed: Option<Replayed>,
    settings: impl Fn(GroupUid) -> chronik_core::group::Settings,
) -> Result<Replica, WireError> {
    let uid = GroupUid(recovered.uid);
    let birth = Birth::decode(&recovered.create)?;
    let hard_state = match &recovered.hard_state {
        Some(bytes) => HardState::decode(bytes)?,
        None => Stored::new(Vec::new()).hard_state,
    };
    let replayed = match (replayed, &recovered.state) {
        (Some(replayed), _) => replayed,
        (None, Some(state)) => Replayed::decode(state, recovered)?,
        (None, None) => Replayed::new(uid),
    };
    let mut stored = Stored {
        hard_state,
        members: Members::of_voters(birth.voters),
        members_as_of: recovered.trim.index,
        trim: Trim {
            index: recovered.trim.index,
            term: recovered.trim.term,
        },
        last_index: recovered.last_index,
        terms: replayed.terms,
        applied: recovered.trim.index,
        tail: Vec::new(),
        changes: Vec::new(),
    };
    let state = match replayed.kind {
        ReplayedKind::Meta {
            catalog,
            applied,
            tail,
        } => {
            stored.applied = applied;
            stored.tail = tail;
            State::Meta(Box::new(MetaState { catalog, applied }))
        }
        ReplayedKind::Records {
            mut log,
            kept_state,
        } => {
            let committed = hard_state.commit.max(recovered.trim.index);
            log.committed(committed);
            log.trim_recovered(recovered.trim.offset as i64);
            State::Records(Box::new(Records::recovered(log, kept_state)))
        }
    };
    Ok(Replica::new(Group::new(&settings(uid), stored), state))
}
