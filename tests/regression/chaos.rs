//! The chaos tool against this checkout's server: its scenarios pass, and it leaves nothing behind when it is killed.

use std::path::Path;
use std::process::{Command, Output};

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
        std::fs::write(&file, NETWORK).unwrap();
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
    let program = std::fs::read(server()).unwrap();
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
