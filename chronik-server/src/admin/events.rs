//! What happened: two looks at the cluster are compared, and every difference is one event.
//!
//! The newest events are remembered, so that whoever comes late or was cut off sees what went on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chronik_admin::v1::{ClusterEvent, EventsRequest};
use chronik_core::catalog::{Catalog, Topic};
use chronik_core::ids::{GroupUid, NodeId};
use futures_util::Stream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::names::{self, listed};
use crate::broker::{Leader, View};
use crate::clock;
use crate::limits;
use crate::raft::inspect::Sight;

/// The newest events, and a bell for those who wait for more.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    ring: Arc<Mutex<Ring>>,
    bell: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    /// The number of the first event that is remembered.
    first: u64,
    events: VecDeque<ClusterEvent>,
    seen: Option<Picture>,
}

/// The cluster at one moment, as this node knows it.
#[derive(Clone, Debug, Default)]
struct Picture {
    catalog: Catalog,
    groups: BTreeMap<GroupUid, Group>,
    silent: BTreeSet<NodeId>,
    /// Nodes whose breakers are open.
    refused: BTreeSet<NodeId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    leader: Leader,
    lagging: Vec<NodeId>,
}

impl Events {
    /// Compares what is with what was.
    pub(super) fn look(&self, view: &View, sights: &[Sight], refused: &[NodeId]) {
        let seen = Picture::of(view, sights, refused);
        let mut ring = self.ring();
        let before = ring.seen.replace(seen);
        let (Some(before), Some(seen)) = (before, &ring.seen) else {
            return;
        };
        let mut news = differences(&before, seen);
        if news.is_empty() {
            return;
        }
        let now = clock::wall_ms().unsigned_abs();
        // The clock may be set back, but what comes later has a later time.
        let at_ms = ring
            .events
            .back()
            .map_or(now, |last| now.max(last.at_ms + 1));
        for event in &mut news {
            event.at_ms = at_ms;
        }
        let next = ring.push(news);
        drop(ring);
        self.bell.send_replace(next);
    }

    /// Remembered events that are asked for, and then those that come.
    pub(super) fn follow(
        &self,
        request: &EventsRequest,
    ) -> impl Stream<Item = ClusterEvent> + Send + 'static {
        let now = clock::wall_ms().unsigned_abs();
        let since = match (request.within_ms, request.after_ms) {
            (0, 0) => now,
            (0, after) => after,
            (within, after) => after.max(now.saturating_sub(within)),
        };
        let next = self.ring().first_after(since);
        let until = Instant::now() + limits::EVENTS_STREAM_LIFETIME;
        let state = (self.ring.clone(), self.bell.subscribe(), next);
        futures_util::stream::unfold(state, move |(ring, mut bell, next)| async move {
            loop {
                bell.mark_unchanged();
                let found = lock(&ring).at(next);
                if let Some((number, event)) = found {
                    return Some((event, (ring, bell, number + 1)));
                }
                timeout_at(until, bell.changed()).await.ok()?.ok()?;
            }
        })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        lock(&self.ring)
    }
}

fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ring {
    fn push(&mut self, news: Vec<ClusterEvent>) -> u64 {
        self.events.extend(news);
        let surplus = self.events.len().saturating_sub(limits::EVENTS);
        self.events.drain(..surplus);
        self.first += surplus as u64;
        self.first + self.events.len() as u64
    }

    fn first_after(&self, at_ms: u64) -> u64 {
        let older = self.events.partition_point(|event| event.at_ms <= at_ms);
        self.first + older as u64
    }

    /// The event of this number, or the first that is remembered.
    fn at(&self, number: u64) -> Option<(u64, ClusterEvent)> {
        let number = number.max(self.first);
        let place = usize::try_from(number - self.first).ok()?;
        self.events.get(place).map(|event| (number, event.clone()))
    }
}

