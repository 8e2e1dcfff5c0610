//! Where replicas of a cluster that is made up should be, and the one operation that is under way there.

use chronik_admin::v1::{
    ApplyRequest, Move, MoveCheck, MoveState, NodeRemoved, NodeShare, Operation, OperationList,
    OperationRequest, OperationsRequest, PlacementPlan, PlanRequest, RemoveNodeRequest, Throttle,
    ThrottleRequest, Verification, VerifyRequest,
};
use chronik_admin::{AdminError, Code};

use super::admin::{Outcome, Question, order, said, unknown};
use super::play::CLUSTER;
use super::world::{NODES, World};

pub(super) fn say(world: &World, name: &str, question: &Question) -> Outcome {
    match name {
        "Placement.Plan" => plan(world, question.read()),
        "Placement.Apply" => apply(world, question.read()),
        "Placement.Operations" => operations(world, question.read()),
        "Placement.Throttle" => throttle(world, question.read()),
        "Placement.Pause" => order_about(world, name, question.read(), || paused(true)),
        "Placement.Resume" => order_about(world, name, question.read(), || paused(false)),
        "Placement.Cancel" => order_about(world, name, question.read(), || operation(32, true)),
        "Placement.Rollback" => roll_back(world, question.read()),
        "Placement.Verify" => said(verify(question.read())),
        "Placement.RemoveNode" => remove_node(world, question.read()),
        other => Err(unknown(other)),
    }
}

fn plan(world: &World, request: PlanRequest) -> Outcome {
    let node_id = request.node_id;
    if node_id.is_some_and(|node| !NODES.contains(&node)) {
        return Err(
            AdminError::new(Code::NotFound, "there is no node 9").hint("chronikctl node list")
        );
    }
    let is_done = world.has_changed("Placement.Apply");
    let share = |node: u64| NodeShare {
        node_id: node,
        reachable: world.answers(node),
        replicas_before: match (node, is_done) {
            (3, _) => 0,
            (2, true) if world.has_changed("drained 2") => 0,
            _ => 4,
        },
        replicas_after: if node == 3 { 1 } else { 3 },
        preferred_before: 1,
        preferred_after: 1,
        drained: node == 2 && world.has_changed("drained 2"),
        ..NodeShare::default()
    };
    let moves = match (is_done, request.goal.as_str()) {
        (true, _) => Vec::new(),
        _ => vec![Move {
            group: "orders/0".to_owned(),
            from: vec![1, 2],
            to: vec![1, 3],
        }],
    };
    said(PlacementPlan {
        cluster_id: CLUSTER.to_owned(),
        catalog_version: 30,
        goal: request.goal,
        node_id,
        copies: moves.len() as u64,
        moves,
        nodes: NODES.into_iter().map(share).collect(),
        ..PlacementPlan::default()
    })
}

fn apply(world: &World, request: ApplyRequest) -> Outcome {
    if request.moves.iter().any(|one| one.from != [1, 2]) {
        let message = "the layout has changed: orders/0 is on [1, 2], not on [2, 3]";
        return Err(AdminError::new(Code::Stale, message).hint("chronikctl rebalance plan"));
    }
    let carried = (request.expect, request.dry_run);
    let is_drained = request.mark.is_some_and(|mark| mark.drained);
    let outcome = order(world, "Placement.Apply", carried, || {
        said(operation(31, true))
    });
    if is_drained && !request.dry_run {
        world.change("drained 2");
    }
    outcome
}

fn operation(id: u64, is_over: bool) -> Operation {
    let moves = match is_over {
        true => Vec::new(),
        false => vec![MoveState {
            group: "orders/0".to_owned(),
            from: vec![1, 2],
            to: vec![1, 3],
            coming: vec![3],
            going: vec![2],
            entries_total: 100,
            entries_done: 40,
            waits_for: "node 3 does not answer".to_owned(),
            bytes_total: 4_000,
            bytes_done: 1_600,
        }],
    };
    Operation {
        operation_id: id,
        partitions: 1,
        done: u64::from(is_over),
        entries_total: 100,
        entries_done: if is_over { 100 } else { 40 },
        bytes_total: if is_over { 0 } else { 4_000 },
        bytes_done: if is_over { 0 } else { 1_600 },
        moves,
        catalog_version: 30,
        ..Operation::default()
    }
}

fn operations(world: &World, request: OperationsRequest) -> Outcome {
    let operations = match request.operation_id {
        Some(id @ 20..=33) => vec![operation(id, id != 20)],
        Some(id) => return Err(no_operation(id)),
        None if world.is_hurt() => vec![operation(20, false)],
        None => Vec::new(),
    };
    said(OperationList {
        cluster_id: CLUSTER.to_owned(),
        catalog_version: 30,
        operations,
        ..OperationList::default()
    })
}

/// An order about the one operation that is under way.
fn order_about(
    world: &World,
    name: &str,
    request: OperationRequest,
    outcome: impl FnOnce() -> Operation,
) -> Outcome {
    let carried = (request.expect, request.dry_run);
    match request.operation_id {
        20 => order(world, name, carried, || said(outcome())),
        id => Err(no_operation(id)),
    }
}

fn paused(is_paused: bool) -> Operation {
    Operation {
        paused: is_paused,
        ..operation(20, false)
    }
}

fn roll_back(world: &World, request: OperationRequest) -> Outcome {
    let way_back = MoveState {
        group: "orders/0".to_owned(),
        from: vec![1, 3],
        to: vec![1, 2],
        ..MoveState::default()
    };
    let planned = Operation {
        partitions: 1,
        moves: vec![way_back],
        ..Operation::default()
    };
    let back = match request.dry_run {
        true => planned,
        false => operation(33, true),
    };
    order_about(world, "Placement.Rollback", request, || back)
}

fn throttle(world: &World, request: ThrottleRequest) -> Outcome {
    let carried = (request.expect, request.dry_run);
    order(world, "Placement.Throttle", carried, || {
        said(Throttle {
            previous_bytes_per_second: None,
            bytes_per_second: request.bytes_per_second,
            dry_run: request.dry_run,
            catalog_version: 30,
        })
    })
}

/// `orders/0` is on nodes 1 and 2, and nothing else is known.
fn verify(request: VerifyRequest) -> Verification {
    let check = |wanted: Move| {
        let (state, message) = match (&*wanted.from, &*wanted.to) {
            (_, [1, 2]) => ("done", "it is where the plan wants it"),
            ([1, 2], _) => ("pending", "not begun"),
            _ => ("differs", "it is on 1,2"),
        };
        MoveCheck {
            group: wanted.group,
            from: wanted.from,
            to: wanted.to,
            present: vec![1, 2],
            state: state.to_owned(),
            operation_id: None,
            message: message.to_owned(),
        }
    };
    Verification {
        cluster_id: CLUSTER.to_owned(),
        catalog_version: 30,
        moves: request.moves.into_iter().map(check).collect(),
    }
}

fn no_operation(id: u64) -> AdminError {
    let message = format!("there is no operation {id}");
    AdminError::new(Code::NotFound, message).hint("chronikctl rebalance status")
}

fn remove_node(world: &World, request: RemoveNodeRequest) -> Outcome {
    let carried = (request.expect, request.dry_run);
    order(world, "Placement.RemoveNode", carried, || {
        said(NodeRemoved {
            node_id: request.node_id,
            dry_run: request.dry_run,
        })
    })
}
