//! From the node's log to a running shard: groups are rebuilt from storage alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use chronik_core::catalog::Catalog;
use chronik_core::group::eraftpb::{Entry, EntryType};
use chronik_core::group::{
    Group, HardState, Install, Members, Settings as GroupSettings, Stored, Trim,
};
use chronik_core::ids::{GroupUid, NodeId, ReplicaId, TopicId};
use chronik_core::partition::{Restore, batch};
use chronik_core::wire::{Reader, WireError};
use chronik_fault::Planted;
use chronik_wal::{RecoveredGroup, Row, Visitor};
use imbl::OrdMap;
use tokio::sync::{mpsc, watch};
use tracing::info;

use super::ShardHandle;
use super::capture::StateLog;
use super::catch_up::CatchUp;
use super::compaction::Compaction;
use super::confirm::Confirming;
use super::effects::CHANGES_MEMBERS;
use super::elections::Elections;
use super::event::Event;
use super::gossip::{Gossip, News};
use super::health::{Health, SyncWatch};
use super::history::History;
use super::membership::Birth;
use super::meta::{Meta, Proposals, decode_state};
use super::peers::{Held, start_reading};
use super::records::Records;
use super::replica::{Replica, State};
use super::seeds::{SeedError, Seeds};
use super::shard::{Settings, Shard};
use super::upkeep::Upkeep;
use crate::broker::view::View;
use crate::metrics::Metrics;
use crate::peer::Peers;
use crate::snapshots::{Restored, RestoredError};

/// All that a shard needs to begin.
pub(crate) struct Start {
    pub(crate) log: chronik_wal::Options,
    pub(crate) planted: Planted,
    pub(crate) node: NodeId,
    /// Different in every life of the process.
    pub(crate) boot: u64,
    pub(crate) peers: Peers,
    pub(crate) sync_watch: Arc<SyncWatch>,
    pub(crate) tick: Duration,
    pub(crate) election_ticks: usize,
    pub(crate) heartbeat_ticks: usize,
    pub(crate) lag_max: Duration,
    pub(crate) cache_bytes: usize,
    pub(crate) retention_interval: Duration,
    pub(crate) compaction_interval: Duration,
    pub(crate) key_bytes: usize,
    pub(crate) min_insync_replicas: u32,
    pub(crate) snapshot_log_entries: u64,
    /// A snapshot that this node was restored from, if it was.
    pub(crate) restored: Option<Restored>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What a node is in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Belong {
    pub(crate) replica: ReplicaId,
    /// How the metadata group begins here, unless it did already.
    pub(crate) meta: MetaBirth,
    /// The id that the cluster gets if it is founded from here.
    pub(crate) cluster_id: String,
}

/// How a node comes to take part in the metadata group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MetaBirth {
    /// These nodes found a cluster together, each in its first life.
    Founded(Vec<NodeId>),
    /// The cluster exists; its leader sends what there is.
    Joined,
}

