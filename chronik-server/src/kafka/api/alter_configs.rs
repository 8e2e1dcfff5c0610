//! AlterConfigs: what is named is set, everything else goes back to its default.

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::config_change::{self, Changes, Refusal};
use super::convert::{repeated, text};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let twice = repeated(request.resources.iter().map(key));
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let changed = match twice.binary_search(&key(&resource)) {
            Ok(_) => Err((
                ErrorCode::InvalidRequest,
                "the request names this resource more than once".to_owned(),
            )),
            Err(_) => alter(call, &resource, request.validate_only).await,
        };
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        responses.push(match changed {
            Ok(()) => response.with_error_message(None),
            Err((error, message)) => response
                .with_error_code(error.number())
                .with_error_message(Some(text(&message))),
        });
    }
    AlterConfigsResponse::default().with_responses(responses)
}

async fn alter(
    call: &Call,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refusal> {
    let topic = config_change::topic(
        call.broker(),
        resource.resource_type,
        &resource.resource_name,
    )?;
    let mut changes: Changes = topic
        .configs
        .keys()
        .map(|key| (key.to_string(), None))
        .collect();
    for config in &resource.configs {
        let Some(value) = &config.value else {
            return Err((
                ErrorCode::InvalidRequest,
                format!("{} has no value", config.name),
            ));
        };
        config_change::set(&mut changes, &config.name, value)?;
    }
    config_change::apply(call.broker(), &topic, changes, validate_only).await
}

fn key(resource: &AlterConfigsResource) -> (i8, StrBytes) {
    (resource.resource_type, resource.resource_name.clone())
}
