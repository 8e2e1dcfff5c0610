//! IncrementalAlterConfigs: sets, resets and edits single keys.

use chronik_core::catalog::Topic;
use chronik_core::catalog::topic_config::{self, Kind};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::config_change::{self, Changes, Refusal};
use super::convert::{repeated, text};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// What is done to a key, by Kafka's numbers.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
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
    IncrementalAlterConfigsResponse::default().with_responses(responses)
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
    if let Some(name) = repeated(resource.configs.iter().map(|config| config.name.clone())).first()
    {
        return Err((
            ErrorCode::InvalidRequest,
            format!("{name} is altered more than once"),
        ));
    }
    let mut changes = Changes::new();
    for config in &resource.configs {
        edit(&topic, config, &mut changes)?;
    }
    config_change::apply(call.broker(), &topic, changes, validate_only).await
}

fn edit(topic: &Topic, config: &AlterableConfig, changes: &mut Changes) -> Result<(), Refusal> {
    let name: &str = &config.name;
    let row = topic_config::row(name)
        .map_err(|refused| (ErrorCode::InvalidConfig, refused.to_string()))?;
    if config.config_operation == DELETE {
        changes.insert(name.to_owned(), None);
        return Ok(());
    }
    let Some(value) = config.value.as_deref() else {
        return Err((ErrorCode::InvalidRequest, format!("{name} has no value")));
    };
    let is_edit = matches!(config.config_operation, APPEND | SUBTRACT);
    if is_edit && row.kind != Kind::List {
        return Err((
            ErrorCode::InvalidConfig,
            format!("{name} is not a list, it can only be set or deleted"),
        ));
    }
    let now = topic.configs.get(name).map_or(row.default, |value| value);
    match config.config_operation {
        SET => config_change::set(changes, name, value),
        APPEND => config_change::set(changes, name, &with(now, value)),
        SUBTRACT => config_change::set(changes, name, &without(now, value)),
        other => Err((
            ErrorCode::InvalidRequest,
            format!("there is no config operation {other}"),
        )),
    }
}

fn with(list: &str, added: &str) -> String {
    let mut items: Vec<&str> = items(list).collect();
    for item in self::items(added) {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    items.join(",")
}

fn without(list: &str, removed: &str) -> String {
    let kept: Vec<&str> = items(list)
        .filter(|item| items(removed).all(|removed| removed != *item))
        .collect();
    kept.join(",")
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn key(resource: &AlterConfigsResource) -> (i8, StrBytes) {
    (resource.resource_type, resource.resource_name.clone())
}
