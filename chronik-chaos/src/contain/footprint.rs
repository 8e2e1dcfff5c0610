//! Where a run is on this machine, and what of it is still there after its end.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::UndoLog;
use super::enter::DISKS;

/// Namespaces that a run makes.
const NAMESPACES: [&str; 3] = ["mnt", "net", "pid"];

/// What a run has made outside of its folder, as far as it can be seen from here.
#[derive(Debug)]
pub(crate) struct Footprint {
    run_dir: PathBuf,
    namespaces: BTreeSet<String>,
    groups: Vec<PathBuf>,
}

impl Footprint {
    /// Looks while the run goes on.
    pub(crate) fn of(run_dir: &Path) -> Footprint {
        let own = namespaces_of(std::process::id());
        let processes = processes_of(run_dir).into_iter();
        let namespaces = processes.flat_map(|(pid, _)| namespaces_of(pid));
        Footprint {
            run_dir: run_dir.to_owned(),
            namespaces: namespaces.filter(|name| !own.contains(name)).collect(),
            groups: UndoLog::of(run_dir).groups(),
        }
    }

    /// Whether the run has namespaces of its own by now.
    pub(crate) fn is_contained(&self) -> bool {
        !self.namespaces.is_empty()
    }

    /// What is still there: processes, namespaces, mounts, loop devices, control groups, images of disks.
    pub(crate) fn left(&self) -> Vec<String> {
        let mark = self.run_dir.display().to_string();
        let mut left = Vec::new();
        let processes = processes_of(&self.run_dir).into_iter();
        left.extend(processes.map(|(pid, command)| format!("process {pid}: {command}")));
        for pid in all_processes() {
            let namespaces = namespaces_of(pid);
            let held = namespaces.intersection(&self.namespaces).next();
            left.extend(held.map(|name| format!("process {pid} in {name}")));
            let mounts = fs::read_to_string(format!("/proc/{pid}/mounts")).unwrap_or_default();
            let mounts = mounts.lines().filter(|line| line.contains(&mark));
            left.extend(mounts.map(|line| format!("mount {line}")));
        }
        for device in entries(Path::new("/sys/block")) {
            let backing = fs::read_to_string(device.join("loop/backing_file"));
            if backing.is_ok_and(|file| file.contains(&mark)) {
                left.push(format!("loop device {}", device.display()));
            }
        }
        let groups = self.groups.iter().filter(|group| group.exists());
        left.extend(groups.map(|group| format!("control group {}", group.display())));
        let promised = UndoLog::of(&self.run_dir).promised().unwrap_or_default();
        left.extend(
            promised
                .iter()
                .map(|promise| format!("a promise that is not kept: {promise:?}")),
        );
        let disks = self.run_dir.join(DISKS);
        left.extend(
            disks
                .exists()
                .then(|| format!("images in {}", disks.display())),
        );
        left
    }
}

/// Processes that name the run's folder.
fn processes_of(run_dir: &Path) -> Vec<(u32, String)> {
    let mark = run_dir.display().to_string();
    let command = |pid: u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(&mark).then_some((pid, line))
    };
    all_processes().filter_map(command).collect()
}

fn all_processes() -> impl Iterator<Item = u32> {
    let names = entries(Path::new("/proc")).into_iter();
    names.filter_map(|path| path.file_name()?.to_str()?.parse().ok())
}

fn namespaces_of(pid: u32) -> BTreeSet<String> {
    let link = |kind: &&str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
    let links = NAMESPACES.iter().filter_map(link);
    links.map(|link| link.display().to_string()).collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
