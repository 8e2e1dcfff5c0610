//! Faults of processes: killed, stopped, restarted, frozen.

use std::io;
use std::time::Duration;

use super::{Active, NemesisFault, Proof, World};
use crate::scenario::Fault;

/// A restarted node serves again before the next one is stopped, or the roll would be a loss of the quorum.
const ROLL_BOUND: Duration = Duration::from_secs(120);

pub(super) fn kill(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut proofs = Vec::new();
    for number in &active.victims.nodes {
        promise_way_back(world, active.fault, *number)?;
        let node = world.target.node(*number);
        node.hold();
        proofs.push(format!("n{number} {}", node.kill()?));
    }
    active.proof = Some(Ok(proofs.join(", ")));
    Ok(())
}

pub(super) fn stop(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut proofs = Vec::new();
    for number in &active.victims.nodes {
        promise_way_back(world, active.fault, *number)?;
        let node = world.target.node(*number);
        node.hold();
        proofs.push(format!("n{number} {}", node.stop()?));
    }
    active.proof = Some(Ok(proofs.join(", ")));
    Ok(())
}

pub(super) fn start_again(
    world: &mut World,
    active: &Active,
) -> Result<Option<Proof>, NemesisFault> {
    for number in &active.victims.nodes {
        let node = world.target.node(*number);
        if node.release() {
            node.start(world.network.as_ref())?;
        }
        was_taken_back(world, active.fault, *number)?;
    }
    Ok(None)
}

pub(super) fn restart(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut proofs = Vec::new();
    for number in &active.victims.nodes {
        promise_way_back(world, active.fault, *number)?;
        let node = world.target.node(*number);
        proofs.push(format!("n{number} {}", node.stop()?));
        node.start(world.network.as_ref())?;
        was_taken_back(world, active.fault, *number)?;
        let node = world.target.node(*number);
        node.await_serving(world.network.as_ref(), ROLL_BOUND)?;
    }
    active.proof = Some(Ok(proofs.join(", ")));
    Ok(())
}

pub(super) fn pause(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut proofs = Vec::new();
    for number in &active.victims.nodes {
        promise_way_back(world, active.fault, *number)?;
        let node = world.target.node(*number);
        proofs.push(format!("n{number} {}", node.pause()?));
    }
    active.proof = Some(Ok(proofs.join(", ")));
    Ok(())
}

pub(super) fn resume(world: &mut World, active: &Active) -> Result<Option<Proof>, NemesisFault> {
    for number in &active.victims.nodes {
        world.target.node(*number).resume()?;
        was_taken_back(world, active.fault, *number)?;
    }
    Ok(None)
}

/// What is done to somebody else's node outlives this run, unless the janitor knows how to take it back.
fn promise_way_back(world: &mut World, fault: Fault, number: u32) -> Result<(), NemesisFault> {
    let way_back = world.target.node(number).way_back(fault);
    let promised = way_back.map_or(Ok(()), |way_back| world.undo.promise(way_back));
    promised.map_err(not_noted(number))
}

fn was_taken_back(world: &mut World, fault: Fault, number: u32) -> Result<(), NemesisFault> {
    let way_back = world.target.node(number).way_back(fault);
    let kept = way_back.map_or(Ok(()), |way_back| world.undo.keep(way_back));
    kept.map_err(not_noted(number))
}

fn not_noted(number: u32) -> impl FnOnce(io::Error) -> NemesisFault {
    Active::node_fault("the note of how to take it back", number)
}
