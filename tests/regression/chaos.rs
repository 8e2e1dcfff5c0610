//! The chaos tool against this checkout's server: its scenarios pass, and it leaves nothing behind when it is killed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use chronik_local::{ChronikOptions, wait};

use crate::support::{chaos, server, test_dir};

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

/// The commands of its target's file only leave a trace, so the node is frozen all the time.
const THEIRS: &str = r#"
name = "theirs"
duration = "10m"
cluster = { nodes = 1, partitions = 1, rf = 1, min_isr = 1 }
workload = { rate = 100 }
step = [
  { at = "1s", fault = "pause", target = "n1", for = "9m" },
  { at = "2s", fault = "kill", target = "n1", for = "8m" },
]
"#;

const BOUND: Duration = Duration::from_secs(60);

#[test]
fn nothing_acknowledged_is_lost_by_kills() {
    passes(&["run", "kill-random", "--duration", "14s"]);
}

#[test]
fn nothing_acknowledged_is_lost_by_power_cuts() {
    if can_break_disks() {
        passes(&["run", "power-loss-all", "--duration", "18s"]);
    }
}

#[test]
fn nothing_acknowledged_is_lost_on_a_bad_network() {
    if has_hosts() {
        let dir = test_dir();
        let file = dir.path().join("network.toml");
        fs::write(&file, NETWORK).unwrap();
        passes(&["run", &file.display().to_string()]);
    }
}

#[test]
fn what_is_sent_again_is_not_appended_again() {
    if has_hosts() {
        passes(&["run", "lost-answers", "--duration", "19s"]);
    }
}

#[test]
fn a_killed_tool_leaves_nothing_behind() {
    if can_break_disks() {
        passes(&["selftest", "--killed", "power_loss,slow_disk,partition"]);
    }
}

#[test]
fn somebody_elses_nodes_go_on_when_the_tool_is_killed() {
    let dir = test_dir();
    let mut cluster = ChronikOptions::new(server(), dir.path())
        .cluster(1)
        .unwrap();
    cluster.start().unwrap();
    let pid = cluster.node(1).pid().unwrap();
    let [killed, started] = ["killed", "started"].map(|name| dir.path().join(name));
    let target = dir.path().join("target.toml");
    let how = format!(
        "bootstrap = \"{}\"\n[node.1]\npid = {pid}\nkill_cmd = \"touch {}\"\nstart_cmd = \"touch {}\"\n",
        cluster.bootstrap(),
        killed.display(),
        started.display(),
    );
    fs::write(&target, how).unwrap();
    let scenario = dir.path().join("theirs.toml");
    fs::write(&scenario, THEIRS).unwrap();
    let mut tool = Command::new(chaos())
        .arg("run")
        .arg(&scenario)
        .arg("--target")
        .arg(format!("attach:{}", target.display()))
        .arg("--out")
        .arg(dir.path().join("runs"))
        .spawn()
        .unwrap();
    let is_frozen = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.contains(") T ")
    };
    let brought = wait::until("both faults", BOUND, || {
        (is_frozen() && killed.exists()).then_some(())
    });
    tool.kill().unwrap();
    tool.wait().unwrap();
    brought.unwrap();
    wait::until("the way back", BOUND, || {
        (!is_frozen() && started.exists()).then_some(())
    })
    .unwrap();
    cluster.stop().unwrap();
}

/// Without privileges it makes a user namespace of its own.
#[test]
fn nobody_needs_to_be_root() {
    if has_hosts() {
        let dir = test_dir();
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user"]).arg(chaos());
        let scenario = ["run", "isolate-leader", "--duration", "12s"];
        ends_well(unshare.args(scenario), dir.path());
    }
}

/// What a release is built like has no way to make a mistake on purpose.
#[test]
fn a_server_for_clients_cannot_be_broken_on_purpose() {
    let program = fs::read(server()).unwrap();
    let program = String::from_utf8_lossy(&program);
    let has = |text: &str| program.contains(text);
    assert!(has("the disk is full"), "this is no server");
    assert!(!has("this build can be broken on purpose"));
    assert!(!has("CHRONIK_CHAOS_MUTANT"));
    assert!(!has("CHRONIK_CLOCK_OFFSET_FILE"));
}

fn passes(arguments: &[&str]) {
    let dir = test_dir();
    ends_well(Command::new(chaos()).args(arguments), dir.path());
}

/// Runs the tool with this checkout's server, and with its runs in a folder that goes away.
fn ends_well(command: &mut Command, dir: &Path) {
    command.arg("--server").arg(server());
    command.arg("--out").arg(dir.join("runs"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Hosts of their own need the device of which their cables are made.
fn has_hosts() -> bool {
    Path::new("/dev/net/tun").exists()
}

/// Loop devices and limits of disks are root's.
fn can_break_disks() -> bool {
    rustix::process::getuid().is_root() && Path::new("/dev/loop-control").exists()
}
