//! The configs of topics and nodes as clients see them: name, value, where it comes from.

use chronik_core::catalog::Topic;
use chronik_core::catalog::topic_config::{Kind, ROWS, Row};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsSynonym,
};

use super::convert::text;
use crate::broker::Broker;

/// What a config belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Topic,
    Node,
}

/// Where a value comes from, by Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub(super) enum Source {
    Topic = 1,
    StaticNode = 4,
    Default = 5,
}

/// What a client wants to know besides names and values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    pub(super) synonyms: bool,
    pub(super) documentation: bool,
}

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

impl Resource {
    pub(super) fn from_number(number: i8) -> Option<Resource> {
        match number {
            2 => Some(Resource::Topic),
            4 => Some(Resource::Node),
            _ => None,
        }
    }
}

impl Source {
    pub(super) const fn number(self) -> i8 {
        self as i8
    }
}

/// What holds for a topic that does not set the key.
pub(super) fn default_of(row: &Row, broker: &Broker) -> String {
    match row.name {
        MIN_INSYNC_REPLICAS => broker.settings().min_insync_replicas.to_string(),
        _ => row.default.to_owned(),
    }
}

pub(super) fn of_topic(
    topic: &Topic,
    broker: &Broker,
    detail: Detail,
) -> Vec<DescribeConfigsResourceResult> {
    ROWS.iter()
        .map(|row| topic_entry(row, topic, broker, detail))
        .collect()
}

/// The part of a node's configuration that Kafka's clients know by name. It is read-only here: a node is configured
/// by its file, environment and flags.
pub(super) fn of_node(broker: &Broker, detail: Detail) -> Vec<DescribeConfigsResourceResult> {
    let settings = broker.settings();
    let defaults = |key| {
        ROWS.iter()
            .find(|row| row.name == key)
            .map_or("", |row| row.default)
            .to_owned()
    };
    let entries = [
        (
            "auto.create.topics.enable",
            Kind::Boolean,
            settings.auto_create_topics.to_string(),
        ),
        ("broker.id", Kind::Int, settings.node.to_string()),
        (
            "default.replication.factor",
            Kind::Int,
            settings.default_replication_factor.to_string(),
        ),
        (
            "log.retention.bytes",
            Kind::Long,
            defaults("retention.bytes"),
        ),
        ("log.retention.ms", Kind::Long, defaults("retention.ms")),
        (
            "message.max.bytes",
            Kind::Int,
            defaults("max.message.bytes"),
        ),
        (
            MIN_INSYNC_REPLICAS,
            Kind::Int,
            settings.min_insync_replicas.to_string(),
        ),
        ("node.id", Kind::Int, settings.node.to_string()),
        (
            "num.partitions",
            Kind::Int,
            settings.default_partitions.to_string(),
        ),
        (
            "offsets.topic.num.partitions",
            Kind::Int,
            settings.offsets_partitions.to_string(),
        ),
    ];
    entries
        .into_iter()
        .map(|(name, kind, value)| node_entry(name, kind, value, detail))
        .collect()
}

fn topic_entry(
    row: &Row,
    topic: &Topic,
    broker: &Broker,
    detail: Detail,
) -> DescribeConfigsResourceResult {
    let default = default_of(row, broker);
    let set = topic.configs.get(row.name);
    let mut synonyms = Vec::new();
    if detail.synonyms {
        synonyms.extend(set.map(|value| synonym(row.name, value, Source::Topic)));
        synonyms.push(synonym(row.name, &default, Source::Default));
    }
    let source = if set.is_some() {
        Source::Topic
    } else {
        Source::Default
    };
    DescribeConfigsResourceResult::default()
        .with_name(text(row.name))
        .with_value(Some(text(set.map_or(&default, |value| value))))
        .with_config_source(source.number())
        .with_synonyms(synonyms)
        .with_config_type(type_number(row.kind))
        .with_documentation(detail.documentation.then(|| text(row.sentence)))
}

fn node_entry(
    name: &str,
    kind: Kind,
    value: String,
    detail: Detail,
) -> DescribeConfigsResourceResult {
    let synonyms = match detail.synonyms {
        true => vec![synonym(name, &value, Source::StaticNode)],
        false => Vec::new(),
    };
    DescribeConfigsResourceResult::default()
        .with_name(text(name))
        .with_value(Some(text(&value)))
        .with_read_only(true)
        .with_config_source(Source::StaticNode.number())
        .with_synonyms(synonyms)
        .with_config_type(type_number(kind))
        .with_documentation(
            detail
                .documentation
                .then(|| text("Set by the node's own configuration.")),
        )
}

fn synonym(name: &str, value: &str, source: Source) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default()
        .with_name(text(name))
        .with_value(Some(text(value)))
        .with_source(source.number())
}

fn type_number(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::Text => 2,
        Kind::Int => 3,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
    }
}
