//! CreateTopics: every topic has its own result, and success means that its partitions have leaders.

use std::sync::Arc;

use chronik_core::catalog::topic_config::{ROWS, Row};
use chronik_core::catalog::{NewTopic, Topic};
use chronik_core::ids::{NodeId, TopicId};
use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};

use super::config_entries::Source;
use super::convert::{node_id, repeated, text, timeout, uuid};
use crate::broker::{Broker, CreateRefused, TopicSpec};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// What one request may ask for altogether, so that a few bytes cannot order millions of groups.
const MOST_PARTITIONS: u64 = 20_000;
/// "The broker's default" as a count.
const DEFAULT: i32 = -1;

/// A refusal and its reason, or what was made.
type Created = Result<Shape, (ErrorCode, String)>;

/// What is told about a topic that exists now, or would.
struct Shape {
    id: TopicId,
    partitions: usize,
    replication_factor: usize,
    configs: Vec<CreatableTopicConfigs>,
}

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let twice = repeated(request.topics.iter().map(|topic| topic.name.0.clone()));
    let mut partitions_left = MOST_PARTITIONS;
    let mut names = Vec::with_capacity(request.topics.len());
    let mut specs = Vec::new();
    for topic in request.topics {
        let name = topic.name.clone();
        let spec = match twice.binary_search(&name.0) {
            Ok(_) => refuse(
                ErrorCode::InvalidRequest,
                "the request names this topic more than once",
            ),
            Err(_) => spec(topic).and_then(|spec| affordable(call, spec, &mut partitions_left)),
        };
        names.push((name, spec.map(|spec| specs.push(spec))));
    }
    let mut made = match request.validate_only {
        true => specs
            .iter()
            .map(|spec| planned(call.broker(), call.broker().plan_topic(spec)))
            .collect(),
        false => create(call, &specs, request.timeout_ms).await,
    }
    .into_iter();
    let results = names.into_iter().map(|(name, accepted)| {
        result(
            name,
            accepted.and_then(|()| made.next().expect("one result per specification")),
        )
    });
    CreateTopicsResponse::default().with_topics(results.collect())
}

async fn create(call: &Call, specs: &[TopicSpec], timeout_ms: i32) -> Vec<Created> {
    let created = call
        .broker()
        .create_topics(specs, timeout(timeout_ms))
        .await;
    created
        .into_iter()
        .map(|result| settled(call.broker(), result))
        .collect()
}

/// Translates a topic; what only makes sense of the wire's form is refused here.
fn spec(topic: CreatableTopic) -> Result<TopicSpec, (ErrorCode, String)> {
    let explicit = !topic.assignments.is_empty();
    if explicit
        && (topic.num_partitions != DEFAULT || i32::from(topic.replication_factor) != DEFAULT)
    {
        return refuse(
            ErrorCode::InvalidRequest,
            "an assignment goes without partition count and replication factor",
        );
    }
    let counts = "is a positive number, or -1 for the default";
    let partitions = count(topic.num_partitions).or_else(|()| {
        refuse(
            ErrorCode::InvalidPartitions,
            &format!("the partition count {counts}"),
        )
    })?;
    let replication_factor = count(topic.replication_factor.into()).or_else(|()| {
        refuse(
            ErrorCode::InvalidReplicationFactor,
            &format!("the replication factor {counts}"),
        )
    })?;
    let mut configs = Vec::with_capacity(topic.configs.len());
    for config in topic.configs {
        match config.value {
            Some(value) => configs.push((config.name.to_string(), value.to_string())),
            None => {
                return refuse(
                    ErrorCode::InvalidConfig,
                    &format!("{} has no value", config.name),
                );
            }
        }
    }
    let assignments = assignments(topic.assignments)?;
    let name = topic.name.to_string();
    Ok(TopicSpec {
        name,
        partitions,
        replication_factor,
        assignments,
        configs,
        internal: false,
    })
}

fn count(count: i32) -> Result<Option<u32>, ()> {
    match count {
        DEFAULT => Ok(None),
        1.. => Ok(Some(count as u32)),
        _ => Err(()),
    }
}

fn assignments(
    mut given: Vec<CreatableReplicaAssignment>,
) -> Result<Vec<Vec<NodeId>>, (ErrorCode, String)> {
    given.sort_by_key(|assignment| assignment.partition_index);
    let gapless = given
        .iter()
        .enumerate()
        .all(|(at, assignment)| assignment.partition_index == at as i32);
    if !gapless {
        return refuse(
            ErrorCode::InvalidReplicaAssignment,
            "partitions are numbered from 0 without gaps",
        );
    }
    let nodes = |assignment: CreatableReplicaAssignment| {
        assignment.broker_ids.into_iter().map(node_id).collect()
    };
    Ok(given.into_iter().map(nodes).collect())
}

fn affordable(
    call: &Call,
    spec: TopicSpec,
    left: &mut u64,
) -> Result<TopicSpec, (ErrorCode, String)> {
    let default = call.broker().settings().default_partitions;
    let wanted = (spec.assignments.len() as u64).max(spec.partitions.unwrap_or(default).into());
    match left.checked_sub(wanted) {
        Some(rest) => *left = rest,
        None => {
            let message = format!("one request creates at most {MOST_PARTITIONS} partitions");
            return refuse(ErrorCode::PolicyViolation, &message);
        }
    }
    Ok(spec)
}

fn settled(broker: &Broker, created: Result<Arc<Topic>, CreateRefused>) -> Created {
    let topic = created.map_err(|refused| ((&refused).into(), refused.to_string()))?;
    Ok(Shape {
        id: topic.id,
        partitions: topic.partitions.len(),
        replication_factor: topic
            .partitions
            .first()
            .map_or(0, |partition| partition.replicas.len()),
        configs: configs(broker, |key| {
            topic.configs.get(key).map(|value| value.to_string())
        }),
    })
}

fn planned(broker: &Broker, plan: Result<NewTopic, CreateRefused>) -> Created {
    let topic = plan.map_err(|refused| ((&refused).into(), refused.to_string()))?;
    let set = |key: &str| {
        topic
            .configs
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.clone())
    };
    Ok(Shape {
        id: TopicId::ZERO,
        partitions: topic.partitions.len(),
        replication_factor: topic.partitions.first().map_or(0, Vec::len),
        configs: configs(broker, set),
    })
}

fn configs(broker: &Broker, set: impl Fn(&str) -> Option<String>) -> Vec<CreatableTopicConfigs> {
    let entry = |row: &'static Row| {
        let (value, source) = match set(row.name) {
            Some(value) => (value, Source::Topic),
            None => (broker.default_of(row), Source::Default),
        };
        CreatableTopicConfigs::default()
            .with_name(text(row.name))
            .with_value(Some(text(&value)))
            .with_config_source(source.number())
    };
    ROWS.iter().map(entry).collect()
}

fn result(name: TopicName, created: Created) -> CreatableTopicResult {
    let result = CreatableTopicResult::default().with_name(name);
    match created {
        Ok(shape) => result
            .with_topic_id(uuid(shape.id))
            .with_num_partitions(shape.partitions as i32)
            .with_replication_factor(shape.replication_factor as i16)
            .with_configs(Some(shape.configs)),
        Err((error, message)) => result
            .with_error_code(error.number())
            .with_error_message(Some(text(&message)))
            .with_configs(None),
    }
}

fn refuse<T>(error: ErrorCode, message: &str) -> Result<T, (ErrorCode, String)> {
    Err((error, message.to_owned()))
}
