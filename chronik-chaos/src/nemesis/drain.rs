//! Membership changes under load: all replicas of a node move to other nodes, and come back.

use std::net::SocketAddr;

use chronik_local::probe;
use serde_json::{Value, json};

use super::{Active, NemesisFault, Proof, World};
use crate::workload::{cluster_view, replicas_on};

pub(super) fn begin(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut said = Vec::new();
    for number in active.victims.nodes.clone() {
        said.push(world.at_clients(|world| order(world, number, Mark::Drained)));
    }
    // Whether they went is seen when it is over.
    if let Some(refused) = said.into_iter().find_map(Result::err) {
        active.proof = Some(Err(refused));
    }
    Ok(())
}

pub(super) fn end(world: &mut World, active: &Active) -> Result<Option<Proof>, NemesisFault> {
    let mut proofs = Vec::new();
    for number in active.victims.nodes.clone() {
        proofs.push(world.at_clients(|world| {
            let left = replicas_on(&world.target.bootstrap(), number);
            order(world, number, Mark::Welcome)?;
            match left {
                Some(0) => Ok(format!("no replica was left on n{number}")),
                Some(left) => Err(format!("{left} replicas were still on n{number}")),
                None => Err("nobody told where replicas are".to_owned()),
            }
        }));
    }
    let proofs: Result<Vec<String>, String> = proofs.into_iter().collect();
    Ok(Some(proofs.map(|proofs| proofs.join(", "))))
}

/// What becomes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Drained,
    Welcome,
}

/// Lets the cluster plan, and gives it its own plan to carry out.
fn order(world: &World, number: u32, mark: Mark) -> Result<String, String> {
    let admin = |node: u32| world.target.nodes[node as usize - 1].admin;
    let view = cluster_view(&world.target.bootstrap(), 0, None);
    // The node itself may be the one that is in trouble.
    let door = admin(view.metadata_leader.unwrap_or(number));
    let is_drained = mark == Mark::Drained;
    let marked = json!({ "mark": { "node_id": number, "drained": is_drained } });
    if !is_drained {
        // A node that is marked gets nothing, so the mark goes first.
        post(door, "/v1/placement/apply", &marked)?;
    }
    let goal = if is_drained { "drain" } else { "fill" };
    let path = format!("/v1/placement/plan?goal={goal}&node_id={number}");
    let plan = probe::http_ok(door, &path).ok_or_else(|| format!("no plan to {goal} n{number}"))?;
    let plan: Value = serde_json::from_str(&plan).map_err(|error| error.to_string())?;
    let mut apply =
        json!({ "moves": plan["moves"], "request_id": format!("chaos-{goal}-{number}") });
    if is_drained {
        apply["mark"] = marked["mark"].clone();
    }
    post(door, "/v1/placement/apply", &apply)
}

fn post(door: SocketAddr, path: &str, body: &Value) -> Result<String, String> {
    match probe::http_post(door, path, &body.to_string()) {
        Ok((200, answer)) => Ok(answer),
        Ok((status, answer)) => Err(format!("{path} was answered with {status}: {answer}")),
        Err(error) => Err(format!("{path} was not answered: {error}")),
    }
}