impl Picture {
    fn of(view: &View, sights: &[Sight], refused: &[NodeId]) -> Picture {
        let topics = view.catalog.topics.values();
        let partitions = topics.flat_map(|topic| &topic.partitions);
        let groups = partitions.map(|partition| {
            let replicas = partition.replicas.iter().copied();
            let group = Group {
                leader: view.leader(partition.group),
                lagging: replicas
                    .filter(|node| !view.is_in_sync(partition.group, *node))
                    .collect(),
            };
            (partition.group, group)
        });
        let meta = Group {
            leader: view.leader(GroupUid::META),
            lagging: Vec::new(),
        };
        let silent = sights.iter().filter(|sight| !sight.is_alive);
        Picture {
            catalog: view.catalog.clone(),
            groups: groups.chain([(GroupUid::META, meta)]).collect(),
            silent: silent.map(|sight| sight.node).collect(),
            refused: refused.iter().copied().collect(),
        }
    }
}

fn differences(before: &Picture, after: &Picture) -> Vec<ClusterEvent> {
    // A node that learns of its cluster, or of it again after a start, sees nothing happen.
    if before.catalog.cluster_id != after.catalog.cluster_id {
        return Vec::new();
    }
    let mut news = about_nodes(before, after);
    if before.catalog.version != after.catalog.version {
        news.extend(about_catalog(&before.catalog, &after.catalog));
    }
    let changed = after.groups.iter().filter_map(|(uid, group)| {
        let known = before.groups.get(uid)?;
        (known != group).then_some((uid, known, group))
    });
    let mut changed = changed.peekable();
    if changed.peek().is_some() {
        let names = names::all(&after.catalog);
        for (uid, known, group) in changed {
            if let Some(named) = names.get(uid) {
                news.extend(about_group(&named.name, known, group));
            }
        }
    }
    news
}

fn about_nodes(before: &Picture, after: &Picture) -> Vec<ClusterEvent> {
    let event = |kind: &str, node: &NodeId, what: &str| ClusterEvent {
        node_id: Some(node.0),
        ..event(kind, format!("node {node} {what}"))
    };
    let (old, new) = (&before.catalog.nodes, &after.catalog.nodes);
    let joined = new.keys().filter(|node| !old.contains_key(*node));
    let left = old.keys().filter(|node| !new.contains_key(*node));
    let silent = after.silent.difference(&before.silent);
    let back = before.silent.difference(&after.silent);
    let (was, is) = (&before.catalog.drained, &after.catalog.drained);
    let drained = is.iter().filter(|node| !was.contains(*node));
    let undrained = was.iter().filter(|node| !is.contains(*node));
    let drained = drained.map(|node| event("NODE_DRAINED", node, "gets no replicas any more"));
    let undrained = undrained
        .filter(|node| new.contains_key(*node))
        .map(|node| event("NODE_UNDRAINED", node, "may get replicas again"));
    let joined = joined.map(|node| event("NODE_JOINED", node, "joined the cluster"));
    let left = left.map(|node| event("NODE_LEFT", node, "left the cluster"));
    let silent = silent.map(|node| event("NODE_SILENT", node, "does not answer"));
    let back = back.map(|node| event("NODE_BACK", node, "answers again"));
    let opened = after.refused.difference(&before.refused);
    let closed = before.refused.difference(&after.refused);
    let opened = opened.map(|node| event("BREAKER_OPENED", node, "is sent nothing any more"));
    let closed = closed.map(|node| event("BREAKER_CLOSED", node, "is sent messages again"));
    let members = joined.chain(left).chain(drained).chain(undrained);
    let signs = silent.chain(back).chain(opened).chain(closed);
    members.chain(signs).collect()
}

fn about_catalog(before: &Catalog, after: &Catalog) -> Vec<ClusterEvent> {
    let mut news = about_moves(before, after);
    for topic in before.topics.values() {
        if after.topic_by_id(topic.id).is_none() {
            news.push(event(
                "TOPIC_DELETED",
                format!("topic {} is gone", topic.name),
            ));
        }
    }
    for topic in after.topics.values() {
        let Some(known) = before.topic_by_id(topic.id) else {
            let count = topic.partitions.len();
            let message = format!("topic {} is there, with {count} partitions", topic.name);
            news.push(event("TOPIC_CREATED", message));
            continue;
        };
        if Arc::ptr_eq(known, topic) {
            continue;
        }
        if known.configs != topic.configs {
            news.push(event("CONFIG_CHANGED", about_configs(known, topic)));
        }
        let pairs = known.partitions.iter().zip(&topic.partitions);
        for (number, (old, new)) in pairs.enumerate() {
            let group = format!("{}/{number}", topic.name);
            let (from, to) = (listed(new.way_back()), listed(&new.replicas));
            let told = match (old.moved_at == new.moved_at, new.is_moving()) {
                (false, _) => ("MOVE_BEGUN", format!("{group} moves from {from} to {to}")),
                (true, false) if old.is_moving() => {
                    ("MOVE_DONE", format!("{group} has moved to {to}"))
                }
                _ => continue,
            };
            news.push(ClusterEvent {
                group: Some(group),
                ..event(told.0, told.1)
            });
        }
    }
    news
}

