//! The one who makes snapshots: on demand, and when the groups wrote enough or the newest one is old enough.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chronik_core::catalog::Catalog;
use chronik_core::ids::{GroupUid, NodeId};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use super::due::Since;
use super::folder::Unfinished;
use super::format::{FormatError, Header};
use super::part::Part;
use super::shelf::{Made, Row, State};
use super::{Order, Settings, Snapshots, Sources, blocking, hex, verify};
use crate::broker::coordinator::{self, LoadError, OFFSETS_TOPIC};
use crate::clock;

/// Makes and removes snapshots, one after the other.
pub(crate) struct Maker {
    settings: Settings,
    sources: Sources,
    snapshots: Snapshots,
    orders: mpsc::Receiver<Order>,
    /// What the groups had written when the newest snapshot began, and when that was.
    written: (u64, u64),
    began: Instant,
    /// When the newest snapshot of the node was made, by the wall clock.
    newest_ms: u64,
}

#[derive(Debug, thiserror::Error)]
enum MakeError {
    #[error("the node belongs to no cluster yet")]
    NoCluster,
    #[error("the node has no replica of the group, or one that knows nothing yet")]
    NotHere,
    #[error("the node has too much to do, or stops")]
    Busy,
    #[error("the offsets of group {group} cannot be read: {source}")]
    Offsets {
        group: GroupUid,
        #[source]
        source: LoadError,
    },
    #[error("the file cannot be written: {0}")]
    Write(#[from] FormatError),
}

/// A snapshot in the making.
struct Making<'a> {
    maker: &'a Maker,
    id: u64,
    unfinished: Option<Unfinished>,
    /// Groups that were asked for.
    tried: BTreeSet<GroupUid>,
    /// Groups that are in it.
    done: usize,
    made: Made,
}

/// Between two looks whether a snapshot is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A snapshot that was due and failed is tried again after so long.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// How long the shard may be too busy to answer.
const SHARD_PAUSE: Duration = Duration::from_millis(50);
const SHARD_ATTEMPTS: usize = 20;
/// How often the catalog may change while its groups are read; what came even later has no records yet.
const ROUNDS: usize = 4;

impl Maker {
    pub(super) fn new(
        settings: Settings,
        sources: Sources,
        snapshots: Snapshots,
        orders: mpsc::Receiver<Order>,
    ) -> Maker {
        Maker {
            written: (0, 0),
            began: Instant::now(),
            newest_ms: clock::wall_ms().unsigned_abs(),
            settings,
            sources,
            snapshots,
            orders,
        }
    }

    /// Runs until the node stops; what is half done then leaves nothing.
    pub(crate) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        tokio::select! {
            () = self.work() => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }

