//! Two clusters that are made up. One is whole; of the other, node 3 is dead, `orders/1` has no leader, and node 2 lags.
//!
//! Both have the topics `orders` (two partitions), `audit` (led by another node than its first) and `scratch`, and the
//! consumer group `billing`.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use chronik_admin::v1::{
    ClusterView, Disk, Health as Verdict, Lag, Leader, NodeRow, NodeStatus, Progress, RaftGroup,
    RaftNode, RaftStatus, RaftView, Reason, Sight,
};

use super::play::CLUSTER;

/// Which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Whole,
    Hurt,
}

/// Where one node is reached.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    pub(super) admin: String,
    pub(super) kafka: String,
    /// Somebody listens there who never answers.
    pub(super) slow: String,
}

/// A cluster, and what was changed in it.
pub(super) struct World {
    pub(super) health: Health,
    pub(super) doors: Vec<Doors>,
    changes: Mutex<Vec<String>>,
}

/// A moment in another year than this one.
pub(super) const THEN_MS: u64 = 1_764_331_200_000;
pub(super) const NODES: [u64; 3] = [1, 2, 3];
pub(super) const DEAD: u64 = 3;
const META: u64 = 1;

/// A partition, with its replicas in the order of preference.
pub(super) struct Partition {
    pub(super) topic: &'static str,
    pub(super) number: u32,
    pub(super) group: u64,
    pub(super) replicas: [u64; 3],
    pub(super) leader: u64,
    pub(super) start: i64,
    pub(super) end: i64,
}

pub(super) const PARTITIONS: [Partition; 4] = [
    partition("audit", 0, 1026, [3, 1, 2], 1, 0, 10),
    partition("orders", 0, 1024, [1, 2, 3], 1, 40, 100),
    partition("orders", 1, 1025, [2, 3, 1], 2, 0, 7),
    partition("scratch", 0, 1027, [1, 2, 3], 1, 0, 0),
];

const fn partition(
    topic: &'static str,
    number: u32,
    group: u64,
    replicas: [u64; 3],
    leader: u64,
    start: i64,
    end: i64,
) -> Partition {
    Partition {
        topic,
        number,
        group,
        replicas,
        leader,
        start,
        end,
    }
}

impl World {
    pub(super) fn new(health: Health, doors: Vec<Doors>) -> World {
        World {
            health,
            doors,
            changes: Mutex::default(),
        }
    }

    /// Everything is as it was at first.
    pub(super) fn reset(&self) {
        self.lock().clear();
    }

    /// Something was changed.
    pub(super) fn change(&self, method: &str) {
        self.lock().push(method.to_owned());
    }

    pub(super) fn changes(&self) -> Vec<String> {
        self.lock().clone()
    }

    pub(super) fn has_changed(&self, method: &str) -> bool {
        self.lock().iter().any(|change| change == method)
    }

    pub(super) fn addresses(&self, of: impl Fn(&Doors) -> &String) -> Vec<String> {
        let mut addresses: Vec<String> = self.doors.iter().map(|doors| of(doors).clone()).collect();
        if self.is_hurt() {
            addresses.truncate(2);
        }
        addresses
    }

    pub(super) fn is_hurt(&self) -> bool {
        self.health == Health::Hurt
    }

    pub(super) fn answers(&self, node: u64) -> bool {
        !self.is_hurt() || node != DEAD
    }

    pub(super) fn doors(&self, node: u64) -> &Doors {
        &self.doors[node as usize - 1]
    }

    /// Who leads, after what was changed.
    pub(super) fn leader(&self, partition: &Partition) -> Option<u64> {
        let is_moved = self.has_changed("Raft.StepDown") || self.has_changed("Raft.Transfer");
        match (partition.topic, partition.number) {
            ("orders", 1) if self.is_hurt() => None,
            ("orders", 0) if is_moved => Some(2),
            ("audit", 0) if self.has_changed("ElectLeaders") => Some(3),
            _ => Some(partition.leader),
        }
    }

    fn term(&self, partition: &Partition) -> u64 {
        match self.leader(partition) == Some(partition.leader) {
            true => 7,
            false => 8,
        }
    }

