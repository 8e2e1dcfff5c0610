//! DeleteTopics: by name, or from version 6 on by name or id.

use std::collections::BTreeMap;

use chronik_core::catalog::Refused;
use chronik_core::ids::TopicId;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};

use super::convert::{repeated, text, timeout, topic_id, topic_name, uuid};
use crate::broker::{ProposeError, View};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

const BY_ID_FROM: i16 = 6;

/// A refusal and its reason.
type Refusal = (ErrorCode, String);

/// A topic as the client named it, and what that stands for.
struct Asked {
    name: Option<TopicName>,
    id: TopicId,
    found: Result<TopicId, Refusal>,
}

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let view = call.broker().view();
    let mut asked: Vec<Asked> = match call.version() >= BY_ID_FROM {
        true => request
            .topics
            .into_iter()
            .map(|topic| resolve(&view, topic))
            .collect(),
        false => request
            .topic_names
            .into_iter()
            .map(|name| by_name(&view, name))
            .collect(),
    };
    let found = |asked: &Asked| asked.found.as_ref().ok().copied();
    let twice = repeated(asked.iter().filter_map(found));
    for asked in &mut asked {
        if found(asked).is_some_and(|id| twice.binary_search(&id).is_ok()) {
            let message = "the request names this topic more than once".to_owned();
            asked.found = Err((ErrorCode::InvalidRequest, message));
        }
    }
    let ids: Vec<TopicId> = asked.iter().filter_map(found).collect();
    let deleted = delete(call, ids, request.timeout_ms).await;
    let results = asked.into_iter().map(|asked| result(asked, &deleted));
    DeleteTopicsResponse::default().with_responses(results.collect())
}

async fn delete(
    call: &Call,
    ids: Vec<TopicId>,
    timeout_ms: i32,
) -> Result<BTreeMap<TopicId, Option<Refused>>, ProposeError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let results = call
        .broker()
        .delete_topics(ids.clone(), timeout(timeout_ms))
        .await?;
    Ok(ids
        .into_iter()
        .zip(results.into_iter().map(Result::err))
        .collect())
}

fn resolve(view: &View, topic: DeleteTopicState) -> Asked {
    let id = topic_id(topic.topic_id);
    match topic.name {
        Some(name) if id == TopicId::ZERO => by_name(view, name),
        Some(name) => {
            let message = "a topic is named either by name or by id".to_owned();
            Asked {
                name: Some(name),
                id,
                found: Err((ErrorCode::InvalidRequest, message)),
            }
        }
        None => by_id(view, id),
    }
}

fn by_name(view: &View, name: TopicName) -> Asked {
    let found = match view.catalog.topic(&name) {
        Some(topic) => deletable(topic.id, topic.internal),
        None => Err((
            ErrorCode::UnknownTopicOrPartition,
            "there is no such topic".to_owned(),
        )),
    };
    let id = found.as_ref().copied().unwrap_or(TopicId::ZERO);
    Asked {
        name: Some(name),
        id,
        found,
    }
}

fn by_id(view: &View, id: TopicId) -> Asked {
    match view.catalog.topic_by_id(id) {
        Some(topic) => Asked {
            name: Some(topic_name(&topic.name)),
            id,
            found: deletable(id, topic.internal),
        },
        None => Asked {
            name: None,
            id,
            found: Err((
                ErrorCode::UnknownTopicId,
                "there is no such topic".to_owned(),
            )),
        },
    }
}

fn deletable(id: TopicId, internal: bool) -> Result<TopicId, Refusal> {
    match internal {
        true => Err((
            ErrorCode::InvalidTopic,
            "the cluster keeps this topic for itself".to_owned(),
        )),
        false => Ok(id),
    }
}

fn result(
    asked: Asked,
    deleted: &Result<BTreeMap<TopicId, Option<Refused>>, ProposeError>,
) -> DeletableTopicResult {
    let refusal = match (asked.found, deleted) {
        (Err(refusal), _) => Some(refusal),
        (Ok(_), Err(error)) => Some((error.into(), error.to_string())),
        (Ok(id), Ok(deleted)) => {
            let refused = deleted.get(&id).and_then(Option::as_ref);
            refused.map(|refused| (refused.into(), refused.to_string()))
        }
    };
    let result = DeletableTopicResult::default()
        .with_name(asked.name)
        .with_topic_id(uuid(asked.id));
    match refusal {
        Some((error, message)) => result
            .with_error_code(error.number())
            .with_error_message(Some(text(&message))),
        None => result.with_error_message(None),
    }
}
