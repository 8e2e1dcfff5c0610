//! Scripts of news and keys, and the frames that come of them.

mod bench;
mod fixture;
mod frames;

use std::time::Duration;

use chronik_admin::v1::{MoveState, OperationList};
use proptest::prelude::*;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Modifier;

use super::action::Action;
use super::data::{GroupRow, News, PositionRow};
use super::overlay::Overlay;
use super::replay::Steer;
use super::screens::Screen;
use super::snapshot;
use super::state::{Effect, Event};
use crate::cli::Rate;
use crate::output::Tone;
use fixture::{NOW_MS, copied, data, frame, press, text, with};

#[test]
fn the_overview_of_a_cluster_with_a_dead_node() {
    let state = with(data(4, false), Screen::Overview);
    let expected = "\
local | UNHEALTHY | nodes 2/3 | leaders 2/2/2 | meta on 1, term 5 | every 1.0s, 0ms old
! node 3 does not answer   ! 1 of 4 groups are led by no node that answers   (n: next)
[1 Overview] 2 Raft  3 Partitions  4 Topics  5 Groups  6 Moves  7 Events  8 Metrics
Overview  3 rows
   NODE   STATE         LEADS   FOLLOWS   LEADERLESS   DISK     MEMORY   UPTIME  KAFKA
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
    assert_eq!(
        press(&mut state, "y"),
        [Effect::Act(step_down.clone(), plan.clone())]
    );
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
        [Effect::Act(step_down.clone(), vec![])]
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
        later.operations.operations[0].moves[0] = MoveState {
            group: "orders/2".to_owned(),
            ..copied(420 + second * 10)
        };
        state.update(Event::News(News::Polled(Box::new(later))));
    }
    let shown = text(&state);
    assert!(shown.contains("####......  46 %"), "{shown}");
    assert!(
        shown.contains("operation 77: 0/1 partition, 460 MiB of 1000 MiB, 10.0 MiB/s, 54.0s left"),
        "{shown}"
    );
    let mut silent = data(4, true);
    silent.at_ms += 30_000;
    silent.operations.operations[0].moves[0].entries_done = 460;
    silent.operations.operations[0].moves[0].bytes_done = 460 << 20;
    state.update(Event::News(News::Polled(Box::new(silent))));
    let shown = text(&state);
    assert!(
        shown.contains("STALLED for 26.0s: orders/2: node 4 does not answer"),
        "{shown}"
    );
}

#[test]
fn moves_are_throttled_paused_and_brought_back_on_the_way_of_the_command() {
    let mut state = with(data(4, true), Screen::Moves);
    assert_eq!(press(&mut state, "T5MiB"), []);
    assert!(text(&state).contains("5MiB_"), "{}", text(&state));
    // What is typed makes no sense at first.
    assert_eq!(press(&mut state, "/h\n"), []);
    assert!(text(&state).contains("is no rate; try 50MiB/s"));
    let backspace = KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE);
    state.update(Event::Key(backspace));
    let rate = Rate(Some(5 << 20));
    let throttle = Action::Throttle { rate };
    assert_eq!(press(&mut state, "s\n"), [Effect::Plan(throttle.clone())]);
    let plan = vec![(
        Tone::Plain,
        "no limit -> 5.0 MiB/s from each node".to_owned(),
    )];
    state.update(Event::Planned(throttle.clone(), Ok(plan.clone())));
    let shown = text(&state);
    assert!(
        shown.contains("chronikctl rebalance throttle 5MiB/s"),
        "{shown}"
    );
    assert_eq!(press(&mut state, "y"), [Effect::Act(throttle, plan)]);
    state.update(Event::Done(Ok("moves are throttled".to_owned())));

    let operation = 77;
    assert_eq!(
        press(&mut state, "p"),
        [Effect::Plan(Action::Pause { operation })]
    );
    press(&mut state, "\x1b");
    let mut paused = data(4, true);
    paused.operations.operations[0].paused = true;
    paused.operations.throttle_bytes_per_second = Some(5 << 20);
    state.update(Event::News(News::Polled(Box::new(paused))));
    let shown = text(&state);
    assert!(shown.contains("420 MiB of 1000 MiB, paused"), "{shown}");
    assert!(
        shown.contains("throttle: 5.0 MiB/s from each node"),
        "{shown}"
    );
    assert_eq!(
        press(&mut state, "p"),
        [Effect::Plan(Action::Resume { operation })]
    );
    press(&mut state, "\x1b");
    assert_eq!(
        press(&mut state, "C"),
        [Effect::Plan(Action::Cancel { operation })]
    );
    press(&mut state, "\x1bAG");
    let shown = text(&state);
    assert!(
        shown.contains("operation 77: bring everything back"),
        "{shown}"
    );
    press(&mut state, "\x1b");

    // Elsewhere, without moves, and where nothing may be changed, they do nothing.
    press(&mut state, "1C");
    assert!(text(&state).contains("this key is for the screen of moves"));
    state.about.is_read_only = true;
    press(&mut state, "6T");
    assert!(text(&state).contains("this view is read-only"));
    state.about.is_read_only = false;
    let mut still = data(4, true);
    still.operations = OperationList::default();
    state.update(Event::News(News::Polled(Box::new(still))));
    assert_eq!(press(&mut state, "p"), []);
    assert!(text(&state).contains("nothing is under way that could be paused"));
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
    assert!(text(&state).contains("problem 2 of 2: LEADERLESS orders/1"));
    press(&mut state, "N");
    assert_eq!(state.selected_id().as_deref(), Some("node 3"));
    press(&mut state, "nn");
    assert_eq!(state.selected_id().as_deref(), Some("node 3"));
    press(&mut state, "n");
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

