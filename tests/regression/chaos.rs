//! The chaos tool against this checkout's server: its scenarios pass, and it leaves nothing behind when it is killed.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use chronik_local::foreign::run;
use chronik_local::{target_dir, wait, workspace_dir};

use crate::support::{server, test_dir};

const KILLS: &str = r#"
name = "kills"
duration = "6s"
cluster = { nodes = 1, partitions = 3, rf = 1, min_isr = 1 }
workload = { rate = 300, reread = 1, group = 2 }
step = [ { at = "1s", fault = "kill", target = "n1", for = "200ms", repeat = 2, every = "2500ms" } ]
"#;

const POWER: &str = r#"
name = "power"
duration = "7s"
cluster = { nodes = 1, partitions = 3, rf = 1, min_isr = 1 }
workload = { rate = 400, reread = 1 }
step = [ { at = "1s", fault = "power_loss", target = "n1", for = "200ms", repeat = 2, every = "3s" } ]
"#;

const NETWORK: &str = r#"
name = "network"
duration = "9s"
cluster = { nodes = 1, partitions = 3, rf = 1, min_isr = 1 }
workload = { rate = 300 }
step = [
  { id = "cut", at = "1s", fault = "partition", target = "clients(n1)", for = "3s" },
  { after = "cut.healed + 1s", fault = "loss", target = "clients(n1)", for = "2s", with = { percent = 10.0 } },
]
expect = { acked_max_during = { cut = 3 } }
"#;

const THREE: &str = r#"
name = "three"
duration = "16s"
cluster = { nodes = 3, partitions = 3, rf = 3, min_isr = 2 }
workload = { rate = 200, group = 2 }
step = [
  { at = "3s", fault = "kill", target = "leader(0)", for = "1s" },
  { at = "8s", fault = "partition", target = "isolate(leader(0))", for = "4s" },
]
"#;

const LONG_LIMIT: &str = r#"
name = "limit"
duration = "60s"
cluster = { nodes = 1, partitions = 1, rf = 1, min_isr = 1 }
step = [ { at = "0s", fault = "slow_disk", target = "n1" } ]
"#;

#[test]
fn nothing_acknowledged_is_lost_by_kills() {
    passes(KILLS);
}

#[test]
fn nothing_acknowledged_is_lost_by_power_cuts() {
    if can_break_disks() {
        passes(POWER);
    }
}

#[test]
fn nothing_acknowledged_is_lost_on_a_bad_network() {
    if Path::new("/dev/net/tun").exists() {
        passes(NETWORK);
    }
}

#[test]
fn three_nodes_survive_the_loss_of_leaders() {
    if Path::new("/dev/net/tun").exists() {
        passes(THREE);
    }
}

#[test]
fn a_killed_tool_leaves_nothing_behind() {
    if !can_break_disks() {
        return;
    }
    let dir = test_dir();
    let mut chaos = start(dir.path(), LONG_LIMIT);
    let marks = dir.path().display().to_string();
    let is_injected = || {
        let runs = std::fs::read_dir(dir.path().join("runs")).ok()?;
        let mut runs = runs.flatten();
        runs.any(|run| run.path().join("schedule.jsonl").is_file())
            .then_some(())
    };
    wait::until("the first fault", Duration::from_secs(60), is_injected).unwrap();
    chaos.kill().unwrap();
    chaos.wait().unwrap();
    let is_clean = || (leftovers(&marks).is_empty()).then_some(());
    let cleaned = wait::until("an empty machine", Duration::from_secs(60), is_clean);
    assert!(cleaned.is_ok(), "left behind: {:?}", leftovers(&marks));
}

fn passes(scenario: &str) {
    let dir = test_dir();
    let output = start(dir.path(), scenario).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

fn start(dir: &Path, scenario: &str) -> Child {
    let file = dir.join("scenario.toml");
    std::fs::write(&file, scenario).unwrap();
    Command::new(chaos())
        .arg("run")
        .arg(&file)
        .arg("--server")
        .arg(server())
        .arg("--out")
        .arg(dir.join("runs"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Loop devices and limits of disks are root's.
fn can_break_disks() -> bool {
    rustix::process::getuid().is_root() && Path::new("/dev/loop-control").exists()
}

/// Processes, mounts and control groups that name this test's folder or this tool.
fn leftovers(marks: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains(marks) {
            found.push(command);
        }
    }
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    found.extend(
        mounts
            .lines()
            .filter(|line| line.contains(marks))
            .map(str::to_owned),
    );
    let undo_lists = std::fs::read_dir(Path::new(marks).join("runs"))
        .into_iter()
        .flatten()
        .flatten();
    let undo_lists = undo_lists.map(|run| run.path().join("undo.list"));
    found.extend(
        undo_lists
            .filter(|list| list.exists())
            .map(|list| list.display().to_string()),
    );
    found
}

/// The tool of this checkout, built once.
fn chaos() -> std::path::PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(workspace_dir())
            .args(["build", "--quiet", "-p", "chronik-chaos", "--target-dir"])
            .arg(target_dir());
        run("cargo build -p chronik-chaos", &mut cargo).unwrap_or_else(|failed| panic!("{failed}"));
    });
    target_dir().join("debug/chronik-chaos")
}
