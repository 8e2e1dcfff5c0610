//! ListPartitionReassignments: the partitions whose replicas are on their way to other nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use chronik_core::catalog::Partition;
use chronik_core::ids::NodeId;
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::{
    BrokerId, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::convert::{broker_id, topic_name};
use crate::kafka::call::Call;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let view = call.broker().view();
    let mut topics: BTreeMap<Arc<str>, Vec<OngoingPartitionReassignment>> = BTreeMap::new();
    for (topic, number, partition) in view.catalog.moving() {
        let index = number as i32;
        if is_asked(request.topics.as_deref(), &topic.name, index) {
            let rows = topics.entry(topic.name.clone()).or_default();
            rows.push(ongoing(index, partition));
        }
    }
    let topics = topics.into_iter().map(|(name, rows)| {
        OngoingTopicReassignment::default()
            .with_name(topic_name(&name))
            .with_partitions(rows)
    });
    ListPartitionReassignmentsResponse::default()
        .with_error_message(None)
        .with_topics(topics.collect())
}

/// Without a list everything is asked for.
fn is_asked(
    asked: Option<&[ListPartitionReassignmentsTopics]>,
    topic: &str,
    partition: i32,
) -> bool {
    asked.is_none_or(|topics| {
        let of_topic = |asked: &&ListPartitionReassignmentsTopics| &**asked.name == topic;
        let mut asked = topics.iter().filter(of_topic);
        asked.any(|asked| asked.partition_indexes.contains(&partition))
    })
}

fn ongoing(index: i32, partition: &Partition) -> OngoingPartitionReassignment {
    let ids =
        |nodes: &[NodeId]| -> Vec<BrokerId> { nodes.iter().copied().map(broker_id).collect() };
    OngoingPartitionReassignment::default()
        .with_partition_index(index)
        .with_replicas(ids(&partition.holders()))
        .with_adding_replicas(ids(&partition.adding()))
        .with_removing_replicas(ids(&partition.removing()))
}
