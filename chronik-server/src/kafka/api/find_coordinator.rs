//! FindCoordinator: which node a group has to talk to.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::convert::{broker_id, text};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

const GROUP: i8 = 0;
const NOBODY: BrokerId = BrokerId(-1);
/// From here on a request names many keys, and the answer is a list.
const MANY_FROM: i16 = 4;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if call.version() < MANY_FROM {
        let found = find(call, request.key_type, request.key).await;
        return FindCoordinatorResponse::default()
            .with_error_code(found.error_code)
            .with_error_message(found.error_message)
            .with_node_id(found.node_id)
            .with_host(found.host)
            .with_port(found.port);
    }
    let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
    for key in request.coordinator_keys {
        coordinators.push(find(call, request.key_type, key).await);
    }
    FindCoordinatorResponse::default().with_coordinators(coordinators)
}

async fn find(call: &Call, key_type: i8, key: StrBytes) -> Coordinator {
    if key_type != GROUP {
        return refused(
            key,
            ErrorCode::InvalidRequest,
            "only coordinators of groups exist here",
        );
    }
    match call.coordinator().find(&key).await {
        Ok(node) => Coordinator::default()
            .with_key(key)
            .with_node_id(broker_id(node.id))
            .with_host(text(&node.kafka_host))
            .with_port(node.kafka_port.into()),
        Err(error) => refused(key, error.into(), &error.to_string()),
    }
}

fn refused(key: StrBytes, error: ErrorCode, message: &str) -> Coordinator {
    Coordinator::default()
        .with_key(key)
        .with_node_id(NOBODY)
        .with_port(-1)
        .with_error_code(error.number())
        .with_error_message(Some(text(message)))
}