    pub(super) fn status(&self, node: u64) -> NodeStatus {
        let doors = self.doors(node);
        let leads = PARTITIONS.iter().filter(|it| self.leader(it) == Some(node));
        let leaders = leads.count() as u64 + u64::from(node == 2);
        let sees = NODES.into_iter().filter(|other| *other != node);
        let sees = sees.map(|other| Sight {
            node_id: other,
            alive: self.answers(other),
            since_ms: Some(12_300),
        });
        NodeStatus {
            node_id: node,
            incarnation: 1,
            version: "0.1.0".to_owned(),
            cluster_id: CLUSTER.to_owned(),
            catalog_version: 30,
            ready: true,
            uptime_ms: 65_000,
            kafka_address: doors.kafka.clone(),
            peer_address: format!("10.0.0.{node}:9192"),
            admin_address: doors.admin.clone(),
            leaders,
            followers: 5 - leaders,
            leaderless: u64::from(self.is_hurt()),
            disk: Some(Disk {
                path: format!("/data/{node}"),
                total_bytes: 10 << 30,
                available_bytes: 7 << 30,
                used_percent: 30,
            }),
            resident_bytes: 20 << 20,
            log_level: "info".to_owned(),
            sees: sees.collect(),
            now_ms: THEN_MS,
            produced_records: 117,
            produced_bytes: 11_700,
            fetched_bytes: 5_000,
            ..NodeStatus::default()
        }
    }

    fn row(&self, node: u64) -> NodeRow {
        let row = NodeRow {
            node_id: node,
            kafka_address: self.doors(node).kafka.clone(),
            peer_address: format!("10.0.0.{node}:9192"),
            drained: node == 2 && self.has_changed("drained 2"),
            ..NodeRow::default()
        };
        match self.answers(node) {
            true => NodeRow {
                reachable: true,
                status: Some(self.status(node)),
                ..row
            },
            false => NodeRow {
                error: Some("it is not connected".to_owned()),
                silent_ms: Some(12_300),
                ..row
            },
        }
    }

    /// Who belongs to it.
    pub(super) fn members(&self) -> Vec<u64> {
        let is_gone = |node: &u64| *node == 3 && self.has_changed("Placement.RemoveNode");
        NODES.into_iter().filter(|node| !is_gone(node)).collect()
    }

