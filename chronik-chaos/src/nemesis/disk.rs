//! Faults of a node's disk: full, slow, dead, altered.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use super::{Active, Hold, NemesisFault, Proof, World};
use crate::contain::{Controller, Group, Promise};
use crate::disk::Layers;

const BALLAST: &str = ".ballast";
const PROBE: &str = ".probe";
/// Few enough that a commit waits for its turn.
const OPERATIONS_PER_SECOND: u64 = 20;
const BITS: u32 = 8;
/// A node that finds its log altered refuses or serves within this.
const START_BOUND: Duration = Duration::from_secs(60);

pub(super) fn fill(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut proofs = Vec::new();
    for number in &active.victims.nodes {
        let dir = disk_of(world, active, *number)?.mount_point().to_owned();
        let bytes = fill_up(&dir).map_err(Active::node_fault("the ballast", *number))?;
        match write_probe(&dir) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                proofs.push(format!(
                    "n{number}: {} MiB of ballast, a write gets ENOSPC",
                    bytes >> 20
                ));
            }
            other => {
                active.proof = Some(Err(format!(
                    "n{number}: a write on the full disk gave {other:?}"
                )));
                return Ok(());
            }
        }
    }
    active.proof = Some(Ok(proofs.join(", ")));
    Ok(())
}

pub(super) fn empty(world: &mut World, active: &Active) -> Result<Option<Proof>, NemesisFault> {
    for number in &active.victims.nodes {
        let dir = disk_of(world, active, *number)?.mount_point().to_owned();
        fs::remove_file(dir.join(BALLAST)).map_err(Active::node_fault("the ballast", *number))?;
        let _ = fs::remove_file(dir.join(PROBE));
        restart_if_gone(world, *number)?;
    }
    Ok(None)
}

pub(super) fn kill(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut proofs = Vec::new();
    for number in &active.victims.nodes {
        let disk = disk_of(world, active, *number)?;
        disk.fail_writes()
            .map_err(Active::node_fault("the end of the disk", *number))?;
        match write_probe(disk.mount_point()) {
            Err(error) => proofs.push(format!("n{number}: a write fails: {error}")),
            Ok(()) => {
                active.proof = Some(Err(format!("n{number}: the dead disk still takes writes")));
                return Ok(());
            }
        }
    }
    active.proof = Some(Ok(proofs.join(", ")));
    Ok(())
}

pub(super) fn revive(world: &mut World, active: &Active) -> Result<Option<Proof>, NemesisFault> {
    let mut ends = Vec::new();
    for number in &active.victims.nodes {
        let node = world.target.node(*number);
        let end = node.unexpected_end();
        ends.push(match end {
            Some(status) => format!("n{number} ended with {status}"),
            None => format!("n{number} stayed and {}", node.kill()?),
        });
        if let Some(disk) = &mut node.disk {
            disk.remount()
                .map_err(Active::node_fault("the new disk", *number))?;
        }
        if !node.is_held() {
            node.start(world.network.as_ref())?;
        }
    }
    Ok(Some(Ok(ends.join(", "))))
}

pub(super) fn slow(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let operations = active
        .with
        .operations_per_second
        .unwrap_or(OPERATIONS_PER_SECOND);
    let mut groups = Vec::new();
    let mut proofs = Vec::new();
    for number in active.victims.nodes.clone() {
        let name = format!("{}-n{number}", world.run_name);
        let group = Group::plan(Controller::Disk, &name).ok_or(NemesisFault::Needs {
            fault: active.fault,
            what: "the control group of disks",
        })?;
        let disk = disk_of(world, active, number)?;
        let (device, dir) = (disk.device(), disk.mount_point().to_owned());
        let before = timed_sync(&dir, None).map_err(Active::node_fault("a timed write", number))?;
        let limited = || -> io::Result<()> {
            world
                .undo
                .promise(Promise::RemoveGroup(group.path().to_owned()))?;
            group.make()?;
            group.limit_writes(device.ok_or(io::ErrorKind::NotFound)?, operations)
        };
        limited().map_err(Active::node_fault("the limit of the disk", number))?;
        let after =
            timed_sync(&dir, Some(&group)).map_err(Active::node_fault("a timed write", number))?;
        if let Some(pid) = world.target.node(number).pid() {
            group
                .add_process(pid)
                .map_err(Active::node_fault("the limit of the disk", number))?;
        }
        groups.push((number, group));
        if after < before * 2 {
            proofs.push(Err(format!(
                "n{number}: a flushed write took {before:?}, now {after:?}"
            )));
        } else {
            proofs.push(Ok(format!(
                "n{number}: a flushed write takes {after:?}, before {before:?}"
            )));
        }
    }
    active.hold = Hold::Groups(groups);
    let proofs: Result<Vec<String>, String> = proofs.into_iter().collect();
    active.proof = Some(proofs.map(|proofs| proofs.join(", ")));
    Ok(())
}