#[test]
fn the_palette_goes_anywhere_and_offers_what_can_be_done() {
    let mut state = with(data(20, false), Screen::Overview);
    press(&mut state, ":");
    assert!(text(&state).contains("> screen Overview"));
    press(&mut state, "part 17\n");
    assert_eq!(state.page().title(), "Partition orders/17");
    press(&mut state, ":problem leaderless\n");
    assert_eq!(state.selected_id().as_deref(), Some("orders/1"));
    press(&mut state, ":topic orders\n");
    assert_eq!(state.page().title(), "Partitions of topic orders");
    press(&mut state, ":freeze\n");
    assert!(text(&state).contains("FROZEN"));
    press(&mut state, ":no such thing");
    assert!(text(&state).contains("nothing has such a name"));
    assert_eq!(press(&mut state, "\n\x1b"), []);
    assert_eq!(
        press(&mut state, ":rebal\n"),
        [Effect::Plan(Action::Rebalance)]
    );
    press(&mut state, "\x1b");
    state.about.is_read_only = true;
    press(&mut state, ":rebal");
    assert!(text(&state).contains("nothing has such a name"));
}

#[test]
fn nodes_are_drained_and_filled_on_the_way_of_the_command() {
    let mut state = with(data(4, true), Screen::Overview);
    press(&mut state, "jA");
    let shown = text(&state);
    assert!(
        shown.contains("drain node 2") && shown.contains("chronikctl node drain 2 --no-wait"),
        "{shown}"
    );
    assert_eq!(
        press(&mut state, "\n"),
        [Effect::Plan(Action::Drain { node: 2 })]
    );
    press(&mut state, "\x1b\nAj");
    assert_eq!(
        press(&mut state, "\n"),
        [Effect::Plan(Action::Undrain { node: 2 })]
    );
    press(&mut state, "\x1b\nAjj");
    assert_eq!(
        press(&mut state, "\n"),
        [Effect::Plan(Action::SnapshotNode { node: 2 })]
    );
    // A replica's row is about its node too.
    press(&mut state, "\x1b2j\nA");
    let shown = text(&state);
    assert!(
        shown.contains("step-down") && shown.contains("drain node 1"),
        "{shown}"
    );
}

#[test]
fn a_recording_is_steered_and_begins_again_from_elsewhere() {
    let mut state = with(data(4, true), Screen::Raft);
    assert_eq!(press(&mut state, "p,>E"), []);
    state.about.is_replay = true;
    let pace = |speed, is_paused| Effect::Steer(Steer::Pace { speed, is_paused });
    assert_eq!(
        press(&mut state, "+p-p"),
        [
            pace(2.0, false),
            pace(2.0, true),
            pace(1.0, true),
            pace(1.0, false)
        ]
    );
    let by_a_minute = Effect::Steer(Steer::By(-60_000));
    assert_eq!(
        press(&mut state, "<,."),
        [
            by_a_minute,
            pace(1.0, true),
            Effect::Steer(Steer::Back),
            Effect::Steer(Steer::Step)
        ]
    );
    assert!(text(&state).contains("[REPLAY 18:55:40 x1, PAUSED]"));
    press(&mut state, "jf");
    state.update(Event::Rewound);
    let mut earlier = data(4, false);
    earlier.at_ms -= 600_000;
    state.update(Event::News(News::Polled(Box::new(earlier))));
    let shown = text(&state);
    assert!(
        shown.contains("[REPLAY 18:45:40") && shown.contains("LEADERLESS"),
        "{shown}"
    );
    assert_eq!(state.events().count(), 0);
    assert_eq!(state.selected_id().as_deref(), Some("orders/1"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_key_and_no_news_ever_panics(
        steps in prop::collection::vec((any::<u8>(), 0u64..6, any::<bool>()), 1..60),
    ) {
        let mut state = with(data(3, true), Screen::Overview);
        const KEYS: &[u8] = b"12345678jkgG \n\x1b/SIzfnNXyA+-?ya>9!q:p,.ETC";
        for (byte, groups, is_whole) in steps {
            let key = char::from(KEYS[usize::from(byte) % KEYS.len()]);
            press(&mut state, &key.to_string());
            if byte == 200 {
                state.update(Event::Rewound);
            }
            if byte > 200 {
                state.update(Event::News(News::Polled(Box::new(data(groups, is_whole)))));
            }
            frame(&state, 80, 24);
        }
    }
}
