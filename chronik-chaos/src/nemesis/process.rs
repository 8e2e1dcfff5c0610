//! Faults of processes: killed, stopped, restarted, frozen.

use std::time::Duration;

use super::{Active, NemesisFault, Proof, World};

/// A restarted node serves again before the next one is stopped, or the roll would be a loss of the quorum.
const ROLL_BOUND: Duration = Duration::from_secs(120);

pub(super) fn kill(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut proofs = Vec::new();
    for number in &active.victims.nodes {
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
    }
    Ok(None)
}

pub(super) fn restart(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut proofs = Vec::new();
    for number in &active.victims.nodes {
        let node = world.target.node(*number);
        proofs.push(format!("n{number} {}", node.stop()?));
        node.start(world.network.as_ref())?;
        node.await_serving(world.network.as_ref(), ROLL_BOUND)?;
    }
    active.proof = Some(Ok(proofs.join(", ")));
    Ok(())
}

pub(super) fn pause(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut proofs = Vec::new();
    for number in &active.victims.nodes {
        let node = world.target.node(*number);
        proofs.push(format!("n{number} {}", node.pause()?));
    }
    active.proof = Some(Ok(proofs.join(", ")));
    Ok(())
}

pub(super) fn resume(world: &mut World, active: &Active) -> Result<Option<Proof>, NemesisFault> {
    for number in &active.victims.nodes {
        world.target.node(*number).resume()?;
    }
    Ok(None)
}
