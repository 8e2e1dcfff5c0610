//! Clusters as they are in tests: whole, with a dead node, in the middle of a rebalance.

use std::time::Duration;

use chronik_admin::v1::{
    ClusterEvent, ClusterView, Disk, Health, Leader, MoveState, NodeRow, NodeStatus, Operation,
    OperationList, Progress, RaftGroup, RaftNode, RaftStatus, RaftView, Reason, Sender, TopicList,
    TopicSummary,
};
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use crate::tui::data::{Data, GroupRow, News, PositionRow};
use crate::tui::screens::Screen;
use crate::tui::snapshot;
use crate::tui::state::{About, Effect, Event, State};
use crate::tui::view::{self, Palette};

pub(super) const NOW_MS: u64 = 1_795_287_340_000;

fn node(id: u64, is_there: bool) -> NodeRow {
    let status = NodeStatus {
        node_id: id,
        ready: true,
        leaders: 2,
        followers: 4,
        uptime_ms: 3_700_000,
        resident_bytes: 64 << 20,
        produced_records: 9_000_000,
        produced_bytes: 900 << 20,
        fetched_bytes: 1_800 << 20,
        kafka_address: format!("127.0.0.1:909{id}"),
        disk: Some(Disk {
            used_percent: 41,
            available_bytes: 90 << 30,
            path: "/var/lib/chronik".to_owned(),
            ..Disk::default()
        }),
        ..NodeStatus::default()
    };
    NodeRow {
        node_id: id,
        reachable: is_there,
        kafka_address: format!("127.0.0.1:909{id}"),
        error: (!is_there).then(|| "it is not connected".to_owned()),
        status: is_there.then_some(status),
        ..NodeRow::default()
    }
}

/// A group on nodes 1 to 3, of which the last may be away.
fn group(number: u64, leader: Option<u64>, is_whole: bool) -> RaftGroup {
    let view = |id: u64| {
        let reachable = is_whole || id != 3;
        let leads = leader == Some(id);
        let progress = (1..=3).map(|peer| Progress {
            node_id: peer,
            lag_entries: if is_whole || peer != 3 { 0 } else { 40 },
            lag_ms: if is_whole || peer != 3 { 0 } else { 9_000 },
            in_sync: is_whole || peer != 3,
            active: is_whole || peer != 3,
            ..Progress::default()
        });
        let role = match (reachable, leads) {
            (false, _) => "unknown",
            (true, true) => "leader",
            (true, false) => "follower",
        };
        RaftView {
            node_id: id,
            reachable,
            role: role.to_owned(),
            term: 7,
            leader: leader.filter(|_| reachable),
            commit: 1_000 + number,
            first: 1,
            last: 1_000 + number,
            since_ms: 61_000,
            voters: vec![1, 2, 3],
            progress: if leads {
                progress.collect()
            } else {
                Vec::new()
            },
            ..RaftView::default()
        }
    };
    let mut problems = Vec::new();
    if leader.is_none() {
        problems.push("LEADERLESS".to_owned());
    } else if !is_whole {
        problems.push("UNDER_REPLICATED".to_owned());
    }
    RaftGroup {
        group_id: 1024 + number,
        name: format!("orders/{number}"),
        problems,
        leader,
        term: 7,
        views: (1..=3).map(view).collect(),
    }
}

