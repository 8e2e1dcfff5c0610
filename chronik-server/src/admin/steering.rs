//! Operations that were begun: how fast they go, whether they stand still, go back, or are where their plan wanted.

use chronik_admin::v1::{
    self, Limit, Move, MoveCheck, MoveState, Operation, OperationRequest, Throttle,
    ThrottleRequest, Verification, VerifyRequest,
};
use chronik_admin::{AdminError, Code};
use chronik_core::catalog::{
    self, Catalog, Command, Destination, DrainMark, Expected, Order, Outcome, Partition, Refused,
};
use chronik_core::ids::NodeId;
use tracing::info;

use super::desk::Desk;
use super::names::listed;
use super::operations::forgotten;
use super::placement::{ORDER_TIMEOUT, limit, locate, not_ordered, numbers, refused};

impl Desk {
    /// How many bytes in a second each node sends at most to replicas on the move.
    pub(super) async fn throttle(&self, request: ThrottleRequest) -> Result<Throttle, AdminError> {
        let broker = &self.rooms()?.broker;
        let view = broker.view();
        self.check_cluster(request.expect.as_ref())?;
        let wanted = limit(Limit {
            bytes_per_second: request.bytes_per_second,
        })?;
        let expected = request.expected.map(|limit| limit.bytes_per_second);
        let told = Throttle {
            previous_bytes_per_second: view.catalog.throttle,
            bytes_per_second: wanted,
            dry_run: request.dry_run,
            catalog_version: view.catalog.version,
        };
        if request.dry_run {
            let mut trial = view.catalog.clone();
            let limit = wanted;
            return match trial.apply(Command::SetThrottle { limit, expected }) {
                Outcome::Refused(why) => Err(refused(why)),
                _ => Ok(told),
            };
        }
        let set = broker.throttle_moves(wanted, expected, ORDER_TIMEOUT).await;
        set.map_err(not_ordered)?.map_err(refused)?;
        info!(
            request = request.request_id,
            ?wanted,
            "an operator throttles moves"
        );
        Ok(Throttle {
            catalog_version: broker.view().catalog.version,
            ..told
        })
    }

    /// The moves of an operation stand still.
    pub(super) async fn pause(&self, request: OperationRequest) -> Result<Operation, AdminError> {
        self.set_paused(request, true).await
    }

    /// They go on where they were.
    pub(super) async fn resume(&self, request: OperationRequest) -> Result<Operation, AdminError> {
        self.set_paused(request, false).await
    }

    async fn set_paused(
        &self,
        request: OperationRequest,
        is_paused: bool,
    ) -> Result<Operation, AdminError> {
        let broker = &self.rooms()?.broker;
        let id = request.operation_id;
        self.check_cluster(request.expect.as_ref())?;
        let present = self.under_way(id).await?;
        if request.dry_run {
            return Ok(present);
        }
        let set = broker.pause_moves(id, is_paused, ORDER_TIMEOUT).await;
        set.map_err(not_ordered)?.map_err(refused)?;
        info!(
            request = request.request_id,
            operation = id,
            is_paused,
            "an operator pauses moves or lets them go on"
        );
        self.operation(id).await
    }

    /// Brings back the partitions of an operation that have not arrived.
    pub(super) async fn cancel(&self, request: OperationRequest) -> Result<Operation, AdminError> {
        let view = self.rooms()?.broker.view();
        self.check_cluster(request.expect.as_ref())?;
        let present = self.under_way(request.operation_id).await?;
        if request.dry_run {
            return Ok(present);
        }
        let groups = present.moves.iter().map(|one| one.group.as_str());
        let order = Order {
            moves: headed(
                &view.catalog,
                request.operation_id,
                groups,
                &Destination::Back,
            )?,
            ..Order::default()
        };
        let operation = self.order(order).await?;
        info!(
            request = request.request_id,
            cancelled = request.operation_id,
            operation,
            "an operator brings partitions back"
        );
        self.operation(operation).await
    }

    /// Brings back all partitions of an operation, whether they have arrived or not. A node that gets something back is
    /// not drained any more.
    pub(super) async fn roll_back(
        &self,
        request: OperationRequest,
    ) -> Result<Operation, AdminError> {
        let view = self.rooms()?.broker.view();
        let catalog = &view.catalog;
        self.check_cluster(request.expect.as_ref())?;
        let ways = ways_back(catalog, request.operation_id)?;
        let mark = undrained(catalog, &ways)?;
        let groups = ways.iter().map(|way| way.group.as_str());
        let order = Order {
            moves: headed(catalog, request.operation_id, groups, &Destination::Home)?,
            mark,
            ..Order::default()
        };
        let mut trial = catalog.clone();
        if let Outcome::Refused(why) = trial.apply(Command::MoveReplicas(order.clone())) {
            return Err(refused(why));
        }
        let mark = mark.map(|mark| v1::DrainMark {
            node_id: mark.node.0,
            drained: mark.is_drained,
        });
        if request.dry_run {
            return Ok(Operation {
                partitions: ways.len() as u64,
                moves: ways,
                mark,
                ..Operation::default()
            });
        }
        let operation = self.order(order).await?;
        info!(
            request = request.request_id,
            rolled_back = request.operation_id,
            operation,
            ?mark,
            "an operator takes an operation back"
        );
        Ok(Operation {
            mark,
            ..self.operation(operation).await?
        })
    }

