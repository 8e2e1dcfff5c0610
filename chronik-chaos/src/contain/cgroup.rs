//! Control groups, of the first and the second kind: limits for a node, and their end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chronik_local::wait;

/// A throttled writer is released, killed and torn down within it.
const REMOVE_BOUND: Duration = Duration::from_secs(30);
/// Marks our groups, so that nobody else's is ever touched.
const PREFIX: &str = "chronik-chaos-";

/// What a group limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controller {
    Cpu,
    Memory,
    Disk,
}

/// One group of one controller.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    path: PathBuf,
    is_second_kind: bool,
}

impl Controller {
    fn first_name(self) -> &'static str {
        match self {
            Controller::Cpu => "cpu",
            Controller::Memory => "memory",
            Controller::Disk => "blkio",
        }
    }

    fn second_name(self) -> &'static str {
        match self {
            Controller::Disk => "io",
            other => other.first_name(),
        }
    }

    /// Where groups of this controller can be made here, and whether it is the second kind.
    pub(crate) fn find(self) -> Option<(PathBuf, bool)> {
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        let rows = mounts.lines().filter_map(|line| {
            let mut fields = line.split(' ');
            let (_, point, kind, options) = (
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
            );
            Some((PathBuf::from(point), kind, options))
        });
        let mut second = None;
        for (point, kind, options) in rows {
            if kind == "cgroup" && options.split(',').any(|option| option == self.first_name()) {
                return is_writable(&point).then_some((point, false));
            }
            if kind == "cgroup2" {
                let controllers =
                    fs::read_to_string(point.join("cgroup.controllers")).unwrap_or_default();
                let has_it = controllers
                    .split_whitespace()
                    .any(|name| name == self.second_name());
                if has_it && is_writable(&point) {
                    second = Some((point, true));
                }
            }
        }
        second
    }
}

impl Group {
    /// The path a group of this name would have; it is not made yet, so that it can be promised away first.
    pub(crate) fn plan(controller: Controller, name: &str) -> Option<Group> {
        let (root, is_second_kind) = controller.find()?;
        Some(Group {
            path: root.join(format!("{PREFIX}{name}")),
            is_second_kind,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn make(&self) -> io::Result<()> {
        match fs::create_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    pub(crate) fn add_process(&self, pid: u32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
    }

    /// Puts only the calling thread under the limits, where the kind of group allows it.
    pub(crate) fn add_this_thread(&self) -> io::Result<()> {
        let name = if self.is_second_kind {
            "cgroup.threads"
        } else {
            "tasks"
        };
        fs::write(self.path.join(name), "0")
    }

    pub(crate) fn limit_cpu(&self, percent: f64) -> io::Result<()> {
        const PERIOD_US: u64 = 100_000;
        let quota_us = (PERIOD_US as f64 * percent / 100.0).max(1_000.0) as u64;
        if self.is_second_kind {
            return fs::write(self.path.join("cpu.max"), format!("{quota_us} {PERIOD_US}"));
        }
        fs::write(self.path.join("cpu.cfs_quota_us"), quota_us.to_string())
    }

    pub(crate) fn limit_memory(&self, bytes: u64) -> io::Result<()> {
        let name = if self.is_second_kind {
            "memory.high"
        } else {
            "memory.limit_in_bytes"
        };
        fs::write(self.path.join(name), bytes.to_string())
    }

    pub(crate) fn limit_writes(
        &self,
        (major, minor): (u32, u32),
        operations: u64,
    ) -> io::Result<()> {
        if self.is_second_kind {
            return fs::write(
                self.path.join("io.max"),
                format!("{major}:{minor} wiops={operations}"),
            );
        }
        let file = self.path.join("blkio.throttle.write_iops_device");
        fs::write(file, format!("{major}:{minor} {operations}"))
    }

    /// Ends all limits and moves the processes back to where they came from.
    pub(crate) fn dissolve(&self) -> io::Result<()> {
        lift(&self.path);
        let parent = self.path.parent().expect("a group has a parent").to_owned();
        for pid in processes(&self.path) {
            // A process that ended by itself is out of the group too.
            let _ = fs::write(parent.join("cgroup.procs"), pid.to_string());
        }
        remove_dir(&self.path)
    }
}

/// Lifts the limits of one of our groups, kills what is in it and removes it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let is_ours = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    if !is_ours {
        return Err(io::Error::other("not a group of this program"));
    }
    // A throttled writer does not die before its limit is lifted.
    lift(path);
    for pid in processes(path) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    remove_dir(path)
}

fn remove_dir(path: &Path) -> io::Result<()> {
    let removed = wait::until(
        "an empty control group",
        REMOVE_BOUND,
        || match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => None,
            other => Some(other),
        },
    );
    match removed {
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(outcome) => outcome,
        Err(timed_out) => Err(io::Error::other(timed_out)),
    }
}

/// Each of these files exists for one kind of group only.
fn lift(path: &Path) {
    let _ = fs::write(path.join("cpu.cfs_quota_us"), "-1");
    let _ = fs::write(path.join("cpu.max"), "max");
    let _ = fs::write(path.join("memory.limit_in_bytes"), "-1");
    let _ = fs::write(path.join("memory.high"), "max");
    for (name, none) in [
        ("blkio.throttle.write_iops_device", "0"),
        ("io.max", "wiops=max"),
    ] {
        let limits = fs::read_to_string(path.join(name)).unwrap_or_default();
        for device in limits.lines().filter_map(|line| line.split(' ').next()) {
            let _ = fs::write(path.join(name), format!("{device} {none}"));
        }
    }
}

fn processes(path: &Path) -> Vec<i32> {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 0)
        .collect()
}

fn is_writable(dir: &Path) -> bool {
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok()
}
