//! Scripts of news and keys, and the frames that come of them.

use std::time::Duration;

use chronik_admin::v1::{
    ClusterEvent, ClusterView, Disk, Health, Leader, MoveState, NodeRow, NodeStatus, Operation,
    OperationList, Progress, RaftGroup, RaftNode, RaftStatus, RaftView, Reason, TopicList,
    TopicSummary,
};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::data::{Data, GroupRow, News, PositionRow};
use super::overlay::{Action, Overlay};
use super::screens::Screen;
use super::snapshot;
use super::state::{About, Effect, Event, State};
use super::view::{self, Palette};
use crate::output::Tone;

const NOW_MS: u64 = 1_795_287_340_000;

fn node(id: u64, is_there: bool) -> NodeRow {
    let status = NodeStatus {
        node_id: id,
        ready: true,
        leaders: 2,
        followers: 4,
        uptime_ms: 3_700_000,
        resident_bytes: 64 << 20,
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

fn data(groups: u64, is_whole: bool) -> Data {
    let reasons = match is_whole {
        true => Vec::new(),
        false => vec![
            Reason {
                code: "NODE_UNREACHABLE".to_owned(),
                message: "node 3 does not answer".to_owned(),
                items: vec!["3".to_owned()],
                ..Reason::default()
            },
            Reason {
                code: "LEADERLESS".to_owned(),
                message: "1 of 4 groups are led by no node that answers".to_owned(),
                items: vec!["orders/1".to_owned()],
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
                    entries_total: 1000,
                    entries_done: 420,
                    waits_for: "node 4 does not answer".to_owned(),
                    ..MoveState::default()
                }],
                ..Operation::default()
            }],
            ..OperationList::default()
        },
    }
}