    /// Where the partitions of a plan are now.
    pub(super) async fn verify(&self, request: VerifyRequest) -> Result<Verification, AdminError> {
        let view = self.rooms()?.broker.view();
        let checks = request.moves.iter().map(|one| check(&view.catalog, one));
        Ok(Verification {
            cluster_id: view.catalog.cluster_id.to_string(),
            catalog_version: view.catalog.version,
            moves: checks.collect::<Result<_, AdminError>>()?,
        })
    }

    /// An operation of which something has not arrived.
    async fn under_way(&self, id: u64) -> Result<Operation, AdminError> {
        let present = self.operation(id).await?;
        match present.moves.is_empty() {
            false => Ok(present),
            true => Err(nothing_left("NOTHING_UNDER_WAY", id, "has arrived already")),
        }
    }
}

fn nothing_left(check: &str, id: u64, why: &str) -> AdminError {
    let message = format!("{check}: operation {id} {why}");
    AdminError::new(Code::Blocked, message).hint(format!("chronikctl rebalance status {id}"))
}

/// Partitions of an operation go somewhere else, if none of them moved again since.
fn headed<'a>(
    catalog: &Catalog,
    since: u64,
    groups: impl Iterator<Item = &'a str>,
    to: &Destination,
) -> Result<Vec<catalog::Move>, AdminError> {
    let wanted = groups.map(|group| {
        let (topic, partition, _) = locate(catalog, group)?;
        Ok(catalog::Move {
            topic: topic.id,
            partition,
            to: to.clone(),
            expected: Expected::Moving { since },
        })
    });
    wanted.collect()
}

/// From where to where the partitions of an operation go back.
fn ways_back(catalog: &Catalog, id: u64) -> Result<Vec<MoveState>, AdminError> {
    let topics = catalog.topics.values();
    let partitions = topics.flat_map(|topic| {
        let numbered = topic.partitions.iter().enumerate();
        numbered.map(move |(number, partition)| (format!("{}/{number}", topic.name), partition))
    });
    let own = partitions.filter(|(_, partition)| id > 0 && partition.moved_at == id);
    let own: Vec<(String, &Partition)> = own.collect();
    if own.is_empty() {
        return Err(forgotten(id));
    }
    let mut ways = Vec::new();
    for (group, partition) in own {
        let to = partition.way_back();
        if to.is_empty() {
            let message = format!("NO_WAY_BACK: it is not known where {group} was before");
            return Err(AdminError::new(Code::Blocked, message)
                .hint(format!("chronikctl partition move {group} --to NODES")));
        }
        let mut gone = to.iter().filter(|node| !catalog.nodes.contains_key(*node));
        if let Some(node) = gone.next().filter(|_| !partition.is_moving()) {
            let message = format!("NODE_GONE: {group} was on node {node}, which has left");
            return Err(AdminError::new(Code::Blocked, message).hint("chronikctl rebalance plan"));
        }
        if to != partition.replicas {
            ways.push(MoveState {
                group,
                from: numbers(&partition.replicas),
                to: numbers(to),
                ..MoveState::default()
            });
        }
    }
    match ways.is_empty() {
        false => Ok(ways),
        true => Err(nothing_left(
            "NOTHING_TO_ROLL_BACK",
            id,
            "went back already",
        )),
    }
}

/// The drained node that gets something back; an order can say that of one node only.
fn undrained(catalog: &Catalog, ways: &[MoveState]) -> Result<Option<DrainMark>, AdminError> {
    let comes =
        |way: &&MoveState, node: &NodeId| way.to.contains(&node.0) && !way.from.contains(&node.0);
    let gets = |node: &&NodeId| ways.iter().any(|way| comes(&way, node));
    let mut drained = catalog.drained.iter().filter(gets);
    let first = drained.next().map(|node| DrainMark {
        node: *node,
        is_drained: false,
    });
    match drained.next() {
        None => Ok(first),
        Some(node) => Err(refused(Refused::Drained(*node))),
    }
}

fn check(catalog: &Catalog, wanted: &Move) -> Result<MoveCheck, AdminError> {
    let told = MoveCheck {
        group: wanted.group.clone(),
        from: wanted.from.clone(),
        to: wanted.to.clone(),
        ..MoveCheck::default()
    };
    let (state, partition, message) = match locate(catalog, &wanted.group) {
        Err(error) if error.code == Code::NotFound => {
            ("differs", None, "there is no such partition".to_owned())
        }
        Err(error) => return Err(error),
        Ok((_, _, partition)) => {
            let (state, message) = compare(partition, wanted);
            (state, Some(partition), message)
        }
    };
    let moving = partition.filter(|partition| partition.is_moving());
    Ok(MoveCheck {
        present: partition.map_or_else(Vec::new, |partition| numbers(&partition.replicas)),
        state: state.to_owned(),
        operation_id: moving.map(|partition| partition.moved_at),
        message,
        ..told
    })
}

fn compare(partition: &Partition, wanted: &Move) -> (&'static str, String) {
    let present = numbers(&partition.replicas);
    match (partition.is_moving(), present == wanted.to) {
        (false, true) => ("done", "it is where the plan wants it".to_owned()),
        (true, true) => {
            let message = format!("on its way, by operation {}", partition.moved_at);
            ("pending", message)
        }
        (false, false) if present == wanted.from => ("pending", "not begun".to_owned()),
        (false, false) => (
            "differs",
            format!("it is on {}", listed(&partition.replicas)),
        ),
        (true, false) => {
            let message = format!(
                "operation {} moves it to {}",
                partition.moved_at,
                listed(&partition.replicas)
            );
            ("differs", message)
        }
    }
}
