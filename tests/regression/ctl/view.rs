//! The live view on a terminal of its own, which `tmux` lends and reads.

use std::process::{Command, Output};

use chronik_local::{foreign, wait};

use super::{CHANGE_BOUND, Three};

/// A terminal with the view on it; it goes away with the test.
struct Screen {
    socket: String,
}

impl Screen {
    fn open(three: &Three, arguments: &[&str]) -> Screen {
        let socket = three.dir.path().join("tmux").display().to_string();
        let screen = Screen { socket };
        let program = crate::support::chronikctl();
        let admin: Vec<String> = super::ALL.iter().map(|id| three.admin(*id)).collect();
        let admin = admin.join(",");
        let server = three.cluster.bootstrap();
        let home = format!("HOME={}", three.dir.path().display());
        let mut line = vec!["new-session", "-d", "-x", "120", "-y", "40", "env", &home];
        let program = program.display().to_string();
        line.extend([
            program.as_str(),
            "--admin",
            &admin,
            "--server",
            &server,
            "tui",
        ]);
        line.extend(arguments);
        foreign::require("tmux", "apt-get install -y tmux")
            .unwrap_or_else(|missing| panic!("{missing}"));
        let opened = screen.tmux(&line);
        assert!(opened.status.success(), "{opened:?}");
        screen
    }

    fn keys(&self, keys: &[&str]) {
        for key in keys {
            let sent = self.tmux(&["send-keys", key]);
            assert!(sent.status.success(), "{sent:?}");
        }
    }

    fn text(&self) -> String {
        let shown = self.tmux(&["capture-pane", "-p"]);
        String::from_utf8(shown.stdout).expect("text")
    }

    /// Waits until the screen shows what is wanted; returns the screen.
    fn await_text(&self, what: &'static str, is_there: impl Fn(&str) -> bool) -> String {
        let shown = wait::until(what, CHANGE_BOUND, || {
            let text = self.text();
            is_there(&text).then_some(text)
        });
        shown.unwrap_or_else(|late| panic!("{late}; the screen shows\n{}", self.text()))
    }

    /// Waits until the view has ended, and its terminal with it.
    fn await_end(&self) {
        let ended = || (!self.tmux(&["has-session"]).status.success()).then_some(());
        wait::until("the end of the view", CHANGE_BOUND, ended)
            .unwrap_or_else(|late| panic!("{late}"));
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.args(["-f", "/dev/null", "-S", &self.socket]);
        tmux.args(arguments).output().expect("tmux is installed")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        _ = self.tmux(&["kill-server"]);
    }
}

