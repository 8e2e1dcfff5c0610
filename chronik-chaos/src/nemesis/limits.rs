//! Faults of resources: a part of a processor, little memory, no further files.

use std::fs;

use chronik_local::process_exists;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::{Active, Hold, NemesisFault, Proof, World};
use crate::contain::{Controller, Group, Promise};
use crate::scenario::Fault;

const PERCENT: f64 = 10.0;
/// How much above its present size a node may grow.
const MEMORY_HEADROOM: f64 = 1.05;

pub(super) fn cpu(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let percent = active.with.percent.unwrap_or(PERCENT);
    limit(world, active, Controller::Cpu, |group, _| {
        group.limit_cpu(percent)?;
        Ok(format!("{percent} % of a processor"))
    })
}

pub(super) fn memory(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    limit(world, active, Controller::Memory, |group, pid| {
        let resident = resident_bytes(pid)?;
        let limit = (resident as f64 * MEMORY_HEADROOM) as u64;
        group.limit_memory(limit)?;
        Ok(format!(
            "{} MiB at most, {} MiB resident",
            limit >> 20,
            resident >> 20
        ))
    })
}

pub(super) fn lift(world: &mut World, active: &Active) -> Result<Option<Proof>, NemesisFault> {
    let Hold::Groups(groups) = &active.hold else {
        return Ok(None);
    };
    let mut proofs = Vec::new();
    for (number, group) in groups {
        if active.fault == Fault::Cpu {
            proofs.push(
                throttled(group).map(|periods| format!("n{number} throttled in {periods} periods")),
            );
        }
        group
            .dissolve()
            .map_err(Active::node_fault("the limit", *number))?;
        let node = world.target.node(*number);
        // Too little memory may have ended it.
        if active.fault == Fault::Memory && !node.is_held() && node.unexpected_end().is_some() {
            node.start(world.network.as_ref())?;
            proofs.push(Ok(format!("n{number} was ended by the kernel")));
        }
    }
    if proofs.is_empty() {
        return Ok(None);
    }
    let proofs: Result<Vec<String>, String> = proofs.into_iter().collect();
    Ok(Some(proofs.map(|proofs| proofs.join(", "))))
}

pub(super) fn files(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut held = Vec::new();
    let mut proofs = Vec::new();
    for number in &active.victims.nodes {
        let Some(pid) = world.target.node(*number).pid() else {
            continue;
        };
        let open = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count) as u64;
        let target = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let limit = Rlimit {
            current: Some(open),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        let before = prlimit(target, Resource::Nofile, limit)
            .map_err(|error| Active::node_fault("the limit of files", *number)(error.into()))?;
        let read_back = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let line = read_back
            .lines()
            .find(|line| line.starts_with("Max open files"));
        if !line.is_some_and(|line| line.contains(&open.to_string())) {
            active.proof = Some(Err(format!("n{number}: the limit does not read back")));
        }
        proofs.push(format!(
            "n{number} has {open} files open and gets no further one"
        ));
        held.push((*number, before, pid));
    }
    active.hold = Hold::Files(
        held.iter()
            .map(|(_, before, pid)| (*pid, *before))
            .collect(),
    );
    active.proof.get_or_insert(Ok(proofs.join(", ")));
    Ok(())
}

pub(super) fn lift_files(active: &Active) -> Result<Option<Proof>, NemesisFault> {
    let Hold::Files(held) = &active.hold else {
        return Ok(None);
    };
    for (pid, before) in held.iter().filter(|(pid, _)| process_exists(*pid)) {
        let target = i32::try_from(*pid).ok().and_then(Pid::from_raw);
        // It may end in this very moment.
        let _ = prlimit(target, Resource::Nofile, *before);
    }
    Ok(None)
}

fn limit(
    world: &mut World,
    active: &mut Active,
    controller: Controller,
    set: impl Fn(&Group, u32) -> std::io::Result<String>,
) -> Result<(), NemesisFault> {
    let mut groups = Vec::new();
    let mut proofs = Vec::new();
    for number in active.victims.nodes.clone() {
        let Some(pid) = world.target.node(number).pid() else {
            continue;
        };
        let name = format!("{}-n{number}", world.run_name);
        let group = Group::plan(controller, &name).ok_or(NemesisFault::Needs {
            fault: active.fault,
            what: "control groups that this user may make",
        })?;
        let limited = || -> std::io::Result<String> {
            world
                .undo
                .promise(Promise::RemoveGroup(group.path().to_owned()))?;
            group.make()?;
            let says = set(&group, pid)?;
            group.add_process(pid)?;
            Ok(says)
        };
        let says = limited().map_err(Active::node_fault("the limit", number))?;
        proofs.push(format!("n{number}: {says}"));
        groups.push((number, group));
    }
    active.hold = Hold::Groups(groups);
    active.proof = Some(Ok(proofs.join(", ")));
    Ok(())
}

fn throttled(group: &Group) -> Proof {
    let stat = fs::read_to_string(group.path().join("cpu.stat")).unwrap_or_default();
    let count = stat
        .lines()
        .find_map(|line| line.strip_prefix("nr_throttled "));
    match count.and_then(|count| count.trim().parse::<u64>().ok()) {
        Some(periods) if periods > 0 => Ok(periods.to_string()),
        _ => Err("it was never throttled".into()),
    }
}

fn resident_bytes(pid: u32) -> std::io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