/// A shard that runs.
pub(crate) struct Started {
    pub(crate) shard: ShardHandle,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) reader: chronik_wal::Reader,
    /// Counts changes of leaders.
    pub(crate) leader_changes: watch::Receiver<u64>,
    /// What there is to tell other nodes of the groups that are led here.
    pub(crate) news: mpsc::Receiver<News>,
    pub(crate) health: watch::Receiver<Health>,
    pub(crate) thread: JoinHandle<()>,
    pub(crate) state_log: Arc<StateLog>,
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
    #[error("the snapshot that the node was restored from cannot be used: restore it again")]
    Restored(#[source] RestoredError),
    #[error("the snapshot that the node was restored from cannot be used")]
    Seeds(#[from] SeedError),
    #[error("the shard thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Requests wait here for the shard; a full inbox refuses.
const INBOX_EVENTS: usize = 16 * 1024;
/// Rounds of gossip that wait to be carried.
const NEWS_ROUNDS: usize = 4;
/// How long a replica keeps up before it is in sync again.
const LAG_RETURN: Duration = Duration::from_secs(2);

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
    let settings = settings(&start);
    let groups = recovered.groups.clone();
    let seeds = seeds(&start, &groups, settings.max_batch_bytes)?;
    let state_log = Arc::new(StateLog::default());
    let (sender, inbox) = chronik_inbox::inbox(INBOX_EVENTS);
    let notices = sender.clone();
    let metrics = start.metrics.clone();
    let (writer, reader, index) = recovered.start(move |notice| {
        // Nobody reads any more when the shard has ended: then nobody waits either.
        let _ = notices.send(Event::Log(notice));
    })?;
    let fetches =
        start_reading(reader.clone(), sender.clone(), start.planted).map_err(StartError::Thread)?;
    let compaction = Compaction::new(
        (start.compaction_interval, start.key_bytes),
        reader.clone(),
        sender.clone(),
    );
    let compaction = compaction.map_err(StartError::Thread)?;
    let (view, view_receiver) = watch::channel(Arc::new(View::default()));
    let (leader_changes, leader_receiver) = watch::channel(0);
    let starting = Health {
        missing: vec!["its groups look for their leaders".to_owned()],
        has_served: false,
    };
    let (health, health_receiver) = watch::channel(starting);
    let (news, news_receiver) = mpsc::channel(NEWS_ROUNDS);
    let mut shard = Shard {
        compaction,
        catch_up: CatchUp::default(),
        upkeep: Upkeep::new(start.tick, settings.retention_interval),
        settings,
        inbox,
        replicas: HashMap::new(),
        touched: Vec::new(),
        orders: Vec::new(),
        tasks: Vec::new(),
        writer,
        index,
        cache_order: Default::default(),
        cached_bytes: 0,
        proposals: Proposals::default(),
        elections: Elections::default(),
        peers: start.peers,
        held: Held::default(),
        confirming: Confirming::default(),
        fetches,
        statuses: OrdMap::new(),
        view,
        leader_changes,
        health,
        leaderless_since: None,
        sync_watch: start.sync_watch,
        unsynced: 0,
        gossip: Gossip::default(),
        history: History::default(),
        news,
        belong: None,
        seeds,
        state_log: state_log.clone(),
        starting: HashSet::new(),
        has_served: false,
        disk_full: false,
        metrics: start.metrics,
    };
    for group in groups {
        shard.restore(group, &mut replay)?;
    }
    shard.elect_after_start();
    let thread = spawn(shard)?;
    Ok(Started {
        shard: ShardHandle::new(sender, metrics),
        view: view_receiver,
        reader,
        leader_changes: leader_receiver,
        news: news_receiver,
        health: health_receiver,
        thread,
        state_log,
    })
}

/// What groups begin with that the log does not know: nothing, unless the node was restored and never ran since.
fn seeds(start: &Start, groups: &[RecoveredGroup], most: u32) -> Result<Seeds, StartError> {
    let Some(restored) = &start.restored else {
        return Ok(Seeds::default());
    };
    if groups.iter().any(|group| group.uid == GroupUid::META.0) {
        restored.remove();
        return Ok(Seeds::default());
    }
    let parts = restored.read().map_err(StartError::Restored)?;
    Ok(Seeds::of(parts, most)?)
}

fn settings(start: &Start) -> Settings {
    let in_ticks = |time: Duration| {
        let ticks = time.as_millis() / start.tick.as_millis().max(1);
        u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
    };
    Settings {
        node: start.node,
        boot: start.boot,
        election_ticks: start.election_ticks,
        heartbeat_ticks: start.heartbeat_ticks,
        lag_ticks: in_ticks(start.lag_max),
        lag_return_ticks: in_ticks(LAG_RETURN.min(start.lag_max)),
        cache_bytes: start.cache_bytes,
        retention_interval: start.retention_interval,
        min_insync_replicas: start.min_insync_replicas,
        snapshot_log_entries: start.snapshot_log_entries,
        max_batch_bytes: u32::try_from(start.log.segment_bytes / 2).unwrap_or(u32::MAX),
        planted: start.planted,
    }
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
        let replayed = replay.groups.remove(&recovered.uid);
        let settings = |replica| self.settings.of_group(uid, replica);
        let mut replica = rebuild(&recovered, replayed, settings)
            .map_err(|source| StartError::State { group: uid, source })?;
        replica.status = self.statuses.entry(uid).or_default().clone();
        self.replicas.insert(uid, replica);
        self.starting.insert(uid);
        // What it knows to be committed is applied before anything is begun from its catalog.
        if uid == GroupUid::META {
            self.touch(uid);
        }
        Ok(())
    }

    /// The metadata group begins if it is not here yet.
    pub(super) fn belongs(&mut self, belong: Belong) {
        let replica = belong.replica;
        let founders = match &belong.meta {
            MetaBirth::Founded(founders) => founders.clone(),
            MetaBirth::Joined => Vec::new(),
        };
        self.belong = Some(belong);
        if !self.replicas.contains_key(&GroupUid::META) {
            self.begin_seeded();
            let first_life = |node: &NodeId| ReplicaId::new(*node, 1);
            let birth = Birth {
                topic: TopicId::ZERO,
                partition: 0,
                replica,
                voters: founders.iter().map(first_life).collect(),
            };
            self.begin_replica(GroupUid::META, &birth, founders);
            self.starting.insert(GroupUid::META);
            self.seeds = Seeds::default();
        }
        // What the catalog says comes before anybody asks. It is not older than any destruction in the log; groups that
        // it does not know were created after it.
        self.host_everything();
        self.publish_view();
    }
}

