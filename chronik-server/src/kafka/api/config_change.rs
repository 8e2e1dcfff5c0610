//! What both ways of altering configs share: which resource, which value, and doing it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::{Topic, topic_config};

use super::config_entries::Resource;
use crate::broker::Broker;
use crate::kafka::error_code::ErrorCode;

/// Keys with their new values; none brings back the default.
pub(super) type Changes = BTreeMap<String, Option<String>>;
/// Why nothing was changed.
pub(super) type Refusal = (ErrorCode, String);

/// These requests carry no timeout of their own.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// The topic that a resource stands for; nothing else can be altered over this protocol.
pub(super) fn topic(broker: &Broker, resource_type: i8, name: &str) -> Result<Arc<Topic>, Refusal> {
    match Resource::from_number(resource_type) {
        Some(Resource::Topic) => {
            let unknown = || {
                (
                    ErrorCode::UnknownTopicOrPartition,
                    format!("there is no topic {name:?}"),
                )
            };
            broker.topic(name).ok_or_else(unknown)
        }
        Some(Resource::Node) => {
            let message = "a node is configured by its file, environment and flags".to_owned();
            Err((ErrorCode::InvalidConfig, message))
        }
        None => Err((
            ErrorCode::InvalidRequest,
            format!("resources of type {resource_type} have no configs here"),
        )),
    }
}

pub(super) fn set(changes: &mut Changes, key: &str, value: &str) -> Result<(), Refusal> {
    topic_config::check(key, value)
        .map_err(|refused| (ErrorCode::InvalidConfig, refused.to_string()))?;
    changes.insert(key.to_owned(), Some(value.to_owned()));
    Ok(())
}

/// Proposes the changes that really change something.
pub(super) async fn apply(
    broker: &Broker,
    topic: &Topic,
    mut changes: Changes,
    validate_only: bool,
) -> Result<(), Refusal> {
    changes
        .retain(|key, value| topic.configs.get(key.as_str()).map(|set| &**set) != value.as_deref());
    if validate_only || changes.is_empty() {
        return Ok(());
    }
    match broker
        .set_configs(topic.id, changes.into_iter().collect(), CHANGE_TIMEOUT)
        .await
    {
        Ok(Ok(())) => Ok(()),
        Ok(Err(refused)) => Err(((&refused).into(), refused.to_string())),
        Err(error) => Err(((&error).into(), error.to_string())),
    }
}
