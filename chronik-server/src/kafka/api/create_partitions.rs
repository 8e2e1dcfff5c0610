//! CreatePartitions: more partitions for topics that exist.

use std::sync::Arc;

use chronik_core::catalog::Topic;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::convert::{node_id, repeated, text, timeout};
use crate::broker::ExtendRefused;
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

type Refusal = (ErrorCode, String);

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let twice = repeated(request.topics.iter().map(|topic| topic.name.0.clone()));
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let extended = match twice.binary_search(&topic.name.0) {
            Ok(_) => Err((
                ErrorCode::InvalidRequest,
                "the request names this topic more than once".to_owned(),
            )),
            Err(_) => extend(call, &topic, request.timeout_ms, request.validate_only).await,
        };
        let result = CreatePartitionsTopicResult::default().with_name(topic.name);
        results.push(match extended {
            Ok(()) => result.with_error_message(None),
            Err((error, message)) => result
                .with_error_code(error.number())
                .with_error_message(Some(text(&message))),
        });
    }
    CreatePartitionsResponse::default().with_results(results)
}

async fn extend(
    call: &Call,
    asked: &CreatePartitionsTopic,
    timeout_ms: i32,
    validate_only: bool,
) -> Result<(), Refusal> {
    let topic = growing(call, &asked.name)?;
    let total = u32::try_from(asked.count).map_err(|_| {
        (
            ErrorCode::InvalidPartitions,
            "a topic has at least one partition".to_owned(),
        )
    })?;
    let nodes = asked.assignments.iter().flatten();
    let assignments: Vec<Vec<_>> = nodes
        .map(|assignment| assignment.broker_ids.iter().copied().map(node_id).collect())
        .collect();
    let refusal = |refused: ExtendRefused| ((&refused).into(), refused.to_string());
    match validate_only {
        true => call
            .broker()
            .plan_partitions(&topic, total, &assignments)
            .map(drop)
            .map_err(refusal),
        false => {
            let extended = call
                .broker()
                .add_partitions(&topic, total, &assignments, timeout(timeout_ms))
                .await;
            extended.map(drop).map_err(refusal)
        }
    }
}

fn growing(call: &Call, name: &str) -> Result<Arc<Topic>, Refusal> {
    match call.broker().topic(name) {
        Some(topic) if topic.internal => Err((
            ErrorCode::InvalidTopic,
            "the cluster keeps this topic for itself".to_owned(),
        )),
        Some(topic) => Ok(topic),
        None => Err((
            ErrorCode::UnknownTopicOrPartition,
            "there is no such topic".to_owned(),
        )),
    }
}