impl Shard {
    /// The node may serve once every group of its last run has a leader and the catalog knows the node.
    pub(super) fn note_started(&mut self) {
        let me = self.belong.as_ref().map(|belong| belong.replica);
        let is_known = me.is_some_and(|me| {
            let nodes = self.meta().map(|meta| &meta.catalog.nodes);
            let node = nodes.and_then(|nodes| nodes.get(&self.settings.node));
            node.is_some_and(|node| node.incarnation == me.incarnation())
        });
        if is_known && self.starting.is_empty() && !self.has_served {
            info!(groups = self.replicas.len(), "every group has a leader");
            self.has_served = true;
            self.report_health();
        }
    }
}

/// What the log showed beyond the checkpoint.
#[derive(Default)]
struct Replay {
    groups: BTreeMap<u64, Result<Replayed, WireError>>,
}

/// One group's state as of the last record shown.
pub(super) enum Replayed {
    Meta {
        stored: Box<Stored>,
        catalog: Box<Catalog>,
        applied: u64,
    },
    Records(Box<Restore>),
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
        if let Some(state) = &group.state {
            // A state that cannot be read is told when the group is rebuilt, with its name.
            let replayed = Replayed::decode(GroupUid(group.uid), state);
            self.groups.insert(group.uid, replayed);
        }
    }

    fn installed(&mut self, group: u64, _trim: chronik_wal::Trim, stored: &[u8]) {
        let replayed = self
            .groups
            .remove(&group)
            .unwrap_or_else(|| Ok(Replayed::joining(GroupUid(group))));
        let installed = replayed.and_then(|replayed| replayed.install(stored));
        self.groups.insert(group, installed);
    }

    fn entry(&mut self, group: u64, row: &Row, stored: &[u8]) -> Result<(), String> {
        let fresh = || Ok(Replayed::born(GroupUid(group)));
        match self.groups.entry(group).or_insert_with(fresh) {
            Ok(replayed) => replayed.entry(row, stored),
            // Told when the group is rebuilt.
            Err(_) => Ok(()),
        }
    }
}

impl Replayed {
    /// A group whose voters are not known yet: its birth says them when everything is read.
    fn born(group: GroupUid) -> Replayed {
        match group {
            GroupUid::META => Replayed::meta(Stored::new(Vec::new())),
            _ => Replayed::Records(Box::new(Restore::born(Vec::new()))),
        }
    }

    fn joining(group: GroupUid) -> Replayed {
        match group {
            GroupUid::META => Replayed::meta(Stored::empty()),
            _ => Replayed::Records(Box::new(Restore::joining())),
        }
    }

    fn meta(stored: Stored) -> Replayed {
        Replayed::Meta {
            applied: stored.applied.max(stored.trim.index),
            stored: Box::new(stored),
            catalog: Box::default(),
        }
    }

    /// Reads what `Replica::encode` wrote.
    pub(super) fn decode(group: GroupUid, state: &[u8]) -> Result<Replayed, WireError> {
        if group != GroupUid::META {
            return Ok(Replayed::Records(Box::new(Restore::decode(state)?)));
        }
        let mut input = Reader::new(state);
        let (applied, catalog) = decode_state(&mut input)?;
        let stored = Box::new(Stored::decode(&mut input)?);
        input.end()?;
        Ok(Replayed::Meta {
            stored,
            catalog: Box::new(catalog),
            applied,
        })
    }