fn about_configs(before: &Topic, after: &Topic) -> String {
    let names: BTreeSet<&Arc<str>> = before.configs.keys().chain(after.configs.keys()).collect();
    let changed = names.into_iter().filter_map(|name| {
        let (old, new) = (before.configs.get(name), after.configs.get(name));
        (old != new).then(|| match new {
            Some(value) => format!("{name}={value}"),
            None => format!("{name} has its default again"),
        })
    });
    let changed: Vec<String> = changed.collect();
    format!("topic {}: {}", after.name, changed.join(", "))
}

fn about_moves(before: &Catalog, after: &Catalog) -> Vec<ClusterEvent> {
    let mut news = Vec::new();
    if before.throttle != after.throttle {
        let limit = match after.throttle {
            Some(rate) => format!("{rate} bytes in a second from each node"),
            None => "no limit".to_owned(),
        };
        news.push(event(
            "MOVES_THROTTLED",
            format!("moves are throttled: {limit}"),
        ));
    }
    let (was, is) = (&before.paused, &after.paused);
    for id in is.iter().filter(|id| !was.contains(*id)) {
        news.push(event(
            "MOVES_PAUSED",
            format!("operation {id} stands still"),
        ));
    }
    let goes_on = |id: &&u64| {
        let mut moving = after.moving();
        !is.contains(*id) && moving.any(|(_, _, partition)| partition.moved_at == **id)
    };
    for id in was.iter().filter(goes_on) {
        news.push(event("MOVES_RESUMED", format!("operation {id} goes on")));
    }
    news
}

fn about_group(name: &str, before: &Group, after: &Group) -> Vec<ClusterEvent> {
    let about = |kind: &str, node: Option<NodeId>, message: String| ClusterEvent {
        group: Some(name.to_owned()),
        node_id: node.map(|node| node.0),
        term: u64::try_from(after.leader.epoch).ok(),
        ..event(kind, message)
    };
    let mut news = Vec::new();
    let epoch = after.leader.epoch;
    match (before.leader.node, after.leader.node) {
        (old, Some(new)) if before.leader != after.leader => {
            let was = old.map_or_else(|| "nobody".to_owned(), |old| format!("node {old}"));
            let message = format!("{name}: node {new} leads in term {epoch}, {was} did before");
            news.push(about("LEADER_CHANGED", Some(new), message));
        }
        (Some(old), None) => {
            let message = format!("{name}: nobody leads, node {old} did before");
            news.push(about("LEADER_LOST", Some(old), message));
        }
        _ => {}
    }
    let fell = after
        .lagging
        .iter()
        .filter(|node| !before.lagging.contains(node));
    let rose = before
        .lagging
        .iter()
        .filter(|node| !after.lagging.contains(node));
    news.extend(fell.map(|node| {
        let message = format!("{name}: node {node} does not keep up");
        about("IN_SYNC_SHRUNK", Some(*node), message)
    }));
    news.extend(rose.map(|node| {
        let message = format!("{name}: node {node} keeps up again");
        about("IN_SYNC_GREW", Some(*node), message)
    }));
    news
}

fn event(kind: &str, message: String) -> ClusterEvent {
    ClusterEvent {
        kind: kind.to_owned(),
        message,
        ..ClusterEvent::default()
    }
}

#[cfg(test)]
mod tests {
    use chronik_core::ids::TopicId;
    use futures_util::StreamExt;

    use super::*;

    const GROUP: GroupUid = GroupUid::META;