/// Stops, flips, starts. A node may repair or refuse; if it refuses, it gets its bits back.
pub(super) fn corrupt(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut proofs = Vec::new();
    for number in active.victims.nodes.clone() {
        let dir = world.target.node(number).dir();
        let dir = dir.map(|dir| dir.join("data")).unwrap_or_default();
        world.target.node(number).stop()?;
        let flipped = flip_bits(world, &dir, active.with.count.unwrap_or(BITS))
            .map_err(Active::node_fault("the altered file", number))?;
        let node = world.target.node(number);
        node.start(world.network.as_ref())?;
        let served = node.await_serving(world.network.as_ref(), START_BOUND);
        proofs.push(match served {
            Ok(()) => format!("n{number}: {} and it serves", flipped.says),
            Err(_) => {
                node.kill()?;
                flipped
                    .restore()
                    .map_err(Active::node_fault("the altered file", number))?;
                node.start(world.network.as_ref())?;
                format!("n{number}: {} and it refused", flipped.says)
            }
        });
    }
    active.proof = Some(Ok(proofs.join(", ")));
    Ok(())
}

/// What was changed, and how it was.
struct Flipped {
    path: PathBuf,
    original: Vec<(u64, u8)>,
    says: String,
}

impl Flipped {
    fn restore(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        for (at, byte) in self.original.iter().rev() {
            file.write_all_at(&[*byte], *at)?;
        }
        file.sync_all()
    }
}

fn flip_bits(world: &mut World, dir: &Path, bits: u32) -> io::Result<Flipped> {
    let mut files = Vec::new();
    collect_files(dir, &mut files)?;
    files.sort();
    // The largest ones hold the log.
    files.sort_by_key(|(len, _)| std::cmp::Reverse(*len));
    files.truncate(2);
    let (len, path) = world
        .chance
        .pick(&files)
        .cloned()
        .ok_or(io::ErrorKind::NotFound)?;
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let mut original = Vec::new();
    // The first part of a segment is written first.
    let reach = len.min(1 << 20);
    for _ in 0..bits {
        let at = world.chance.below(reach);
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        original.push((at, byte[0]));
        file.write_all_at(&[byte[0] ^ (1 << world.chance.below(8))], at)?;
    }
    file.sync_all()?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok(Flipped {
        says: format!("{bits} bits of {name} flipped"),
        path,
        original,
    })
}

fn collect_files(dir: &Path, files: &mut Vec<(u64, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        if kind.is_dir() {
            collect_files(&entry.path(), files)?;
        } else if kind.len() >= 4096 && !entry.file_name().to_string_lossy().starts_with('.') {
            files.push((kind.len(), entry.path()));
        }
    }
    Ok(())
}

fn disk_of<'a>(
    world: &'a mut World,
    active: &Active,
    number: u32,
) -> Result<&'a Layers, NemesisFault> {
    world
        .target
        .node(number)
        .disk
        .as_ref()
        .ok_or(NemesisFault::Needs {
            fault: active.fault,
            what: "a disk of its own under each node",
        })
}

/// A node may end when its disk is full; that is no crime, but afterwards it shall run.
fn restart_if_gone(world: &mut World, number: u32) -> Result<(), NemesisFault> {
    let node = world.target.node(number);
    if !node.is_held() && (node.unexpected_end().is_some() || !node.is_running()) {
        node.start(world.network.as_ref())?;
    }
    Ok(())
}

/// Takes all room there is, in ever smaller steps.
fn fill_up(dir: &Path) -> io::Result<u64> {
    let ballast = File::create(dir.join(BALLAST))?;
    let mut filled = 0;
    let mut step = 64 << 20;
    while step >= 4096 {
        match fallocate(&ballast, FallocateFlags::empty(), filled, step) {
            Ok(()) => filled += step,
            Err(rustix::io::Errno::NOSPC) => step /= 2,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

fn write_probe(dir: &Path) -> io::Result<()> {
    let mut probe = File::create(dir.join(PROBE))?;
    probe.write_all(&[0; 65_536])?;
    probe.sync_all()
}

/// The time of a few small flushed writes, from a thread of its own in the group.
fn timed_sync(dir: &Path, group: Option<&Group>) -> io::Result<Duration> {
    let timed = || -> io::Result<Duration> {
        if let Some(group) = group {
            group.add_this_thread()?;
        }
        let start = Instant::now();
        for _ in 0..4 {
            write_probe(dir)?;
        }
        let taken = start.elapsed();
        fs::remove_file(dir.join(PROBE))?;
        Ok(taken)
    };
    std::thread::scope(|scope| {
        scope
            .spawn(timed)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
