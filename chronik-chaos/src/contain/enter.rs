//! The three processes of a run. The front (the command) starts a janitor and a stage; the stage makes namespaces
//! and starts the worker as their first process. When the front dies, the kernel kills stage and worker, and with
//! the worker everything in its namespaces: nodes, mounts, devices. The janitor does the rest.

use std::ffi::OsString;
use std::fs;
use std::io::{self, PipeWriter, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Signal, getgid, getppid, getuid, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;

use super::undo::UndoLog;
use crate::sys;

/// The words by which this program starts itself; they are no commands for people.
pub(crate) const JANITOR: &str = "inside-janitor";
pub(crate) const STAGE: &str = "inside-stage";
pub(crate) const WORKER: &str = "inside-worker";
pub(crate) const MUTANT: &str = "inside-mutant";

/// The folder of a run's disk images.
pub(crate) const DISKS: &str = "disks";

/// The janitor beside a run; it begins when this handle is dropped or its process dies.
#[derive(Debug)]
pub(crate) struct Janitor {
    child: Child,
    alive: Option<PipeWriter>,
}

impl Janitor {
    pub(crate) fn start(run_dir: &Path) -> io::Result<Janitor> {
        use std::os::unix::process::CommandExt;
        let (watched, alive) = io::pipe()?;
        let child = myself(JANITOR, run_dir)?
            .stdin(watched)
            // Ctrl-C is for the run, not for the one who cleans up after it.
            .process_group(0)
            .spawn()?;
        Ok(Janitor {
            child,
            alive: Some(alive),
        })
    }

    /// Waits until everything is undone.
    pub(crate) fn finish(mut self) -> io::Result<ExitStatus> {
        drop(self.alive.take());
        self.child.wait()
    }
}

/// The janitor's whole life: wait for the front's end, however it comes, and undo.
pub(crate) fn be_janitor(run_dir: &Path) -> io::Result<()> {
    let mut nothing = Vec::new();
    io::stdin().lock().read_to_end(&mut nothing)?;
    UndoLog::of(run_dir).finish()?;
    remove_disks(run_dir)
}

/// Images of disks are large, and everything that a verdict rests on lies beside them.
pub(crate) fn remove_disks(run_dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(run_dir.join(DISKS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Starts the stage, which ends with the worker's exit code.
pub(crate) fn start_stage(run_dir: &Path, stdin: Stdio) -> io::Result<Child> {
    myself(STAGE, run_dir)?
        .arg(std::process::id().to_string())
        .stdin(stdin)
        .spawn()
}

/// How much of this machine a run shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shares {
    Nothing,
    /// Others reach its nodes.
    Network,
    /// Its nodes are somebody else's.
    Processes,
}

/// The stage's whole life: new namespaces, the worker in them, its exit code.
pub(crate) fn be_stage(run_dir: &Path, front: &str, shares: Shares) -> io::Result<ExitStatus> {
    die_with(front.parse().ok())?;
    let (user, group) = (getuid(), getgid());
    let mut flags = UnshareFlags::NEWNS;
    if shares != Shares::Processes {
        flags |= UnshareFlags::NEWPID;
    }
    if shares == Shares::Nothing {
        flags |= UnshareFlags::NEWNET;
    }
    if !user.is_root() || !may_mount() {
        flags |= UnshareFlags::NEWUSER;
    }
    sys::unshare(flags)?;
    if flags.contains(UnshareFlags::NEWUSER) {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {} 1", user.as_raw()))?;
        fs::write("/proc/self/gid_map", format!("0 {} 1", group.as_raw()))?;
    }
    // What is mounted in here is nobody else's business.
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    let mut worker = myself(WORKER, run_dir)?.spawn()?;
    worker.wait()
}

/// The worker's first steps, as process 1 of its namespaces.
pub(crate) fn settle_worker(shares: Shares) -> io::Result<()> {
    // The stage lies outside: its number is not visible in here.
    die_with(None)?;
    if shares != Shares::Processes {
        mount("proc", "/proc", "proc", MountFlags::empty(), None)?;
    }
    match shares {
        Shares::Nothing => sys::configure_interface("lo", None),
        Shares::Network | Shares::Processes => Ok(()),
    }
}

/// Asks the kernel for SIGKILL when the parent dies; a parent that died before is noticed too.
fn die_with(parent: Option<u32>) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let Some(parent) = parent else {
        return Ok(());
    };
    let is_there =
        getppid().is_some_and(|found| found.as_raw_nonzero().get().cast_unsigned() == parent);
    if is_there {
        Ok(())
    } else {
        Err(io::Error::other(
            "the command that started this run is gone",
        ))
    }
}

/// Root inside of somebody else's user namespace owns less than root does.
fn may_mount() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    const CAP_SYS_ADMIN: u32 = 21;
    effective.is_some_and(|set| set & (1 << CAP_SYS_ADMIN) != 0)
}

fn myself(role: &str, run_dir: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(OsString::from(role)).arg(run_dir);
    Ok(command)
}
