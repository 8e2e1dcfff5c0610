//! UnregisterBroker: a node that holds nothing any more leaves the cluster for good.

use std::time::Duration;

use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::convert::{node_id, text};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

const TIMEOUT: Duration = Duration::from_secs(10);

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: UnregisterBrokerRequest,
) -> UnregisterBrokerResponse {
    let node = node_id(request.broker_id);
    let (error, message) = match call.broker().remove_node(node, TIMEOUT).await {
        Ok(Ok(())) => (ErrorCode::None, None),
        Ok(Err(refused)) => (ErrorCode::from(&refused), Some(refused.to_string())),
        Err(error) => (ErrorCode::from(&error), Some(error.to_string())),
    };
    UnregisterBrokerResponse::default()
        .with_error_code(error.number())
        .with_error_message(message.as_deref().map(text))
}
