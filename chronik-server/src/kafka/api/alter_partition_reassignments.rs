//! AlterPartitionReassignments: who shall hold which partitions. The members of their groups change step by step.

use chronik_core::catalog::{Destination, Expected, Move, Refused};
use kafka_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, TopicName,
};

use super::convert::{node_id, text, timeout};
use crate::broker::View;
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let view = call.broker().view();
    let mut moves = Vec::new();
    let topics: Vec<(TopicName, Vec<(i32, bool)>)> = request
        .topics
        .into_iter()
        .map(|topic| {
            let rows = topic.partitions.into_iter().map(|partition| {
                let index = partition.partition_index;
                let wanted = wanted(&view, &topic.name, partition);
                let is_known = wanted.is_some();
                moves.extend(wanted);
                (index, is_known)
            });
            let rows = rows.collect();
            (topic.name, rows)
        })
        .collect();
    let time = timeout(request.timeout_ms);
    let response = AlterPartitionReassignmentsResponse::default().with_error_message(None);
    let mut results = match call.broker().move_replicas(moves, time).await {
        Ok(results) => results.into_iter(),
        Err(error) => {
            return response
                .with_error_code(ErrorCode::from(&error).number())
                .with_error_message(Some(text(&error.to_string())));
        }
    };
    let mut row = |(index, is_known): (i32, bool)| {
        let result = match is_known {
            true => results.next().expect("one result for one move"),
            false => Err(Refused::UnknownPartition),
        };
        let row = ReassignablePartitionResponse::default().with_partition_index(index);
        match result {
            Ok(_) => row.with_error_message(None),
            Err(refused) => row
                .with_error_code(ErrorCode::from(&refused).number())
                .with_error_message(Some(text(&refused.to_string()))),
        }
    };
    let responses = topics.into_iter().map(|(name, rows)| {
        ReassignableTopicResponse::default()
            .with_name(name)
            .with_partitions(rows.into_iter().map(&mut row).collect())
    });
    response.with_responses(responses.collect())
}

fn wanted(view: &View, topic: &TopicName, asked: ReassignablePartition) -> Option<Move> {
    let to = match asked.replicas {
        Some(nodes) => Destination::Nodes(nodes.into_iter().map(node_id).collect()),
        None => Destination::Back,
    };
    Some(Move {
        topic: view.catalog.topic(topic)?.id,
        partition: u32::try_from(asked.partition_index).ok()?,
        to,
        expected: Expected::Anything,
    })
}
