//! The loop that owns all partitions: requests, outcomes of appends, loads, changes of the catalog, and time.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::topic_config::LogConfig;
use chronik_core::catalog::{Catalog, Topic};
use chronik_core::consumer_group::{AppendError, GroupError};
use chronik_core::ids::GroupUid;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use imbl::ordmap::DiffItem;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Options;
use super::load::{self, LoadError, Loaded};
use super::partition::{Ask, OnItsWay, Partition, refusal, refuse};
use super::placement::{self, OFFSETS_TOPIC};
use crate::broker::{Appended, Appends, Broker};
use crate::clock;
use crate::metrics::Queue;

/// Requests that are looked at before what they wrote is handed over.
const BURST: usize = 256;
/// How often everything is looked at again, whatever was told: loads that failed are tried once more.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a handle asks of the task.
pub(super) enum Message {
    /// About one consumer group.
    Group { group: String, ask: Ask },
    /// Of every partition that this node leads; the number is the partition.
    Partition { partition: usize, ask: Ask },
}

/// The answering half: runs until the node stops.
pub struct Coordinators {
    broker: Broker,
    options: Options,
    inbox: mpsc::Receiver<Message>,
    partitions: BTreeMap<GroupUid, Partition>,
    loads: JoinSet<Load>,
    on_their_way: FuturesUnordered<Pin<Box<dyn Future<Output = Settled> + Send>>>,
    clock: Clock,
    /// What the catalog said when we last looked: what is missing since then was deleted.
    seen: Catalog,
}

struct Load {
    group: GroupUid,
    epoch: i32,
    result: Result<Loaded, LoadError>,
}

struct Settled {
    group: GroupUid,
    epoch: i32,
    batch: u64,
    outcome: Result<Appended, AppendError>,
}

/// Wall time that does not run backwards.
struct Clock {
    started_ms: u64,
    started: Instant,
}

impl Coordinators {
    pub(super) fn new(
        broker: Broker,
        options: Options,
        inbox: mpsc::Receiver<Message>,
    ) -> Coordinators {
        let started_ms = u64::try_from(clock::wall_ms()).unwrap_or(0);
        let seen = broker.view().catalog.clone();
        Coordinators {
            broker,
            options,
            inbox,
            partitions: BTreeMap::new(),
            loads: JoinSet::new(),
            on_their_way: FuturesUnordered::new(),
            clock: Clock {
                started_ms,
                started: Instant::now(),
            },
            seen,
        }
    }

