//! Power loss: what the drive has not confirmed is gone, for one node or for all at once.

use super::{Active, NemesisFault, Proof, World};

pub(super) fn cut(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let nodes = active.victims.nodes.clone();
    // A machine without power does nothing any more, least of all react to an I/O error.
    for number in &nodes {
        let node = world.target.node(*number);
        node.hold();
        node.pause()?;
    }
    for number in &nodes {
        let disk = world
            .target
            .node(*number)
            .disk
            .as_ref()
            .ok_or(NemesisFault::Needs {
                fault: active.fault,
                what: "a disk of its own under each node",
            })?;
        disk.stir_canary()
            .map_err(Active::node_fault("the unflushed write", *number))?;
    }
    for number in &nodes {
        if let Some(disk) = &world.target.node(*number).disk {
            disk.cut_power()
                .map_err(Active::node_fault("the power cut", *number))?;
        }
    }
    for number in &nodes {
        world.target.node(*number).kill()?;
    }
    Ok(())
}

pub(super) fn restore(world: &mut World, active: &Active) -> Result<Option<Proof>, NemesisFault> {
    let mut proofs = Vec::new();
    for number in &active.victims.nodes {
        let node = world.target.node(*number);
        if let Some(disk) = &mut node.disk {
            disk.restore_power()
                .map_err(Active::node_fault("the disk after the power cut", *number))?;
            let verdict = disk.canary_verdict();
            proofs.push(match verdict {
                Ok(proof) => Ok(format!("n{number}: {proof}")),
                Err(doubt) => Err(format!("n{number}: {doubt}")),
            });
            disk.plant_canary()
                .map_err(Active::node_fault("the canary", *number))?;
        }
    }
    for number in &active.victims.nodes {
        let node = world.target.node(*number);
        if node.release() {
            node.start(world.network.as_ref())?;
        }
    }
    let proofs: Result<Vec<String>, String> = proofs.into_iter().collect();
    Ok(Some(proofs.map(|proofs| proofs.join("; "))))
}