    fn led(node: Option<u64>, epoch: i32, lagging: &[u64]) -> Picture {
        let group = Group {
            leader: Leader {
                node: node.map(NodeId),
                epoch,
            },
            lagging: lagging.iter().copied().map(NodeId).collect(),
        };
        Picture {
            groups: BTreeMap::from([(GROUP, group)]),
            ..Picture::default()
        }
    }

    fn kinds(before: &Picture, after: &Picture) -> Vec<String> {
        let news = differences(before, after).into_iter();
        news.map(|event| event.kind).collect()
    }

    #[test]
    fn every_difference_is_one_event() {
        let before = led(Some(1), 3, &[2]);
        assert_eq!(kinds(&before, &before), Vec::<String>::new());
        let mut after = led(None, 4, &[3]);
        after.silent.insert(NodeId(1));
        after.refused.insert(NodeId(1));
        let told = [
            "NODE_SILENT",
            "BREAKER_OPENED",
            "LEADER_LOST",
            "IN_SYNC_SHRUNK",
            "IN_SYNC_GREW",
        ];
        assert_eq!(kinds(&before, &after), told);
        assert_eq!(
            kinds(&after, &led(Some(2), 5, &[3])),
            ["NODE_BACK", "BREAKER_CLOSED", "LEADER_CHANGED"]
        );
        let again = differences(&before, &led(Some(1), 4, &[2]));
        assert_eq!(
            again[0].message,
            "meta: node 1 leads in term 4, node 1 did before"
        );
        assert_eq!((again[0].node_id, again[0].term), (Some(1), Some(4)));
    }

    #[test]
    fn changed_settings_are_named() {
        let topic = |configs: &[(&str, &str)]| Topic {
            id: TopicId([7; 16]),
            name: "orders".into(),
            internal: false,
            partitions: Vec::new(),
            configs: configs
                .iter()
                .map(|(name, value)| (Arc::from(*name), Arc::from(*value)))
                .collect(),
        };
        let before = topic(&[("retention.ms", "1000"), ("cleanup.policy", "delete")]);
        let after = topic(&[("cleanup.policy", "compact")]);
        let told = "topic orders: cleanup.policy=compact, retention.ms has its default again";
        assert_eq!(about_configs(&before, &after), told);
    }

    #[test]
    fn what_is_said_of_moves_is_told_while_they_are_under_way() {
        let before = Picture::default();
        let mut after = before.clone();
        after.catalog.version += 1;
        after.catalog.throttle = Some(1 << 20);
        after.catalog.paused.insert(7);
        assert_eq!(kinds(&before, &after), ["MOVES_THROTTLED", "MOVES_PAUSED"]);
        // Nothing of it is left that could go on.
        assert_eq!(kinds(&after, &before), ["MOVES_THROTTLED"]);
    }

    #[tokio::test]
    async fn who_comes_late_gets_what_is_remembered_and_then_what_comes() {
        let events = Events::default();
        let happens = |at_ms| ClusterEvent {
            at_ms,
            ..event("LEADER_LOST", String::new())
        };
        let next = events.ring().push(vec![happens(10), happens(20)]);
        events.bell.send_replace(next);
        let request = EventsRequest {
            within_ms: 0,
            after_ms: 10,
        };
        let mut stream = Box::pin(events.follow(&request));
        assert_eq!(stream.next().await.unwrap().at_ms, 20);
        let more = async {
            let next = events.ring().push(vec![happens(30)]);
            events.bell.send_replace(next);
        };
        let (event, ()) = tokio::join!(stream.next(), more);
        assert_eq!(event.unwrap().at_ms, 30);
    }

    #[test]
    fn the_oldest_events_are_forgotten() {
        let mut ring = Ring::default();
        let many = (0..limits::EVENTS as u64 + 3).map(|at_ms| ClusterEvent {
            at_ms,
            ..ClusterEvent::default()
        });
        let next = ring.push(many.collect());
        assert_eq!((ring.first, next), (3, limits::EVENTS as u64 + 3));
        assert_eq!(ring.at(0).unwrap().1.at_ms, 3);
        assert_eq!(ring.first_after(4), 5);
    }
}
