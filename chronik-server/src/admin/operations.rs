//! Moves that were ordered together, and how far they are. The catalog remembers them: they need nobody who watches.

use std::collections::BTreeMap;

use chronik_admin::v1::{
    CatchUp, MoveState, NodeReplica, Operation, OperationList, OperationsRequest, RaftView, Sender,
};
use chronik_admin::{AdminError, Code};
use chronik_core::catalog::{Catalog, Partition};
use chronik_core::ids::NodeId;

use super::assess::Words;
use super::cluster::words_of;
use super::desk::Desk;
use super::placement::numbers;

impl Desk {
    pub(super) async fn operations(
        &self,
        request: OperationsRequest,
    ) -> Result<OperationList, AdminError> {
        let asked = self.ask_all().await?;
        let view = self.rooms()?.broker.view();
        let catalog = &view.catalog;
        let words = words_of(&asked);
        let mut operations = operations(catalog, request.operation_id, &words);
        if let (Some(wanted), true) = (request.operation_id, operations.is_empty()) {
            return Err(forgotten(wanted));
        }
        operations.sort_by_key(|operation| operation.operation_id);
        Ok(OperationList {
            cluster_id: catalog.cluster_id.to_string(),
            catalog_version: catalog.version,
            operations,
            throttle_bytes_per_second: catalog.throttle,
            senders: senders(&words),
        })
    }

    pub(super) async fn operation(&self, id: u64) -> Result<Operation, AdminError> {
        let request = OperationsRequest {
            operation_id: Some(id),
        };
        let mut found = self.operations(request).await?.operations;
        Ok(found.pop().expect("one that is not found is an error"))
    }
}

pub(super) fn forgotten(id: u64) -> AdminError {
    let message =
        format!("there is no operation {id}; one whose partitions all moved again is forgotten");
    AdminError::new(Code::NotFound, message).hint("chronikctl rebalance status")
}

/// One operation, whether it is over or not, or all that are under way.
fn operations(catalog: &Catalog, wanted: Option<u64>, words: &Words<'_>) -> Vec<Operation> {
    let mut operations: BTreeMap<u64, Operation> = BTreeMap::new();
    for topic in catalog.topics.values() {
        for (number, partition) in topic.partitions.iter().enumerate() {
            let id = partition.moved_at;
            if id == 0 || wanted.is_some_and(|wanted| wanted != id) {
                continue;
            }
            let operation = operations.entry(id).or_default();
            operation.operation_id = id;
            operation.partitions += 1;
            if partition.is_moving() {
                let name = format!("{}/{number}", topic.name);
                let leader = leader(partition, words);
                let rate = leader.and_then(|leader| leader.catch_up.as_ref());
                operation.bytes_per_second += rate.map_or(0, |known| known.bytes_per_second);
                operation.paused = catalog.is_paused(partition);
                let mut state = state(name, partition, leader, words);
                if operation.paused {
                    state.waits_for = format!("operation {id} is paused");
                }
                add(operation, state);
            } else {
                operation.done += 1;
            }
        }
    }
    let is_shown = |operation: &Operation| wanted.is_some() || !operation.moves.is_empty();
    let operations = operations.into_values().filter(is_shown);
    let with_rest = operations.map(|operation| Operation {
        left_ms: left_ms(&operation),
        catalog_version: catalog.version,
        ..operation
    });
    with_rest.collect()
}

fn add(operation: &mut Operation, state: MoveState) {
    operation.entries_total += state.entries_total;
    operation.entries_done += state.entries_done;
    operation.bytes_total += state.bytes_total;
    operation.bytes_done += state.bytes_done;
    operation.moves.push(state);
}

/// How long the rest takes at the present rate.
fn left_ms(operation: &Operation) -> Option<u64> {
    let left = operation.bytes_total.saturating_sub(operation.bytes_done);
    let is_going = !operation.paused && left > 0;
    let ms = left
        .saturating_mul(1000)
        .checked_div(operation.bytes_per_second);
    ms.filter(|_| is_going)
}

