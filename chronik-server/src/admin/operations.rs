//! Moves that were ordered together, and how far they are. The catalog remembers them: they need nobody who watches.

use std::collections::BTreeMap;

use chronik_admin::v1::{MoveState, Operation, OperationList, OperationsRequest, RaftView};
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
        let mut operations = operations(catalog, request.operation_id, &words_of(&asked));
        if let (Some(wanted), true) = (request.operation_id, operations.is_empty()) {
            let message = format!(
                "there is no operation {wanted}; one whose partitions all moved again is forgotten"
            );
            return Err(
                AdminError::new(Code::NotFound, message).hint("chronikctl rebalance status")
            );
        }
        operations.sort_by_key(|operation| operation.operation_id);
        Ok(OperationList {
            cluster_id: catalog.cluster_id.to_string(),
            catalog_version: catalog.version,
            operations,
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
                let state = state(name, partition, words);
                operation.entries_total += state.entries_total;
                operation.entries_done += state.entries_done;
                operation.moves.push(state);
            } else {
                operation.done += 1;
            }
        }
    }
    let is_shown = |operation: &Operation| wanted.is_some() || !operation.moves.is_empty();
    operations.into_values().filter(is_shown).collect()
}

fn state(group: String, partition: &Partition, words: &Words<'_>) -> MoveState {
    let (coming, going) = (partition.adding(), partition.removing());
    let leader = leader(partition, words);
    let mut state = MoveState {
        group,
        from: numbers(&partition.before),
        to: numbers(&partition.replicas),
        coming: numbers(&coming),
        going: numbers(&going),
        waits_for: waits_for(&coming, leader, words),
        ..MoveState::default()
    };
    if let Some(leader) = leader {
        // What is older than the first entry comes as a snapshot, which is small.
        let skipped = leader.first.saturating_sub(1);
        for node in &coming {
            let progress = leader.progress.iter().find(|peer| peer.node_id == node.0);
            let matched = progress.map_or(0, |progress| progress.matched);
            state.entries_total += leader.last.saturating_sub(skipped);
            state.entries_done += matched.saturating_sub(skipped);
        }
    }
    state
}

/// The group in the words of its leader with the newest term.
fn leader<'a>(partition: &Partition, words: &Words<'a>) -> Option<&'a RaftView> {
    let snapshots = words.values().flatten();
    let replicas = snapshots.flat_map(|snapshot| &snapshot.replicas);
    let own = replicas.filter(|replica| replica.group_id == partition.group.0);
    let views = own.filter_map(|replica| replica.view.as_ref());
    views
        .filter(|view| view.role == "leader")
        .max_by_key(|view| view.term)
}

fn waits_for(coming: &[NodeId], leader: Option<&RaftView>, words: &Words<'_>) -> String {
    if leader.is_none() {
        return "the group has no leader".to_owned();
    }
    let is_silent = |node: &&NodeId| words.get(node).is_none_or(Result::is_err);
    match coming.iter().find(is_silent) {
        Some(node) => format!("node {node} does not answer"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chronik_admin::v1::{NodeReplica, Progress, Snapshot};
    use chronik_core::catalog::{Command, Expected, Move, NewTopic, Node};
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
            replicas: Some(nodes(&[4, 2, 3])),
            expected: Expected::Anything,
        });
        catalog.apply(Command::MoveReplicas {
            moves: moves.collect(),
            mark: None,
        });
        catalog
    }

    fn copied(matched: u64) -> Snapshot {
        let view = RaftView {
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
        Snapshot {
            replicas: vec![NodeReplica {
                group_id: 1024,
                view: Some(view),
            }],
            ..Snapshot::default()
        }
    }

    #[test]
    fn an_operation_is_what_one_order_moved() {
        let mut catalog = moving();
        let id = catalog.version;
        let one = copied(60);
        let other = Snapshot::default();
        let words = Words::from([(NodeId(2), Ok(&one)), (NodeId(4), Ok(&other))]);
        let found = operations(&catalog, None, &words);
        assert_eq!(found.len(), 1);
        let operation = &found[0];
        assert_eq!((operation.operation_id, operation.partitions), (id, 2));
        assert_eq!((operation.entries_total, operation.entries_done), (100, 50));
        assert_eq!(operation.moves[0].waits_for, "");
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
