//! Every command against a cluster that is made up: what it prints, in which form, and how it ends.
//!
//! `golden/<command>.txt` holds lines that are typed, each with what comes of it; `CHRONIK_BLESS=1` writes them anew, for
//! somebody who reads the difference. Which commands there are is asked of the tool itself, and what each of them owes
//! follows from what it says of itself: see [`debts`]. A command without its file, or with a debt, fails.

mod admin;
mod debts;
mod kafka;
mod placement;
mod play;
mod snapshots;
mod text;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use play::Stage;

/// Lines are typed on so many stages at once.
const STAGES: usize = 3;
/// Said by a file of a command that is shown elsewhere, because it needs real processes.
const ELSEWHERE: &str = "# See ";

#[test]
fn every_command_prints_what_it_should_and_ends_as_it_should() {
    let stage = Stage::open();
    let document = stage.play("chronikctl help-json");
    let document: Value = serde_json::from_str(&document.stdout).expect("help for programs");
    let commands = document["commands"].as_array().expect("commands");
    let mut wrong = strays(commands);
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let work = || {
        while let Some(command) = commands.get(next.fetch_add(1, Ordering::Relaxed)) {
            let faults = examine(command);
            found.lock().expect("no worker panics").extend(faults);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..STAGES).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().expect("no worker panics");
        }
    });
    wrong.extend(found.into_inner().expect("no worker panics"));
    wrong.sort();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is wrong with one command.
fn examine(command: &Value) -> Vec<String> {
    let path = command["path"].as_str().expect("a path");
    let file = golden(path);
    let Ok(expected) = fs::read_to_string(&file) else {
        return vec![format!("{path}: {} is missing", file.display())];
    };
    if let Some(elsewhere) = expected.strip_prefix(ELSEWHERE) {
        return shown_elsewhere(path, elsewhere);
    }
    let stage = Stage::open();
    let mut faults = Vec::new();
    let mut present = String::new();
    for line in text::preparations(&expected) {
        let prepared = stage.play(line);
        // A bundle of a cluster that is hurt has gaps.
        if !matches!(prepared.code, 0 | 1) {
            faults.push(format!("{path}: {prepared:?}"));
        }
        present.push_str(&format!("{}{line}\n", text::FIRST));
    }
    let lines = text::typed(&expected);
    let scenes: Vec<_> = lines.iter().map(|line| stage.play(line)).collect();
    present.extend(scenes.iter().map(|scene| stage.told(scene)));
    if is_blessed() {
        fs::write(&file, &present).expect("a golden file");
    } else if let Some(difference) = text::difference(&expected, &present) {
        faults.push(format!("{path}: {difference}"));
    }
    faults.extend(debts::unpaid(&stage, command, &scenes));
    faults
}

/// The test that is named there exists, and types the command.
fn shown_elsewhere(path: &str, elsewhere: &str) -> Vec<String> {
    let place = elsewhere
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let file = chronik_local::workspace_dir()
        .join("tests/regression")
        .join(place);
    let text = fs::read_to_string(&file).unwrap_or_default();
    let words: Vec<String> = path.split(' ').map(|word| format!("\"{word}\"")).collect();
    match text.contains(&words.join(", ")) {
        true => Vec::new(),
        false => vec![format!("{path}: {} does not type it", file.display())],
    }
}

/// Files of commands that do not exist.
fn strays(commands: &[Value]) -> Vec<String> {
    let paths = commands.iter().map(|command| command["path"].as_str());
    let known: BTreeSet<PathBuf> = paths.map(|path| golden(path.expect("a path"))).collect();
    let folder = golden("").with_file_name("");
    let files = fs::read_dir(folder).expect("the folder of golden files");
    let files = files.map(|file| file.expect("a readable entry").path());
    files
        .filter(|file| !known.contains(file))
        .map(|file| format!("{} belongs to no command", file.display()))
        .collect()
}

fn golden(path: &str) -> PathBuf {
    let name = format!("{}.txt", path.replace(' ', "-"));
    let folder = "tests/regression/ctl/contract/golden";
    chronik_local::workspace_dir().join(folder).join(name)
}

fn is_blessed() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test binary has no other way to be given a choice"
    )]
    let blessed = std::env::var_os("CHRONIK_BLESS");
    blessed.is_some()
}