pub(super) fn data(groups: u64, is_whole: bool) -> Data {
    let reasons = match is_whole {
        true => Vec::new(),
        false => vec![
            Reason {
                code: "NODE_UNREACHABLE".to_owned(),
                message: "node 3 does not answer".to_owned(),
                items: vec!["3".to_owned()],
                count: 1,
                ..Reason::default()
            },
            Reason {
                code: "LEADERLESS".to_owned(),
                message: "1 of 4 groups are led by no node that answers".to_owned(),
                items: vec!["orders/1".to_owned()],
                count: 1,
                ..Reason::default()
            },
        ],
    };
    let leader = |number: u64| match (is_whole, number) {
        (false, 1) => None,
        _ => Some(number % 2 + 1),
    };
    let status = |id: u64| RaftNode {
        node_id: id,
        reachable: is_whole || id != 3,
        leaders: 2,
        ..RaftNode::default()
    };
    Data {
        at_ms: NOW_MS,
        cluster: ClusterView {
            cluster_id: "c-1".to_owned(),
            metadata_leader: Some(Leader {
                node_id: Some(1),
                term: 5,
            }),
            nodes: vec![node(1, true), node(2, true), node(3, is_whole)],
            health: Some(Health {
                healthy: is_whole,
                reasons,
                ..Health::default()
            }),
            ..ClusterView::default()
        },
        raft: RaftStatus {
            total_groups: groups,
            nodes: (1..=3).map(status).collect(),
            groups: (0..groups)
                .map(|number| group(number, leader(number), is_whole))
                .collect(),
            ..RaftStatus::default()
        },
        topics: TopicList {
            topics: vec![TopicSummary {
                name: "orders".to_owned(),
                partitions: 4,
                replication_factor: 3,
                ..TopicSummary::default()
            }],
        },
        operations: OperationList {
            operations: vec![Operation {
                operation_id: 77,
                partitions: 1,
                moves: vec![MoveState {
                    group: "orders/2".to_owned(),
                    from: vec![1, 2, 3],
                    to: vec![4, 2, 3],
                    waits_for: "node 4 does not answer".to_owned(),
                    ..copied(420)
                }],
                ..Operation::default()
            }],
            ..OperationList::default()
        },
    }
}

/// So many of a thousand entries, of a MiB each.
pub(super) fn copied(entries_done: u64) -> MoveState {
    MoveState {
        entries_total: 1_000,
        entries_done,
        bytes_total: 1_000 << 20,
        bytes_done: entries_done << 20,
        ..MoveState::default()
    }
}

pub(super) fn with(data: Data, screen: Screen) -> State {
    let about = About {
        context: "local".to_owned(),
        ..About::default()
    };
    let mut state = State::new(about, screen, Duration::from_secs(1));
    state.update(Event::Tick(NOW_MS));
    state.update(Event::News(News::Polled(Box::new(data))));
    let happened = |at_ms: u64, kind: &str, group: Option<&str>, message: &str| ClusterEvent {
        at_ms,
        kind: kind.to_owned(),
        message: message.to_owned(),
        group: group.map(str::to_owned),
        ..ClusterEvent::default()
    };
    state.update(Event::News(News::Happened(vec![
        happened(
            NOW_MS - 5_000,
            "NODE_SILENT",
            None,
            "node 3 does not answer",
        ),
        happened(
            NOW_MS - 4_000,
            "LEADER_CHANGED",
            Some("orders/1"),
            "orders/1: node 2 leads in term 7, node 3 did before",
        ),
    ])));
    state
}

pub(super) fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let key = |letter: char| match letter {
        '\n' => KeyCode::Enter,
        '\x1b' => KeyCode::Esc,
        letter => KeyCode::Char(letter),
    };
    let events = keys
        .chars()
        .map(|letter| KeyEvent::new(key(letter), KeyModifiers::NONE));
    let effects = events.map(|key| state.update(Event::Key(key)));
    effects.collect::<Vec<_>>().concat()
}

pub(super) fn frame(state: &State, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::render(&mut buffer, area, state, Palette { is_coloured: true });
    buffer
}

pub(super) fn text(state: &State) -> String {
    snapshot::text(&frame(state, 120, 40))
}

/// What happens to a cluster in a frame that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    Healthy,
    DeadNode,
    Rebalance,
}

impl Weather {
    pub(super) const ALL: [Weather; 3] = [Weather::Healthy, Weather::DeadNode, Weather::Rebalance];

    pub(super) fn title(self) -> &'static str {
        match self {
            Weather::Healthy => "healthy",
            Weather::DeadNode => "a dead node",
            Weather::Rebalance => "during a rebalance",
        }
    }

    fn data(self) -> Data {
        let mut data = data(6, self != Weather::DeadNode);
        match self {
            Weather::Rebalance => join(&mut data),
            _ => data.operations = OperationList::default(),
        }
        data
    }
}

