//! `doctor`: tries what faults need, in namespaces of its own, and says what works here and what does not.

use std::path::Path;

use super::Done;
use crate::contain::Controller;
use crate::output;

pub(crate) fn doctor() -> Done {
    let is_root = rustix::process::getuid().is_root();
    let namespaces = can_unshare();
    let row = |what: &str, works: bool, says: &str| {
        output::line(format!(
            "{} {what:<34} {says}",
            if works { "yes" } else { "no " }
        ));
        works
    };
    row(
        "root",
        is_root,
        if is_root {
            ""
        } else {
            "faults of disks need it"
        },
    );
    let contained = row(
        "namespaces",
        namespaces,
        "every run lives in them: user, mount, network, process ids",
    );
    let tun = row(
        "/dev/net/tun",
        std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .is_ok(),
        "hosts of their own: partition, delay, loss, duplicate, reorder, bandwidth",
    );
    let loops = row(
        "loop devices",
        is_root && Path::new("/dev/loop-control").exists(),
        "disks of their own: power_loss, disk_full, dead_disk",
    );
    let ext4 = row(
        "ext4",
        kernel_knows("ext4"),
        "the file system that can be shut down",
    );
    let mkfs = row("mkfs.ext4", finds("mkfs.ext4"), "package e2fsprogs");
    let blkio = row(
        "control group of disks",
        Controller::Disk.find().is_some(),
        "slow_disk",
    );
    row(
        "control group of processors",
        Controller::Cpu.find().is_some(),
        "cpu",
    );
    row(
        "control group of memory",
        Controller::Memory.find().is_some(),
        "memory",
    );
    row("java", finds("java"), "target kafka");
    let missing = [
        (!contained, "no run at all"),
        (!tun, "no faults between hosts"),
        (!(loops && ext4 && mkfs), "no faults of disks"),
        (!blkio, "no slow disk"),
    ];
    for (_, what) in missing.iter().filter(|(is_missing, _)| *is_missing) {
        output::line(format!("without the above: {what}"));
    }
    Ok(if contained { 0 } else { 3 })
}

/// A process of its own tries, because namespaces cannot be left again.
fn can_unshare() -> bool {
    let flags = if rustix::process::getuid().is_root() {
        "-mnp"
    } else {
        "-Umnp"
    };
    let tried = std::process::Command::new("unshare")
        .args([flags, "--fork", "true"])
        .output();
    tried.is_ok_and(|output| output.status.success())
}

fn kernel_knows(file_system: &str) -> bool {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.trim() == file_system)
}

/// Whether a program is in one of the usual folders.
fn finds(program: &str) -> bool {
    let tried = std::process::Command::new(program).arg("-V").output();
    tried.is_ok()
}
