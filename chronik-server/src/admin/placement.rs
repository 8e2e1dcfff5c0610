//! Where replicas should be: plans that change nothing, and orders that begin what a plan says.

use std::time::Duration;

use chronik_admin::v1::{
    ApplyRequest, Limit, Move, NodeRemoved, NodeShare, Operation, PlacementPlan, PlanRequest,
    RemoveNodeRequest,
};
use chronik_admin::{AdminError, Code};
use chronik_core::catalog::{
    self, Catalog, Command, Destination, DrainMark, Expected, Order, Outcome, Partition, Refused,
    Topic,
};
use chronik_core::ids::{GroupUid, NodeId};
use chronik_core::plan::rebalance::{self, Change, Goal, Impossible, Layout};
use tracing::info;

use super::desk::Desk;
use super::names;
use crate::broker::ProposeError;

/// How long an order may take until it is in the catalog.
pub(super) const ORDER_TIMEOUT: Duration = Duration::from_secs(4);

/// A single message would take minutes.
const LEAST_BYTES_PER_SECOND: u64 = 1024;

impl Desk {
    /// What would have to move to reach a goal.
    pub(super) async fn plan(&self, request: PlanRequest) -> Result<PlacementPlan, AdminError> {
        let goal = goal(&request)?;
        let view = self.rooms()?.broker.view();
        let catalog = &view.catalog;
        let sights = self.sights().await?;
        let is_alive = |node: NodeId| {
            let sight = sights.iter().find(|sight| sight.node == node);
            node == self.about.node || sight.is_some_and(|sight| sight.is_alive)
        };
        // Who gets its share is not drained any more.
        let is_drained = |node: NodeId| catalog.drained.contains(&node) && goal != Goal::Fill(node);
        let may_get = |node: NodeId| is_alive(node) && !is_drained(node);
        let layout = Layout::of(catalog, may_get);
        let changes = rebalance::plan(&layout, goal).map_err(impossible)?;
        let names = names::all(catalog);
        let wanted = |change: &Change| Move {
            group: names[&change.group].name.clone(),
            from: numbers(&change.from),
            to: numbers(&change.to),
        };
        let copies = changes.iter().map(|change| change.copies() as u64);
        let reorders = changes.iter().filter(|change| change.copies() == 0);
        let moving = layout.partitions.iter().filter(|placed| placed.is_moving);
        Ok(PlacementPlan {
            cluster_id: catalog.cluster_id.to_string(),
            catalog_version: catalog.version,
            goal: request.goal,
            node_id: request.node_id,
            moves: changes.iter().map(wanted).collect(),
            copies: copies.sum(),
            reorders: reorders.count() as u64,
            nodes: shares(catalog, is_alive, &layout, &layout.after(&changes)),
            moving: moving.count() as u64,
        })
    }

    /// Begins moves, if every partition is where it is said to be.
    pub(super) async fn apply(&self, request: ApplyRequest) -> Result<Operation, AdminError> {
        let rooms = self.rooms()?;
        let view = rooms.broker.view();
        self.check_cluster(request.expect.as_ref())?;
        let stale: Vec<String> = differences(&view.catalog, &request.moves)?;
        if !stale.is_empty() {
            let message = format!("the layout has changed: {}", stale.join("; "));
            return Err(AdminError::new(Code::Stale, message).hint("chronikctl rebalance plan"));
        }
        let throttle = request.throttle.map(limit).transpose()?;
        if request.moves.is_empty() && request.mark.is_none() {
            let message = "there is nothing to move";
            return Err(AdminError::new(Code::InvalidArgument, message));
        }
        let moves = request.moves.iter().map(|one| {
            let (topic, partition, _) = locate(&view.catalog, &one.group)?;
            Ok(catalog::Move {
                topic: topic.id,
                partition,
                to: Destination::Nodes(node_ids(&one.to)),
                expected: Expected::At(node_ids(&one.from)),
            })
        });
        let moves = moves.collect::<Result<Vec<_>, AdminError>>()?;
        let mark = request.mark.map(|mark| DrainMark {
            node: NodeId(mark.node_id),
            is_drained: mark.drained,
        });
        let order = Order {
            moves,
            mark,
            throttle,
            ..Order::default()
        };
        if request.dry_run {
            let mut trial = view.catalog.clone();
            return match trial.apply(Command::MoveReplicas(order)) {
                Outcome::Refused(why) => Err(refused(why)),
                _ => Ok(Operation {
                    partitions: request.moves.len() as u64,
                    ..Operation::default()
                }),
            };
        }
        let operation = self.order(order).await?;
        info!(
            request = request.request_id,
            operation,
            partitions = request.moves.len(),
            ?mark,
            ?throttle,
            "an operator moves partitions"
        );
        match operation {
            0 => Ok(Operation::default()),
            operation => self.operation(operation).await,
        }
    }