#[test]
fn a_person_filters_drills_watches_a_leader_die_and_moves_one() {
    let mut three = Three::with_topic("orders");
    let recording = three.dir.path().join("seen.jsonl");
    let recording = recording.to_str().unwrap().to_owned();
    let screen = Screen::open(&three, &["--record", &recording, "--interval", "250ms"]);
    screen.await_text("the overview", |text| text.contains("nodes 3/3"));

    screen.keys(&["3", "/", "orders", "Enter"]);
    screen.await_text("the filter", |text| text.contains("filter: orders"));
    screen.keys(&["Enter"]);
    let group = screen.await_text("the partition", |text| {
        text.contains("Partition orders/0") && text.contains("leader") && text.contains("follower")
    });
    let leader = leader_in(&group).expect("a row with the leader");

    three.cluster.node_mut(leader).kill().unwrap();
    screen.await_text("another leader and a dead row", |text| {
        let dead = format!(" {leader}  UNREACHABLE");
        text.contains(&dead) && leader_in(text).is_some_and(|now| now != leader)
    });
    screen.keys(&["f"]);
    screen.await_text("a frozen screen", |text| text.contains("FROZEN"));
    three.cluster.node_mut(leader).begin().unwrap();
    screen.keys(&["f"]);
    screen.await_text("a whole cluster", |text| {
        text.contains("nodes 3/3") && !text.contains("UNREACHABLE") && !text.contains("FROZEN")
    });

    // The plan is asked for as often as it takes the returned node to catch up.
    let moved = wait::until("a leader that stepped down", CHANGE_BOUND, || {
        screen.keys(&["A"]);
        screen.await_text("actions", |text| {
            text.contains("step-down --group orders/0")
        });
        screen.keys(&["Enter"]);
        let plan = screen.await_text("a plan", |text| {
            text.contains("y does it") || text.contains("Refused")
        });
        if plan.contains("Refused") {
            screen.keys(&["Escape"]);
            // A terminal takes a key that follows at once for a part of this one.
            screen.await_text("a closed plan", |text| !text.contains("Refused"));
            return None;
        }
        screen.keys(&["y"]);
        Some(())
    });
    moved.unwrap();
    screen.await_text("the new leader, and that it is new", |text| {
        let told = |now: usize| text.contains(&format!("node {now} leads in term"));
        leader_in(text).is_some_and(told)
    });
    let ended = screen.await_text("the end of the action", |text| {
        text.contains("leader node ") && text.contains(" -> node ")
    });
    let came = ended.split_once(" -> node ").unwrap().1;
    let mut came = came.split(|letter: char| !letter.is_ascii_digit());
    let came: usize = came.next().unwrap().parse().unwrap();
    screen.await_text("its leader in the row", |text| {
        leader_in(text) == Some(came)
    });
    // With three nodes for three replicas nobody can go: the command would say the same.
    screen.keys(&[":", "drain 1", "Enter"]);
    screen.await_text("a refusal", |text| {
        text.contains("Refused: drain node 1") && text.contains("NO_ROOM")
    });
    screen.keys(&["Escape"]);
    screen.await_text("a closed plan", |text| !text.contains("Refused"));
    screen.keys(&["8"]);
    screen.await_text("figures over time", |text| text.contains("groups led"));
    screen.keys(&["q"]);
    screen.await_end();
    replays(&three, &recording);

    let line = [
        "tui",
        "--snapshot",
        "--replay",
        &recording,
        "--view",
        "events",
    ];
    let told = three.run(&line);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.stdout.contains("LEADER_CHANGED") && told.stdout.contains("REPLAY"),
        "{told:?}"
    );
    let journal = three.data(&["journal", "-o", "json"]);
    assert!(journal.to_string().contains("step-down"), "{journal}");
    three.finish();
}

/// A recording that stands still, goes back look by look, and to its end.
fn replays(three: &Three, recording: &str) {
    let screen = Screen::open(three, &["--replay", recording, "--view", "raft"]);
    screen.await_text("the beginning", |text| text.contains("[REPLAY"));
    screen.keys(&["p", "E"]);
    let end = screen.await_text("the end", |text| {
        text.contains("PAUSED") && text.contains("the recording ends here")
    });
    let time = |text: &str| {
        let rest = text.split_once("[REPLAY ").expect("a mark").1;
        rest[.."00:00:00".len()].to_owned()
    };
    screen.keys(&["<"]);
    screen.await_text("an earlier time", |text| time(text) != time(&end));
    screen.keys(&["A"]);
    screen.await_text("a refusal", |text| {
        text.contains("a recording cannot be changed")
    });
    screen.keys(&["Escape"]);
    screen.await_text("closed actions", |text| {
        !text.contains("a recording cannot be changed")
    });
    screen.keys(&["q"]);
    screen.await_end();
}

#[test]
fn frames_are_printed_without_a_terminal() {
    let three = Three::with_topic("orders");
    let one = three.data(&["partition", "describe", "orders/0", "-o", "json"]);
    assert_eq!(one["group"]["views"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        (one["start"].as_i64(), one["end"].as_i64()),
        (Some(0), Some(0))
    );
    let missing = three.run(&["partition", "describe", "orders/9", "-o", "json"]);
    assert_eq!(missing.refusal(), (1, "NOT_FOUND".to_owned()));
    for view in [
        "overview",
        "raft",
        "partitions",
        "topics",
        "groups",
        "moves",
        "events",
        "metrics",
    ] {
        let frame = three.run(&["tui", "--snapshot", "--size", "100x30", "--view", view]);
        assert_eq!(frame.code, 0, "{frame:?}");
        assert_eq!(frame.stdout.lines().count(), 30, "{frame:?}");
        assert!(!frame.stdout.contains('\x1b'), "{frame:?}");
        println!("{}", frame.stdout);
    }
    let nowhere = three.run(&["tui"]);
    assert_eq!(nowhere.code, 4, "{nowhere:?}");
    three.finish();
}

/// The node in the row that says that it leads.
fn leader_in(text: &str) -> Option<usize> {
    let is_row = |line: &&str| line.split_whitespace().any(|word| word == "leader");
    let row = text.lines().find(is_row)?;
    row.trim_start_matches('>')
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}