/// Node 4 came, and gets its share.
fn join(data: &mut Data) {
    let fresh = NodeStatus {
        leaders: 0,
        followers: 0,
        uptime_ms: 42_000,
        ..node(4, true).status.unwrap_or_default()
    };
    data.cluster.nodes.push(NodeRow {
        status: Some(fresh),
        ..node(4, true)
    });
    data.raft.nodes.push(RaftNode {
        node_id: 4,
        reachable: true,
        ..RaftNode::default()
    });
    for group in data.raft.groups.iter_mut().skip(2).step_by(3) {
        let leader = group.views.iter_mut().find(|view| view.role == "leader");
        leader.expect("a leader").progress.push(Progress {
            node_id: 4,
            lag_entries: 580,
            lag_ms: 61_000,
            active: true,
            ..Progress::default()
        });
        group.views.push(RaftView {
            node_id: 4,
            reachable: true,
            role: "learner".to_owned(),
            term: 7,
            leader: group.leader,
            commit: 420,
            first: 1,
            last: 420,
            since_ms: 3_000,
            ..RaftView::default()
        });
    }
    let one = |group: &str, entries_done: u64, waits_for: &str| MoveState {
        group: group.to_owned(),
        from: vec![1, 2, 3],
        to: vec![4, 2, 3],
        coming: vec![4],
        going: vec![1],
        waits_for: waits_for.to_owned(),
        ..copied(entries_done)
    };
    data.operations.operations[0] = Operation {
        operation_id: 77,
        partitions: 5,
        done: 3,
        moves: vec![
            one("orders/2", 420, "the throttle of node 2"),
            one("orders/5", 0, "its turn on node 2"),
        ],
        ..Operation::default()
    };
    data.operations.throttle_bytes_per_second = Some(1 << 20);
    data.operations.senders = vec![Sender {
        node_id: 2,
        bytes_per_second: (1 << 20) - 4_000,
    }];
}

/// A screen with a minute of history behind it, on the page that the screen needs.
pub(super) fn page(weather: Weather, screen: Screen) -> State {
    const LOOKS: u64 = 60;
    let newest = weather.data();
    // How fast moves go is seen from the oldest look on.
    let still = Data {
        operations: OperationList::default(),
        ..newest.clone()
    };
    let mut state = with(still, screen);
    for look in 1..=LOOKS {
        let mut data = newest.clone();
        data.at_ms = NOW_MS - (LOOKS - look) * 1_000;
        for row in &mut data.cluster.nodes {
            let status = row.status.as_mut();
            // A wave, which a sparkline shows.
            let waves: u64 = (1..=look).map(|past| (past % 20) * 50).sum();
            let records = look * 400 * row.node_id + waves;
            if let Some(status) = status {
                status.produced_records += records;
                status.produced_bytes += records * 100;
                status.fetched_bytes += records * 200;
                status.resident_bytes += look << 18;
            }
        }
        for view in data
            .raft
            .groups
            .iter_mut()
            .flat_map(|group| &mut group.views)
        {
            view.commit += look * 40;
        }
        for one in data
            .operations
            .operations
            .iter_mut()
            .flat_map(|one| &mut one.moves)
        {
            let done = copied((one.entries_done + look).saturating_sub(LOOKS));
            (one.entries_done, one.bytes_done) = (done.entries_done, done.bytes_done);
        }
        state.update(Event::Tick(data.at_ms));
        state.update(Event::News(News::Polled(Box::new(data))));
        state.update(Event::News(News::Groups(consumers(weather, look))));
    }
    let keys = match screen {
        Screen::Node => "1G\n",
        Screen::Group => "3jj\n",
        Screen::Consumer => "5\n",
        _ => "",
    };
    press(&mut state, keys);
    assert_eq!(state.page().screen, screen);
    state
}

/// One group that catches up, and one that stands still while a node is dead.
fn consumers(weather: Weather, look: u64) -> Vec<GroupRow> {
    let look = look.cast_signed();
    let group = |name: &str, committed: i64, lag: i64, members: u64| GroupRow {
        group: name.to_owned(),
        state: "Stable".to_owned(),
        members,
        coordinator: 2,
        lag,
        committed,
        partitions: (0..3)
            .map(|partition| PositionRow {
                partition: format!("orders/{partition}"),
                committed: committed / 3,
                end: Some(committed / 3 + lag / 3),
                lag: Some(lag / 3),
                below_start: weather == Weather::DeadNode && partition == 1,
            })
            .collect(),
    };
    let stands = weather == Weather::DeadNode;
    vec![
        group(
            "audit",
            if stands { 9_000 } else { 9_000 + look * 30 },
            if stands { 1_200 } else { 0 },
            1,
        ),
        group("billing", 50_000 + look * 200, 30_000 - look * 150, 3),
    ]
}