    /// Lets a node leave for good.
    pub(super) async fn remove_node(
        &self,
        request: RemoveNodeRequest,
    ) -> Result<NodeRemoved, AdminError> {
        let rooms = self.rooms()?;
        self.check_cluster(request.expect.as_ref())?;
        let node = NodeId(request.node_id);
        if request.dry_run {
            let mut trial = rooms.broker.view().catalog.clone();
            return match trial.apply(Command::RemoveNode(node)) {
                Outcome::Refused(why) => Err(refused(why)),
                _ => Ok(NodeRemoved {
                    node_id: node.0,
                    dry_run: true,
                }),
            };
        }
        let removed = rooms.broker.remove_node(node, ORDER_TIMEOUT).await;
        removed.map_err(not_ordered)?.map_err(refused)?;
        info!(request = request.request_id, %node, "an operator lets a node leave");
        Ok(NodeRemoved {
            node_id: node.0,
            dry_run: false,
        })
    }

    /// One proposal for all moves; the version of the catalog that has them is the number of the operation. Zero if
    /// nothing moves.
    pub(super) async fn order(&self, order: Order) -> Result<u64, AdminError> {
        let last = order.moves.last().map(|one| one.partition as usize);
        let broker = &self.rooms()?.broker;
        let ordered = broker.carry_out(order, ORDER_TIMEOUT).await;
        let topics = ordered.map_err(not_ordered)?.map_err(refused)?;
        let newest = topics.last().zip(last);
        Ok(newest.map_or(0, |(topic, number)| topic.partitions[number].moved_at))
    }
}

/// The partition that is called so.
pub(super) fn locate<'a>(
    catalog: &'a Catalog,
    name: &str,
) -> Result<(&'a Topic, u32, &'a Partition), AdminError> {
    let uid = names::find(catalog, name)?;
    let mut found = catalog.topics.values().flat_map(|topic| {
        let numbered = (0u32..).zip(&topic.partitions);
        numbered.map(move |(number, partition)| (&**topic, number, partition))
    });
    let found = found.find(|(_, _, partition)| partition.group == uid);
    found.ok_or_else(|| {
        let message = "the metadata group moves with its nodes, not by itself";
        debug_assert_eq!(uid, GroupUid::META);
        AdminError::new(Code::InvalidArgument, message).hint("chronikctl node decommission")
    })
}

pub(super) fn numbers(nodes: &[NodeId]) -> Vec<u64> {
    nodes.iter().map(|node| node.0).collect()
}

fn node_ids(nodes: &[u64]) -> Vec<NodeId> {
    nodes.iter().map(|node| NodeId(*node)).collect()
}

/// Where partitions are not where moves expect them.
fn differences(catalog: &Catalog, moves: &[Move]) -> Result<Vec<String>, AdminError> {
    let mut found = Vec::new();
    for one in moves {
        let name = &one.group;
        match locate(catalog, name) {
            Err(error) if error.code == Code::NotFound => found.push(format!("{name} is gone")),
            Err(error) => return Err(error),
            Ok((_, _, partition)) if partition.is_moving() => {
                found.push(format!("{name} moves already"));
            }
            Ok((_, _, partition)) if numbers(&partition.replicas) != one.from => {
                let (present, from) = (numbers(&partition.replicas), &one.from);
                found.push(format!("{name} is on {present:?}, not on {from:?}"));
            }
            Ok(_) => {
                let is_known = |node: &&u64| catalog.nodes.contains_key(&NodeId(**node));
                let mut strangers = one.to.iter().filter(|node| !is_known(node));
                found.extend(strangers.next().map(|node| format!("node {node} is gone")));
            }
        }
    }
    found.dedup();
    Ok(found)
}