/// Who sends to replicas on the move.
fn senders(words: &Words<'_>) -> Vec<Sender> {
    let told = words.iter().filter_map(|(node, said)| {
        let replicas = said.as_ref().ok()?.replicas.iter();
        let sends: Vec<&CatchUp> = replicas
            .filter_map(|replica| replica.catch_up.as_ref())
            .collect();
        (!sends.is_empty()).then(|| Sender {
            node_id: node.0,
            bytes_per_second: sends.iter().map(|known| known.bytes_per_second).sum(),
        })
    });
    told.collect()
}

fn state(
    group: String,
    partition: &Partition,
    leader: Option<&NodeReplica>,
    words: &Words<'_>,
) -> MoveState {
    let (coming, going) = (partition.adding(), partition.removing());
    let mut state = MoveState {
        group,
        from: numbers(partition.way_back()),
        to: numbers(&partition.replicas),
        coming: numbers(&coming),
        going: numbers(&going),
        waits_for: waits_for(&coming, leader, words),
        ..MoveState::default()
    };
    let Some(view) = leader.and_then(|leader| leader.view.as_ref()) else {
        return state;
    };
    // What is older than the first entry comes as a snapshot, which is small.
    let skipped = view.first.saturating_sub(1);
    let entries = view.last.saturating_sub(skipped);
    for node in &coming {
        state.entries_total += entries;
        state.entries_done += held(partition, *node, view, words).saturating_sub(skipped);
    }
    let known = leader.and_then(|leader| leader.catch_up.as_ref());
    state.bytes_total = known.map_or(0, |known| known.log_bytes * coming.len() as u64);
    let share = state.entries_done as f64 / state.entries_total.max(1) as f64;
    state.bytes_done = (state.bytes_total as f64 * share) as u64;
    state
}

/// Up to which entry a node has the log. A new leader does not know it yet, the node itself may be silent.
fn held(partition: &Partition, node: NodeId, leader: &RaftView, words: &Words<'_>) -> u64 {
    let progress = leader.progress.iter().find(|peer| peer.node_id == node.0);
    let matched = progress.map_or(0, |progress| progress.matched);
    let said = words.get(&node).and_then(|said| said.as_ref().ok());
    let mut replicas = said.into_iter().flat_map(|snapshot| &snapshot.replicas);
    let own = replicas.find(|replica| replica.group_id == partition.group.0);
    let own = own.and_then(|replica| replica.view.as_ref());
    matched.max(own.map_or(0, |view| view.persisted.min(leader.last)))
}

/// The replica that leads the group, in the newest term.
fn leader<'a>(partition: &Partition, words: &Words<'a>) -> Option<&'a NodeReplica> {
    let snapshots = words.values().flatten();
    let replicas = snapshots.flat_map(|snapshot| &snapshot.replicas);
    let leads = |replica: &&NodeReplica| {
        let view = replica.view.as_ref();
        replica.group_id == partition.group.0 && view.is_some_and(|view| view.role == "leader")
    };
    let term = |replica: &&NodeReplica| replica.view.as_ref().map(|view| view.term);
    replicas.filter(leads).max_by_key(term)
}