    async fn work(&mut self) {
        self.look_around().await;
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::Make { id }) => self.make(id).await,
                    Some(Order::Remove { id, reply }) => {
                        // Whoever asked may have given up.
                        _ = reply.send(self.remove(id).await);
                    }
                    None => return,
                },
                _ = ticks.tick() => self.make_if_due().await,
            }
        }
    }

    /// What the last life of the process left.
    async fn look_around(&mut self) {
        let folder = self.snapshots.folder.clone();
        let found = blocking(move || {
            let ids = folder.list()?;
            let look = |id| (id, verify(&folder.file(id)));
            Ok::<_, std::io::Error>(ids.into_iter().map(look).collect::<Vec<_>>())
        });
        match found.await {
            Ok(found) => self.snapshots.shelf.send_modify(|shelf| {
                for (id, verified) in found {
                    let sound = verified.into_sound();
                    shelf.found(id, sound.map(|sound| (sound.header, sound.made)));
                }
            }),
            Err(error) => warn!(%error, "the folder of snapshots cannot be read"),
        }
        let newest = self.snapshots.shelf.borrow().newest_ms();
        // A node that never made one waits its time, too.
        self.newest_ms = newest.unwrap_or(self.newest_ms);
        self.note_held();
    }

    async fn make_if_due(&mut self) {
        let (entries, bytes) = self.sources.state_log.written();
        let now_ms = clock::wall_ms().unsigned_abs();
        let age = Duration::from_millis(now_ms.saturating_sub(self.newest_ms));
        let since = Since {
            log_entries: entries - self.written.0,
            log_bytes: bytes - self.written.1,
            elapsed: age,
        };
        let is_early = self.began.elapsed() < TRY_AGAIN.min(self.settings.limits.interval);
        // What is left on a full disk is for trimming.
        let is_full = self.sources.metrics.wal.disk_full.get() != 0;
        if is_early || is_full || self.catalog_version() == 0 {
            return;
        }
        if let Some(cause) = self.settings.limits.reached(since) {
            let id = self.snapshots.reserve(None, cause);
            self.make(id).await;
        }
    }

    async fn make(&mut self, id: u64) {
        let row = self.snapshots.shelf.borrow().rows.get(&id).cloned();
        let Some(row) = row else {
            return;
        };
        let begun = Instant::now();
        if row.group.is_none() {
            self.began = begun;
            self.written = self.sources.state_log.written();
        }
        let metrics = self.sources.metrics.clone();
        let state = match self.fill(id, &row).await {
            Ok(made) => {
                if row.group.is_none() {
                    self.newest_ms = id;
                    metrics.snapshot.newest.set((id / 1000) as i64);
                }
                metrics.snapshot.make_time.observe(begun.elapsed());
                info!(
                    snapshot = id,
                    cause = row.cause.word(),
                    groups = made.groups,
                    bytes = made.bytes,
                    "a snapshot was made"
                );
                State::Complete(made)
            }
            Err(error) => {
                metrics.snapshot.failures.increment();
                warn!(snapshot = id, cause = row.cause.word(), %error, "a snapshot came to nothing");
                State::Failed(error.to_string())
            }
        };
        self.snapshots.note(id, state);
        let surplus = self.snapshots.shelf.borrow().surplus(self.settings.keep);
        for id in surplus {
            if let Err(error) = self.remove(id).await {
                warn!(snapshot = id, %error, "a snapshot that is too old cannot be removed");
            }
        }
        self.note_held();
    }

    async fn fill(&self, id: u64, row: &Row) -> Result<Made, MakeError> {
        let view = self.sources.broker.view();
        if view.catalog.cluster_id.is_empty() {
            return Err(MakeError::NoCluster);
        }
        let node = self.settings.node;
        let header = Header {
            cluster_id: view.catalog.cluster_id.to_string(),
            node,
            incarnation: view.catalog.incarnation(node),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created_ms: id,
            cause: row.cause,
            group: row.group.clone(),
        };
        let (folder, codec) = (self.snapshots.folder.clone(), self.settings.codec);
        let unfinished = blocking(move || folder.begin(id, codec, &header)).await?;
        let mut making = Making {
            maker: self,
            id,
            unfinished: Some(unfinished),
            tried: BTreeSet::new(),
            done: 0,
            made: Made::default(),
        };
        match &row.group {
            None => making.add_everything().await?,
            Some((GroupUid::META, _)) => {
                let meta = making.meta().await?;
                making.write(vec![meta]).await?;
            }
            Some((group, _)) => making.add(vec![*group]).await?,
        }
        making.end().await
    }

    async fn remove(&self, id: u64) -> std::io::Result<u64> {
        let folder = self.snapshots.folder.clone();
        let removed = blocking(move || folder.remove(id)).await;
        let is_gone = match &removed {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if is_gone {
            self.snapshots
                .shelf
                .send_modify(|shelf| _ = shelf.rows.remove(&id));
            self.note_held();
        }
        removed
    }

    fn note_held(&self) {
        let (files, bytes) = self.snapshots.shelf.borrow().held();
        let metrics = &self.sources.metrics.snapshot;
        metrics.files.set_len(files);
        metrics.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn catalog_version(&self) -> u64 {
        self.sources.broker.view().catalog.version
    }

    /// The first few of these groups, and how many that are.
    async fn capture(&self, groups: &[GroupUid]) -> Result<(usize, Vec<Part>), MakeError> {
        for _ in 0..SHARD_ATTEMPTS {
            if let Some(captured) = self.sources.shard.capture(groups).await {
                return Ok((captured.looked_at, captured.parts));
            }
            tokio::time::sleep(SHARD_PAUSE).await;
        }
        Err(MakeError::Busy)
    }
}

impl Making<'_> {
    /// All groups of the node. The catalog comes last, and with everything in it that has to be here.
    async fn add_everything(&mut self) -> Result<(), MakeError> {
        let inspection = self.maker.sources.shard.inspect().await;
        let groups = inspection.ok_or(MakeError::Busy)?.groups;
        let groups = groups.iter().map(|view| view.group);
        let mut pending: Vec<GroupUid> = groups.filter(|group| *group != GroupUid::META).collect();
        for _ in 0..ROUNDS {
            self.add(std::mem::take(&mut pending)).await?;
            let meta = self.meta().await?;
            let catalog = Catalog::decode(&meta.install.state).expect("it was encoded just now");
            let held = held_by(&catalog, self.maker.settings.node);
            pending = held.filter(|group| !self.tried.contains(group)).collect();
            if pending.is_empty() {
                return self.write(vec![meta]).await;
            }
        }
        let meta = self.meta().await?;
        self.write(vec![meta]).await
    }

    async fn add(&mut self, groups: Vec<GroupUid>) -> Result<(), MakeError> {
        let offsets = self.offsets_partitions();
        let mut rest = groups.as_slice();
        while !rest.is_empty() {
            self.note_progress(rest.len());
            let (looked_at, mut parts) = self.maker.capture(rest).await?;
            rest = &rest[looked_at..];
            for part in &mut parts {
                if offsets.contains(&part.group) {
                    part.consumer_groups = Some(self.consumer_groups(part.group).await?);
                }
            }
            self.write(parts).await?;
        }
        self.tried.extend(groups);
        Ok(())
    }

    async fn meta(&self) -> Result<Part, MakeError> {
        let (_, mut parts) = self.maker.capture(&[GroupUid::META]).await?;
        parts.pop().ok_or(MakeError::NotHere)
    }

    async fn consumer_groups(&self, group: GroupUid) -> Result<bytes::Bytes, MakeError> {
        let image = coordinator::image(&self.maker.sources.broker, group).await;
        let image = image.map_err(|source| MakeError::Offsets { group, source })?;
        Ok(image.snapshot())
    }

    async fn write(&mut self, parts: Vec<Part>) -> Result<(), MakeError> {
        let Some(last) = parts.last() else {
            return Ok(());
        };
        self.done += parts.len();
        (self.made.index, self.made.term) = (last.committed, last.committed_term);
        let mut unfinished = self.unfinished.take().expect("it is given back");
        let written = blocking(move || {
            let written = unfinished.writer().section(&parts);
            (unfinished, written)
        });
        let (unfinished, written) = written.await;
        self.unfinished = Some(unfinished);
        Ok(written?)
    }

    async fn end(mut self) -> Result<Made, MakeError> {
        let unfinished = self.unfinished.take().expect("it is given back");
        if self.done == 0 {
            // It goes with what was begun.
            return Err(MakeError::NotHere);
        }
        let (bytes, sha256) = blocking(move || unfinished.end()).await?;
        Ok(Made {
            bytes,
            sha256: hex(&sha256),
            groups: self.done,
            ..self.made
        })
    }

    fn note_progress(&self, left: usize) {
        let state = State::Making {
            done: self.done,
            // The catalog comes on top of them all.
            total: self.done + left + 1,
        };
        self.maker.snapshots.note(self.id, state);
    }

    /// Where consumer groups are kept.
    fn offsets_partitions(&self) -> BTreeSet<GroupUid> {
        let topic = self.maker.sources.broker.topic(OFFSETS_TOPIC);
        let partitions = topic.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| partition.group).collect()
    }
}

/// The groups that a node should have.
fn held_by(catalog: &Catalog, node: NodeId) -> impl Iterator<Item = GroupUid> {
    let partitions = catalog.topics.values().flat_map(|topic| &topic.partitions);
    let held = partitions.filter(move |partition| partition.holders().contains(&node));
    held.map(|partition| partition.group)
}