    pub(super) fn view(&self) -> ClusterView {
        let nodes = self.members().into_iter().map(|node| self.row(node));
        let worst_lag = self.is_hurt().then(|| Lag {
            group: "orders/0".to_owned(),
            node_id: 2,
            entries: 10,
            ms: 7_000,
        });
        ClusterView {
            cluster_id: CLUSTER.to_owned(),
            asked_node: 1,
            catalog_version: 30,
            metadata_leader: Some(Leader {
                node_id: Some(2),
                term: 5,
            }),
            nodes: nodes.collect(),
            topics: 3,
            partitions: 4,
            health: Some(self.verdict()),
            worst_lag,
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        let reason = |code: &str, count, message: &str, hint: &str, items: &[&str]| Reason {
            code: code.to_owned(),
            count,
            message: message.to_owned(),
            hint: hint.to_owned(),
            items: items.iter().map(ToString::to_string).collect(),
        };
        let reasons = match self.health {
            Health::Whole => Vec::new(),
            Health::Hurt => vec![
                reason(
                    "NODE_UNREACHABLE",
                    1,
                    "node 3 does not answer",
                    "look at the process and the log of node 3",
                    &["3"],
                ),
                reason(
                    "LEADERLESS",
                    1,
                    "1 of 5 groups are led by no node that answers, so nothing can be written to them",
                    "chronikctl raft status",
                    &["orders/1"],
                ),
            ],
        };
        Verdict {
            healthy: reasons.is_empty(),
            nodes_expected: 3,
            nodes_reachable: NODES.into_iter().filter(|node| self.answers(*node)).count() as u32,
            groups: 5,
            reasons,
            cluster_id: CLUSTER.to_owned(),
        }
    }

    /// Every group as all its nodes see it.
    pub(super) fn groups(&self) -> Vec<RaftGroup> {
        let meta = Partition {
            topic: "meta",
            number: 0,
            group: META,
            replicas: [1, 2, 3],
            leader: 2,
            start: 0,
            end: 30,
        };
        let mut groups = vec![RaftGroup {
            name: "meta".to_owned(),
            ..self.group(&meta, 5)
        }];
        let partitions = PARTITIONS.iter().filter(|it| !self.is_gone(it.topic));
        groups.extend(partitions.map(|it| self.group(it, self.term(it))));
        groups.sort_by_key(|group| group.group_id);
        groups
    }

    pub(super) fn is_gone(&self, topic: &str) -> bool {
        topic == "scratch" && self.has_changed("DeleteTopics")
    }

    /// Who shall vote in a partition, after what was changed.
    pub(super) fn voters(&self, partition: &Partition) -> Vec<u64> {
        let mut voters = partition.replicas.to_vec();
        if partition.topic == "orders" && self.has_changed("remove 3") {
            voters.retain(|voter| *voter != 3);
        }
        voters
    }

    fn group(&self, partition: &Partition, term: u64) -> RaftGroup {
        let leader = self.leader(partition);
        let voters = self.voters(partition);
        let lags = |node: u64| self.is_hurt() && partition.group == 1024 && node == 2;
        let last = partition.end.unsigned_abs();
        let progress = |node: u64| {
            let lag_entries = if lags(node) { 10 } else { 0 };
            Progress {
                node_id: node,
                incarnation: 1,
                matched: last - lag_entries,
                lag_entries,
                lag_ms: if lags(node) { 7_000 } else { 0 },
                active: self.answers(node),
                in_sync: self.answers(node) && !lags(node),
            }
        };
        let view = |node: u64| {
            if !self.answers(node) {
                return RaftView {
                    node_id: node,
                    role: "unknown".to_owned(),
                    ..RaftView::default()
                };
            }
            let role = match (leader, voters.contains(&node)) {
                (_, false) => "absent",
                (Some(leader), _) if leader == node => "leader",
                (None, _) if node == 1 => "candidate",
                _ => "follower",
            };
            let progress = match role {
                "leader" => voters.iter().map(|voter| progress(*voter)).collect(),
                _ => Vec::new(),
            };
            RaftView {
                node_id: node,
                reachable: true,
                role: role.to_owned(),
                term,
                leader,
                commit: last,
                applied: last,
                persisted: last,
                first: partition.start.unsigned_abs() + 1,
                last,
                since_ms: 1_500,
                voters: voters.clone(),
                progress,
                ..RaftView::default()
            }
        };
        RaftGroup {
            group_id: partition.group,
            name: format!("{}/{}", partition.topic, partition.number),
            problems: self.problems(partition, leader),
            leader,
            term,
            views: partition.replicas.iter().map(|node| view(*node)).collect(),
        }
    }

    fn problems(&self, partition: &Partition, leader: Option<u64>) -> Vec<String> {
        let problems: &[&str] = match (self.health, leader) {
            (Health::Whole, _) => &[],
            (Health::Hurt, None) => &["LEADERLESS"],
            (Health::Hurt, Some(_)) if partition.group == 1024 => &["UNDER_REPLICATED", "LAGGING"],
            (Health::Hurt, Some(_)) => &["UNDER_REPLICATED"],
        };
        problems.iter().map(ToString::to_string).collect()
    }

    pub(super) fn raft_status(&self) -> RaftStatus {
        let groups = self.groups();
        let healthy = groups.iter().filter(|group| group.problems.is_empty());
        let node = |node: u64| {
            let status = self.status(node);
            let answers = self.answers(node);
            RaftNode {
                node_id: node,
                reachable: answers,
                error: (!answers).then(|| "it is not connected".to_owned()),
                leaders: if answers { status.leaders } else { 0 },
                followers: if answers { status.followers } else { 0 },
                leaderless: if answers { status.leaderless } else { 0 },
            }
        };
        RaftStatus {
            cluster_id: CLUSTER.to_owned(),
            asked_node: 1,
            total_groups: groups.len() as u64,
            healthy_groups: healthy.count() as u64,
            nodes: NODES.into_iter().map(node).collect(),
            groups,
        }
    }

    /// Topics that there are, by their names.
    pub(super) fn topics(&self) -> BTreeSet<&'static str> {
        let names = PARTITIONS.iter().map(|partition| partition.topic);
        names.filter(|topic| !self.is_gone(topic)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