    fn install(self, bytes: &[u8]) -> Result<Replayed, WireError> {
        let install = Install::decode(bytes)?;
        Ok(match self {
            Replayed::Meta { mut stored, .. } => {
                stored.install(&install);
                Replayed::Meta {
                    stored,
                    catalog: Box::new(Catalog::decode(&install.state)?),
                    applied: install.trim.index,
                }
            }
            Replayed::Records(mut restore) => {
                restore.install(&install)?;
                Replayed::Records(restore)
            }
        })
    }

    fn entry(&mut self, row: &Row, bytes: &[u8]) -> Result<(), String> {
        let mut entry = Entry {
            index: row.index,
            term: row.term,
            ..Entry::default()
        };
        if row.flags & CHANGES_MEMBERS != 0 {
            entry.set_entry_type(EntryType::EntryConfChangeV2);
        }
        entry.data = Bytes::copy_from_slice(bytes);
        if row.term > i32::MAX as u64 {
            return Err(format!("term {} is too large", row.term));
        }
        match self {
            Replayed::Meta { stored, .. } => stored.unapplied_entry(&entry),
            Replayed::Records(restore) => {
                let has_place =
                    batch::each(super::records::batches_of(&entry).map_or(&[][..], |bytes| bytes))
                        .all(|batch| batch.is_ok());
                if !has_place {
                    return Err("an entry with half a batch".to_owned());
                }
                restore.entry(&entry);
            }
        }
        Ok(())
    }

    fn stored(&self) -> &Stored {
        match self {
            Replayed::Meta { stored, .. } => stored,
            Replayed::Records(restore) => restore.stored(),
        }
    }

    fn members(&mut self, as_of: u64, members: Members) {
        match self {
            Replayed::Meta { stored, .. } => stored.members(as_of, members),
            Replayed::Records(restore) => restore.members(as_of, members),
        }
    }

    fn hard_state(&mut self, hard_state: HardState) {
        match self {
            Replayed::Meta { stored, .. } => stored.hard_state = hard_state,
            Replayed::Records(restore) => restore.hard_state(hard_state),
        }
    }

    fn trim(&mut self, trim: Trim, offset: i64) {
        match self {
            Replayed::Meta { stored, .. } => stored.trim(trim),
            Replayed::Records(restore) => restore.trim(trim, offset),
        }
    }

    fn into_state(self, settings: &GroupSettings) -> State {
        match self {
            Replayed::Meta {
                stored,
                catalog,
                applied,
            } => {
                let group = Group::new(settings, *stored);
                State::Meta(Box::new(Meta::new(group, *catalog, applied)))
            }
            Replayed::Records(restore) => {
                State::Records(Box::new(Records::new(restore.into_replica(settings))))
            }
        }
    }
}

/// What the log keeps beside the entries comes last: it is as of the newest record.
pub(super) fn rebuild(
    recovered: &RecoveredGroup,
    replayed: Option<Result<Replayed, WireError>>,
    settings: impl Fn(ReplicaId) -> GroupSettings,
) -> Result<Replica, WireError> {
    let uid = GroupUid(recovered.uid);
    let birth = Birth::decode(&recovered.create)?;
    let mut replayed = match replayed {
        Some(replayed) => replayed?,
        None if birth.voters.is_empty() => Replayed::joining(uid),
        None => Replayed::born(uid),
    };
    let stored = replayed.stored();
    if stored.members_as_of == 1 && stored.members == Members::default() {
        let voters = birth.voters.iter().map(|voter| voter.0).collect();
        replayed.members(1, Members::of_voters(voters));
    }
    if let Some(bytes) = &recovered.hard_state {
        replayed.hard_state(HardState::decode(bytes)?);
    }
    if let Some((as_of, bytes)) = &recovered.conf_state
        && *as_of > replayed.stored().members_as_of
    {
        let mut input = Reader::new(bytes);
        let members = Members::decode(&mut input)?;
        input.end()?;
        replayed.members(*as_of, members);
    }
    if recovered.trim.index > replayed.stored().trim.index {
        let trim = Trim {
            index: recovered.trim.index,
            term: recovered.trim.term,
        };
        replayed.trim(trim, recovered.trim.offset as i64);
    }
    let state = replayed.into_state(&settings(birth.replica));
    Ok(Replica::new(state, birth.preference()))
}