    /// Serves until `stopping` says so; then everyone who waits is sent elsewhere.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut changes = self.broker.view_changes();
        let mut leaders = self.broker.leader_changes();
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        loop {
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => break,
                Some(settled) = self.on_their_way.next(), if !self.on_their_way.is_empty() => self.settle(settled),
                Some(load) = self.loads.join_next() => self.finish_load(load.expect("loading does not panic")),
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(message),
                    None => break,
                },
                Ok(()) = changes.changed() => self.look(),
                Ok(()) = leaders.changed() => self.look(),
                _ = looks.tick() => self.look(),
                () = tokio::time::sleep_until(deadline) => self.tick(),
            }
            self.hand_over();
        }
        for partition in std::mem::take(&mut self.partitions).into_values() {
            partition.end(GroupError::NotCoordinator);
        }
    }

    fn take(&mut self, first: Message) {
        let waiting = self.inbox.len() as u64 + 1;
        self.broker
            .metrics()
            .queue
            .note(Queue::Coordinator, waiting);
        self.ask(first);
        for _ in 1..BURST {
            match self.inbox.try_recv() {
                Ok(message) => self.ask(message),
                Err(_) => break,
            }
        }
    }

    fn ask(&mut self, message: Message) {
        let topic = self.broker.topic(OFFSETS_TOPIC);
        let (partition, ask) = match message {
            Message::Group { group, ask } => {
                let count = topic.as_ref().map_or(0, |topic| topic.partitions.len());
                (placement::partition_of(&group, count), ask)
            }
            Message::Partition { partition, ask } => (partition, ask),
        };
        let Some(group) = topic
            .as_ref()
            .and_then(|topic| topic.partitions.get(partition))
            .map(|found| found.group)
        else {
            return refuse(ask, GroupError::NotCoordinator);
        };
        self.look_at(group);
        let now_ms = self.clock.now_ms();
        match self.partitions.get_mut(&group) {
            Some(partition) => partition.ask(now_ms, ask),
            None => refuse(ask, GroupError::NotCoordinator),
        }
    }

    /// Follows the catalog and the leaders: loads what this node leads now, ends what it lost.
    fn look(&mut self) {
        let topic = self.broker.topic(OFFSETS_TOPIC);
        let groups: Vec<GroupUid> = topic
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|found| found.group)
            .collect();
        let gone: Vec<GroupUid> = self
            .partitions
            .keys()
            .copied()
            .filter(|group| !groups.contains(group))
            .collect();
        for group in gone {
            self.end(group);
        }
        groups.into_iter().for_each(|group| self.look_at(group));
        self.forget_deleted_topics();
        self.count_groups();
    }

    fn count_groups(&mut self) {
        let serving = self.partitions.values_mut();
        let serving = serving.filter_map(Partition::serving);
        let groups = serving.map(|serving| serving.group_count()).sum();
        let metrics = self.broker.metrics();
        metrics.catalog.consumer_groups.set_len(groups);
    }

    fn look_at(&mut self, group: GroupUid) {
        let leader = self.broker.view().leader(group);
        let leads = leader.node == Some(self.broker.settings().node);
        if self
            .partitions
            .get(&group)
            .is_some_and(|partition| !leads || partition.epoch != leader.epoch)
        {
            self.end(group);
        }
        if leads && !self.partitions.contains_key(&group) {
            self.partitions
                .insert(group, Partition::loading(group, leader.epoch));
            let (broker, timeout, epoch) =
                (self.broker.clone(), self.options.load_timeout, leader.epoch);
            self.loads.spawn(async move {
                let result = load::load(broker, group, epoch, timeout).await;
                Load {
                    group,
                    epoch,
                    result,
                }
            });
        }
    }

    fn end(&mut self, group: GroupUid) {
        if let Some(partition) = self.partitions.remove(&group) {
            partition.end(GroupError::NotCoordinator);
        }
    }

    fn finish_load(&mut self, load: Load) {
        let now_ms = self.clock.now_ms();
        let config = self
            .broker
            .topic(OFFSETS_TOPIC)
            .map(|topic| (self.log_config(&topic), replicas_of(&topic)));
        let Some(partition) = self
            .partitions
            .get_mut(&load.group)
            .filter(|partition| partition.epoch == load.epoch)
        else {
            return;
        };
        match (load.result, config) {
            (Ok(loaded), Some(config)) => partition.begin(now_ms, &self.options, config, loaded),
            (Ok(_), None) => self.end(load.group),
            (Err(error), _) => {
                // The next look tries again; until then clients are told that we are not ready.
                tracing::warn!(group = %load.group, %error, "groups could not be loaded");
                if let Some(partition) = self.partitions.remove(&load.group) {
                    partition.end(GroupError::CoordinatorLoadInProgress);
                }
            }
        }
    }

    fn settle(&mut self, settled: Settled) {
        let now_ms = self.clock.now_ms();
        let partition = self
            .partitions
            .get_mut(&settled.group)
            .filter(|partition| partition.epoch == settled.epoch);
        if let Some(serving) = partition.and_then(Partition::serving) {
            serving.settle(now_ms, settled.batch, settled.outcome);
            serving.keep_state(
                &self.broker,
                settled.group,
                self.options.keep_state_after_bytes,
            );
        }
    }

    fn tick(&mut self) {
        let now_ms = self.clock.now_ms();
        for serving in self.partitions.values_mut().filter_map(Partition::serving) {
            serving.tick_if_due(now_ms);
        }
    }

    /// The tail of every event: what the state machines ordered goes to the log, all of it at once.
    fn hand_over(&mut self) {
        let now_ms = self.clock.now_ms();
        let (mut appends, mut on_their_way) = (Appends::default(), Vec::new());
        for partition in self.partitions.values_mut() {
            let (group, epoch) = (partition.group, partition.epoch);
            let Some(serving) = partition.serving() else {
                continue;
            };
            // A batch that is refused at once lets the state machine order more.
            while serving.has_work() {
                serving.write(group, epoch, now_ms, &mut appends, &mut on_their_way);
            }
        }
        self.broker.append(appends);
        self.on_their_way.extend(
            on_their_way
                .into_iter()
                .map(|append| Box::pin(outcome(append)) as _),
        );
    }

    fn forget_deleted_topics(&mut self) {
        let view = self.broker.view();
        let is_same = |old: &Topic, new: &Topic| old.id == new.id;
        let gone: Vec<Arc<str>> = (self.seen.topics.diff(&view.catalog.topics))
            .filter_map(|change| match change {
                DiffItem::Remove(name, _) => Some(name.clone()),
                // Deleted, and created again before we looked.
                DiffItem::Update {
                    old: (name, old),
                    new: (_, new),
                } if !is_same(old, new) => Some(name.clone()),
                DiffItem::Update { .. } | DiffItem::Add(..) => None,
            })
            .collect();
        let now_ms = self.clock.now_ms();
        for serving in self.partitions.values_mut().filter_map(Partition::serving) {
            gone.iter()
                .for_each(|topic| serving.forget_topic(now_ms, topic));
        }
        self.seen = view.catalog.clone();
    }

    fn next_deadline(&mut self) -> Instant {
        let deadlines = self
            .partitions
            .values_mut()
            .filter_map(Partition::serving)
            .map(|serving| serving.next_deadline_ms());
        self.clock.instant(deadlines.min())
    }

    fn log_config(&self, topic: &Topic) -> LogConfig {
        LogConfig::of(topic, self.broker.settings().min_insync_replicas)
    }
}

impl Clock {
    fn now_ms(&self) -> u64 {
        self.started_ms + self.started.elapsed().as_millis() as u64
    }

    /// When the clock will show this; with nothing to wait for, some time later.
    fn instant(&self, at_ms: Option<u64>) -> Instant {
        const NOTHING_TO_DO: Duration = Duration::from_secs(3_600);
        let from_start =
            at_ms.map(|at_ms| Duration::from_millis(at_ms.saturating_sub(self.started_ms)));
        from_start.map_or_else(
            || Instant::now() + NOTHING_TO_DO,
            |from_start| self.started + from_start,
        )
    }
}

async fn outcome(append: OnItsWay) -> Settled {
    let OnItsWay {
        group,
        epoch,
        batch,
        pending,
    } = append;
    let outcome = pending.wait().await.map_err(|error| refusal(&error));
    Settled {
        group,
        epoch,
        batch,
        outcome,
    }
}

/// All partitions of the topic are held by as many nodes.
fn replicas_of(topic: &Topic) -> usize {
    let first = topic.partitions.first();
    first.map_or(1, |partition| partition.replicas.len())
}

/// Returns once the node stops, or once nobody could tell.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    _ = stopping.wait_for(|stopping| *stopping).await;
}
