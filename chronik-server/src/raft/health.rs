//! Whether this node can serve, and if not, why: for operators, and for the nodes that would otherwise rely on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chronik_core::ids::{GroupUid, NodeId};

use super::shard::Shard;

/// What operators are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// What is missing, as sentences; empty while the node serves everything it should.
    pub(crate) missing: Vec<String>,
    /// It served before: what is missing now was lost.
    pub(crate) has_served: bool,
}

/// Since when the log owes a sync. Written by the shard, read by those who tell other nodes.
#[derive(Debug)]
pub(crate) struct SyncWatch {
    started: Instant,
    /// Milliseconds since the start, and 0 while nothing waits.
    waiting_since_ms: AtomicU64,
}

/// A log that owes a sync for so long stalls.
const STALL: Duration = Duration::from_secs(1);
/// A failover is shorter: what lasts longer is worth telling.
const TELL_AFTER: Duration = Duration::from_millis(1500);

impl SyncWatch {
    pub(crate) fn new() -> SyncWatch {
        SyncWatch {
            started: Instant::now(),
            waiting_since_ms: AtomicU64::new(0),
        }
    }

    /// Whether the log takes writes in time.
    pub(crate) fn is_ok(&self) -> bool {
        let since_ms = self.waiting_since_ms.load(Ordering::Relaxed);
        since_ms == 0 || self.now_ms().saturating_sub(since_ms) < STALL.as_millis() as u64
    }

    /// Something waits from now on, or nothing does.
    pub(super) fn waits(&self, waits: bool) {
        let since_ms = if waits { self.now_ms().max(1) } else { 0 };
        self.waiting_since_ms.store(since_ms, Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

impl Shard {
    /// Tasks went to the log.
    pub(super) fn note_submitted(&mut self, tasks: usize) {
        if self.unsynced == 0 && tasks > 0 {
            self.sync_watch.waits(true);
        }
        self.unsynced += tasks;
    }

    /// Tasks are durable: whatever else waits began to wait for its own sync now.
    pub(super) fn note_synced(&mut self, tasks: usize) {
        self.unsynced -= tasks;
        self.sync_watch.waits(self.unsynced > 0);
    }

    /// A log that stalls leads nothing: its messages would keep others from ever suspecting this node.
    pub(super) fn shed_leadership_if_stalled(&mut self) {
        if !self.sync_watch.is_ok() {
            self.transfer_everything();
        }
    }

    /// Looks whether anything is missing that should be there, and tells when that changed.
    pub(super) fn report_health(&mut self) {
        let leaderless = |group: &GroupUid| {
            let replica = &self.replicas[group];
            replica.group().leadership().leader == 0
        };
        let count = self
            .replicas
            .keys()
            .filter(|group| leaderless(group))
            .count();
        let now = Instant::now();
        let since = match count {
            0 => None,
            _ => Some(self.leaderless_since.unwrap_or(now)),
        };
        self.leaderless_since = since;
        let has_served = self.has_served;
        let is_lasting = since.is_some_and(|since| now - since >= TELL_AFTER);
        let mut missing = Vec::new();
        if !has_served && !self.is_known() {
            missing.push("its cluster does not know it yet".to_owned());
        }
        if count > 0 && (is_lasting || !has_served) {
            missing.push(self.why_leaderless(count));
        } else if !has_served && !self.starting.is_empty() {
            missing.push(format!("{} groups are not ready yet", self.starting.len()));
        }
        let health = Health {
            missing,
            has_served,
        };
        self.health
            .send_if_modified(|told| std::mem::replace(told, health.clone()) != health);
    }

    fn is_known(&self) -> bool {
        self.meta()
            .is_some_and(|meta| meta.catalog.nodes.contains_key(&self.settings.node))
    }

    fn why_leaderless(&self, count: usize) -> String {
        let total = self.replicas.len();
        let silent: Vec<String> = self.silent_nodes().map(|node| node.to_string()).collect();
        let leaderless =
            format!("{count} of {total} groups have no leader, so nothing can be written to them");
        match silent.len() {
            0 => leaderless,
            1 => format!("{leaderless}: node {} does not answer", silent[0]),
            _ => format!("{leaderless}: nodes {} do not answer", silent.join(" and ")),
        }
    }

    /// Nodes that should be there and are not.
    fn silent_nodes(&self) -> impl Iterator<Item = NodeId> {
        let me = self.settings.node;
        let known = self.meta().map(|meta| meta.catalog.nodes.keys().copied());
        let founders = self.meta().map(|meta| meta.catalog.meta_voters.clone());
        let mut nodes: Vec<NodeId> = known
            .into_iter()
            .flatten()
            .chain(founders.into_iter().flatten())
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
            .into_iter()
            .filter(move |node| *node != me && !self.elections.is_alive(*node))
    }
}