fn waits_for(coming: &[NodeId], leader: Option<&NodeReplica>, words: &Words<'_>) -> String {
    let Some(leader) = leader else {
        return "the group has no leader".to_owned();
    };
    let is_silent = |node: &&NodeId| words.get(node).is_none_or(Result::is_err);
    if let Some(node) = coming.iter().find(is_silent) {
        return format!("node {node} does not answer");
    }
    let sender = leader.view.as_ref().map_or(0, |view| view.node_id);
    match &leader.catch_up {
        Some(known) if known.waits_for_turn => format!("its turn on node {sender}"),
        Some(known) if !known.held_back.is_empty() => format!("the throttle of node {sender}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chronik_admin::v1::{NodeWords, Progress};
    use chronik_core::catalog::{Command, Destination, Expected, Move, NewTopic, Node, Order};
    use chronik_core::ids::TopicId;

    use super::*;

    const TOPIC: TopicId = TopicId([7; 16]);

    fn nodes(ids: &[u64]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    /// Two partitions on nodes 1 to 3; both go to node 4 instead of node 1.
    fn moving() -> Catalog {
        let mut catalog = Catalog::default();
        for id in nodes(&[1, 2, 3, 4]) {
            let node = Node {
                id,
                incarnation: 1,
                peer_address: String::new(),
                kafka_host: String::new(),
                kafka_port: 9092,
                rack: None,
            };
            catalog.nodes.insert(id, Arc::new(node));
        }
        catalog.apply(Command::CreateTopics(vec![NewTopic {
            name: "orders".to_owned(),
            id: TOPIC,
            internal: false,
            partitions: vec![nodes(&[1, 2, 3]); 2],
            configs: Vec::new(),
        }]));
        let moves = (0..2).map(|partition| Move {
            topic: TOPIC,
            partition,
            to: Destination::Nodes(nodes(&[4, 2, 3])),
            expected: Expected::Anything,
        });
        catalog.apply(Command::MoveReplicas(Order {
            moves: moves.collect(),
            ..Order::default()
        }));
        catalog
    }

    fn copied(matched: u64) -> NodeWords {
        let view = RaftView {
            node_id: 2,
            role: "leader".to_owned(),
            first: 11,
            last: 110,
            progress: vec![Progress {
                node_id: 4,
                matched,
                ..Progress::default()
            }],
            ..RaftView::default()
        };
        let catch_up = CatchUp {
            log_bytes: 2000,
            bytes_per_second: 40,
            held_back: vec![4],
            waits_for_turn: false,
        };
        NodeWords {
            replicas: vec![NodeReplica {
                group_id: 1024,
                view: Some(view),
                catch_up: Some(catch_up),
            }],
            ..NodeWords::default()
        }
    }

    #[test]
    fn an_operation_is_what_one_order_moved() {
        let mut catalog = moving();
        let id = catalog.version;
        let one = copied(60);
        let other = NodeWords::default();
        let words = Words::from([(NodeId(2), Ok(&one)), (NodeId(4), Ok(&other))]);
        let found = operations(&catalog, None, &words);
        assert_eq!(found.len(), 1);
        let operation = &found[0];
        assert_eq!((operation.operation_id, operation.partitions), (id, 2));
        assert_eq!((operation.entries_total, operation.entries_done), (100, 50));
        assert_eq!((operation.bytes_total, operation.bytes_done), (2000, 1000));
        assert_eq!(operation.bytes_per_second, 40);
        assert_eq!(operation.left_ms, Some(25_000));
        let sends = Sender {
            node_id: 2,
            bytes_per_second: 40,
        };
        assert_eq!(senders(&words), [sends]);
        assert_eq!(operation.moves[0].waits_for, "the throttle of node 2");
        assert_eq!(operation.moves[1].waits_for, "the group has no leader");
        let silent = Words::from([(NodeId(2), Ok(&one)), (NodeId(4), Err("silent"))]);
        let found = operations(&catalog, Some(id), &silent);
        assert_eq!(found[0].moves[0].waits_for, "node 4 does not answer");
        for partition in 0..2 {
            catalog.apply(Command::FinishMove {
                topic: TOPIC,
                partition,
                moved_at: id,
            });
        }
        assert_eq!(operations(&catalog, None, &words), vec![]);
        let over = operations(&catalog, Some(id), &words);
        assert_eq!((over[0].partitions, over[0].done), (2, 2));
        assert_eq!(operations(&catalog, Some(id + 1), &words), vec![]);
    }
}