fn goal(request: &PlanRequest) -> Result<Goal, AdminError> {
    match (request.goal.as_str(), request.node_id) {
        ("balance", None) => Ok(Goal::Balance),
        ("leaders", None) => Ok(Goal::Leaders),
        ("drain", Some(node)) => Ok(Goal::Drain(NodeId(node))),
        ("fill", Some(node)) => Ok(Goal::Fill(NodeId(node))),
        (other, _) => Err(
            AdminError::new(Code::InvalidArgument, format!("{other:?} is no goal"))
                .hint("goal is balance or leaders, or drain or fill with a node_id"),
        ),
    }
}

fn shares(
    catalog: &Catalog,
    is_alive: impl Fn(NodeId) -> bool,
    before: &Layout,
    after: &Layout,
) -> Vec<NodeShare> {
    let (old, new) = (before.shares(), after.shares());
    let share = |node: &NodeId| {
        let member = catalog.nodes.get(node);
        let (held, led) = old.get(node).copied().unwrap_or_default();
        let (holds, leads) = new.get(node).copied().unwrap_or_default();
        NodeShare {
            node_id: node.0,
            rack: member.and_then(|member| member.rack.clone()),
            reachable: is_alive(*node),
            drained: catalog.drained.contains(node),
            replicas_before: held as u64,
            replicas_after: holds as u64,
            preferred_before: led as u64,
            preferred_after: leads as u64,
        }
    };
    let mut nodes: Vec<NodeId> = catalog.nodes.keys().copied().collect();
    nodes.extend(old.keys().filter(|node| !catalog.nodes.contains_key(*node)));
    nodes.iter().map(share).collect()
}

/// A limit that is worth its name: nothing at all is a pause.
pub(super) fn limit(limit: Limit) -> Result<Option<u64>, AdminError> {
    match limit.bytes_per_second {
        Some(rate) if rate < LEAST_BYTES_PER_SECOND => {
            let message =
                format!("{rate} bytes in a second are less than {LEAST_BYTES_PER_SECOND}");
            Err(AdminError::new(Code::InvalidArgument, message).hint("chronikctl rebalance pause"))
        }
        rate => Ok(rate),
    }
}

fn impossible(refused: Impossible) -> AdminError {
    match refused {
        Impossible::UnknownNode(_) => {
            AdminError::new(Code::NotFound, refused.to_string()).hint("chronikctl node list")
        }
        Impossible::NoRoom { .. } => {
            AdminError::new(Code::Blocked, format!("NO_ROOM: {refused}")).hint("add a node first")
        }
        Impossible::Moving { .. } => {
            let message = format!("OPERATION_RUNNING: {refused}");
            AdminError::new(Code::Blocked, message).hint("chronikctl rebalance status")
        }
    }
}

pub(super) fn refused(refused: Refused) -> AdminError {
    match &refused {
        Refused::UnknownNode(_) => {
            AdminError::new(Code::NotFound, refused.to_string()).hint("chronikctl node list")
        }
        Refused::UnknownPartition | Refused::Elsewhere { .. } | Refused::MovesAlready { .. } => {
            let message = format!("the layout has changed: {refused}");
            AdminError::new(Code::Stale, message).hint("chronikctl rebalance plan")
        }
        Refused::Drained(node) => {
            let message = format!("DRAINED: {refused}");
            AdminError::new(Code::Blocked, message).hint(format!("chronikctl node undrain {node}"))
        }
        Refused::OtherVoters => {
            let hint = "chronikctl raft status --group meta";
            AdminError::new(Code::Stale, refused.to_string()).hint(hint)
        }
        Refused::UnknownTopic => {
            AdminError::new(Code::NotFound, refused.to_string()).hint("chronikctl topic list")
        }
        Refused::StillHolds { node, .. } => {
            let message = format!("STILL_HOLDS: {refused}");
            AdminError::new(Code::Blocked, message).hint(format!("chronikctl node drain {node}"))
        }
        Refused::NoMove | Refused::NoOperation(_) | Refused::OtherThrottle => {
            AdminError::new(Code::Stale, refused.to_string()).hint("chronikctl rebalance status")
        }
        _ => AdminError::new(Code::Blocked, refused.to_string()),
    }
}

pub(super) fn not_ordered(error: ProposeError) -> AdminError {
    let code = match &error {
        ProposeError::NotLeader(_) => Code::NoLeader,
        ProposeError::TimedOut => Code::Deadline,
        ProposeError::Stopping => Code::NotReady,
        ProposeError::DiskFull => Code::Overloaded,
    };
    AdminError::new(code, error.to_string()).hint("chronikctl raft status --group meta")
}