fn with(data: Data, screen: Screen) -> State {
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

fn press(state: &mut State, keys: &str) -> Vec<Effect> {
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

fn frame(state: &State, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::render(&mut buffer, area, state, Palette { is_coloured: true });
    buffer
}

fn text(state: &State) -> String {
    snapshot::text(&frame(state, 120, 40))
}

#[test]
fn the_overview_of_a_cluster_with_a_dead_node() {
    let state = with(data(4, false), Screen::Overview);
    let expected = "\
local | UNHEALTHY | nodes 2/3 | leaders 2/2/2 | meta on 1, term 5 | every 1.0s, 0ms old
! node 3 does not answer   ! 1 of 4 groups are led by no node that answers   (n: next)
[1 Overview] 2 Raft  3 Partitions  4 Topics  5 Groups  6 Moves  7 Events
Overview  3 rows
   NODE   STATE         LEADERS   FOLLOWERS   LEADERLESS   DISK     MEMORY   UPTIME  KAFKA
>     1  ready                2           4            0   41 %   64.0 MiB    1h01m  127.0.0.1:9091
      2  ready                2           4            0   41 %   64.0 MiB    1h01m  127.0.0.1:9092
      3  UNREACHABLE          -           -            -      -          -        -  127.0.0.1:9093
Recent events
  18:55:36.000  LEADER_CHANGED  orders/1: node 2 leads in term 7, node 3 did before
  18:55:35.000  NODE_SILENT     node 3 does not answer
";
    let shown = snapshot::text(&frame(&state, 100, 24));
    let shown: Vec<&str> = shown.lines().filter(|line| !line.is_empty()).collect();
    let expected: Vec<&str> = expected.lines().collect();
    let squeeze = |line: &&str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: Vec<String> = shown.iter().map(squeeze).collect();
    let expected: Vec<String> = expected.iter().map(squeeze).collect();
    assert_eq!(shown[..expected.len()], expected[..]);
}

#[test]
fn every_screen_has_room_at_every_size_and_marks_the_selected_row() {
    for is_whole in [true, false] {
        for screen in Screen::NUMBERED {
            for (width, height) in [(80, 24), (120, 40), (200, 60)] {
                let mut state = with(data(4, is_whole), screen);
                state.update(Event::News(News::Groups(vec![GroupRow {
                    group: "billing".to_owned(),
                    state: "Stable".to_owned(),
                    lag: 12,
                    partitions: vec![PositionRow::default()],
                    ..GroupRow::default()
                }])));
                let buffer = frame(&state, width, height);
                let text = snapshot::text(&buffer);
                assert!(text.starts_with("local | "), "{text}");
                assert!(text.contains(&format!("{}]", screen.title())), "{text}");
                assert!(text.lines().last().unwrap().contains("? help"), "{text}");
                // An arrow says what the colours say.
                let rows: Vec<u16> = (0..height)
                    .filter(|y| buffer[(0, *y)].symbol() == ">")
                    .collect();
                assert_eq!(rows.len(), 1, "{screen:?}: {text}");
                let style = buffer[(4, rows[0])].style();
                assert!(style.add_modifier.contains(Modifier::REVERSED), "{text}");
            }
        }
    }
    let small = snapshot::text(&frame(&with(data(4, true), Screen::Raft), 79, 24));
    assert!(small.starts_with("this screen is too small: 80x24 at least"));
}

#[test]
fn the_matrix_says_in_letters_what_every_node_is() {
    let state = with(data(2, false), Screen::Raft);
    let text = text(&state);
    let row = |name: &str| {
        let line = text.lines().find(|line| line.contains(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        row("orders/0"),
        "> orders/0 7 L f x 40 1m01s UNDER_REPLICATED"
    );
    assert_eq!(row("orders/1"), "orders/1 7 f f x - - LEADERLESS");
}

#[test]
fn rows_are_filtered_drilled_into_and_left_again() {
    let mut state = with(data(20, false), Screen::Partitions);
    press(&mut state, "/orders/1");
    assert!(matches!(state.overlay, Some(Overlay::Filter)));
    assert!(text(&state).contains("11 of 20 rows"));
    press(&mut state, "\n");
    assert_eq!(state.overlay, None);
    press(&mut state, "j\n");
    assert_eq!(state.page().title(), "Partition orders/10");
    assert!(text(&state).contains("UNREACHABLE"));
    press(&mut state, "j\n");
    assert_eq!(state.page().title(), "Node 2");
    press(&mut state, "\x1b\x1b");
    assert_eq!(state.selected_id().as_deref(), Some("orders/10"));
    press(&mut state, "\x1b");
    assert!(text(&state).contains("Partitions  20 rows"));
    press(&mut state, "z/leader=none\n");
    assert!(text(&state).contains("1 of 20 rows"));
}

#[test]
fn a_selection_follows_its_row_and_lost_nodes_stay() {
    let mut state = with(data(4, true), Screen::Overview);
    press(&mut state, "G");
    assert_eq!(state.selected_id().as_deref(), Some("node 3"));
    let mut without = data(4, true);
    without.at_ms += 12_000;
    without.cluster.nodes.remove(0);
    without.cluster.nodes.remove(1);
    state.update(Event::News(News::Polled(Box::new(without))));
    assert_eq!(state.selected_id().as_deref(), Some("node 3"));
    assert!(text(&state).contains("gone, last seen 12.0s ago"));
}

#[test]
fn what_is_frozen_stays_while_newer_things_are_collected() {
    let mut state = with(data(4, true), Screen::Raft);
    press(&mut state, "f");
    let mut newer = data(4, false);
    newer.at_ms += 3_000;
    state.update(Event::Tick(NOW_MS + 3_000));
    state.update(Event::News(News::Polled(Box::new(newer))));
    let frozen = text(&state);
    assert!(
        frozen.contains("[FROZEN 3.0s]") && !frozen.contains("LEADERLESS"),
        "{frozen}"
    );
    // Frozen rows are still filtered.
    press(&mut state, "/orders/3\n");
    assert!(text(&state).contains("1 of 4 rows"));
    press(&mut state, "\x1bf");
    assert!(text(&state).contains("LEADERLESS"));
    state.update(Event::News(News::Failed("nobody answers".to_owned())));
    let failed = text(&state);
    assert!(failed.contains("NO ANSWER: nobody answers") && failed.contains("orders/3"));
}

#[test]
fn an_action_is_planned_then_confirmed_then_done() {
    let mut state = with(data(4, true), Screen::Partitions);
    assert_eq!(press(&mut state, "A"), []);
    let shown = text(&state);
    assert!(
        shown.contains("chronikctl raft step-down --group orders/0"),
        "{shown}"
    );
    let step_down = Action::StepDown {
        group: "orders/0".to_owned(),
    };
    assert_eq!(press(&mut state, "\n"), [Effect::Plan(step_down.clone())]);
    let plan = vec![(Tone::Plain, "leader node 1 -> node 2".to_owned())];
    state.update(Event::Planned(step_down.clone(), Ok(plan.clone())));
    assert!(text(&state).contains("leader node 1 -> node 2"));
    assert_eq!(press(&mut state, "n\x1b"), []);
    assert_eq!(state.overlay, None);
    state.update(Event::Planned(step_down.clone(), Ok(plan.clone())));
    assert_eq!(press(&mut state, "y"), [Effect::Act(step_down.clone())]);
    assert_eq!(press(&mut state, "q"), []);
    assert!(text(&state).contains("q again"));
    state.update(Event::Done(Ok("orders/0: node 2 leads".to_owned())));
    assert!(text(&state).contains("orders/0: node 2 leads"));

    state.about.is_protected = true;
    state.update(Event::Planned(step_down.clone(), Ok(plan)));
    assert_eq!(press(&mut state, "y\nloca"), []);
    press(&mut state, "\x1b");
    let again = vec![];
    state.update(Event::Planned(step_down.clone(), Ok(again)));
    assert_eq!(
        press(&mut state, "local\n"),
        [Effect::Act(step_down.clone())]
    );
    state.update(Event::Planned(step_down, Err("TARGET_LAGGING".to_owned())));
    assert!(text(&state).contains("TARGET_LAGGING"));

    press(&mut state, "\x1b");
    state.about.is_read_only = true;
    press(&mut state, "A");
    assert!(text(&state).contains("read-only"));
}

#[test]
fn moves_say_how_far_how_fast_and_what_they_wait_for() {
    let mut state = with(data(4, true), Screen::Moves);
    for second in 1..=4 {
        let mut later = data(4, true);
        later.at_ms += second * 1000;
        later.operations.operations[0].moves[0].entries_done += second * 10;
        state.update(Event::News(News::Polled(Box::new(later))));
    }
    let shown = text(&state);
    assert!(shown.contains("####......  46 %"), "{shown}");
    assert!(
        shown.contains("operation 77: 0/1 partition, 460/1000 entries, 10/s, 54.0s left"),
        "{shown}"
    );
    let mut silent = data(4, true);
    silent.at_ms += 30_000;
    silent.operations.operations[0].moves[0].entries_done = 460;
    state.update(Event::News(News::Polled(Box::new(silent))));
    let shown = text(&state);
    assert!(
        shown.contains("STALLED for 26.0s: orders/2: node 4 does not answer"),
        "{shown}"
    );
}

#[test]
fn what_is_red_is_explained_and_problems_are_visited() {
    let mut state = with(data(4, false), Screen::Overview);
    press(&mut state, "X");
    assert!(text(&state).contains("NODE_UNREACHABLE: node 3 does not answer"));
    press(&mut state, "\x1bn");
    assert_eq!(state.selected_id().as_deref(), Some("node 3"));
    press(&mut state, "n");
    assert_eq!(state.selected_id().as_deref(), Some("orders/1"));
    press(&mut state, "X");
    let why = text(&state);
    assert!(
        why.contains("node 3 does not answer") && why.contains("node 1 is follower"),
        "{why}"
    );
    press(&mut state, "\x1by");
    assert!(text(&state).contains("\"group_id\": 1025"));
    press(&mut state, "\x1b?");
    assert!(text(&state).contains("freeze what is shown"));
}

#[test]
fn keys_change_how_often_the_cluster_is_asked_and_end_the_view() {
    let mut state = with(data(1, true), Screen::Raft);
    let interval = |ms| Effect::Interval(Duration::from_millis(ms));
    assert_eq!(
        press(&mut state, "+--"),
        [interval(500), interval(1000), interval(2000)]
    );
    assert_eq!(press(&mut state, "q"), [Effect::Quit]);
    let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    press(&mut state, "/");
    assert_eq!(state.update(Event::Key(control)), [Effect::Quit]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_key_and_no_news_ever_panics(
        steps in prop::collection::vec((any::<u8>(), 0u64..6, any::<bool>()), 1..60),
    ) {
        let mut state = with(data(3, true), Screen::Overview);
        const KEYS: &[u8] = b"1234567jkgG \n\x1b/SIzfnXyA+-?ya>9!q";
        for (byte, groups, is_whole) in steps {
            let key = char::from(KEYS[usize::from(byte) % KEYS.len()]);
            press(&mut state, &key.to_string());
            if byte > 200 {
                state.update(Event::News(News::Polled(Box::new(data(groups, is_whole)))));
            }
            frame(&state, 80, 24);
        }
    }
}
