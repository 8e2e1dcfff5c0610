//! The configs of topics and nodes as clients see them: name, value, where it comes from.

use chronik_core::catalog::Topic;
use chronik_core::catalog::topic_config::{Kind, ROWS, Row};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsSynonym,
};

use super::convert::text;
use crate::broker::{Broker, MIN_INSYNC_REPLICAS};

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
    let of_topics = |key| {
        ROWS.iter()
            .find(|row| row.name == key)
            .map_or("", |row| row.default)
    };
    let number =
        |name, number: &dyn ToString| (name, Kind::Int, Source::StaticNode, number.to_string());
    let topics_long = |name, key| (name, Kind::Long, Source::Default, of_topics(key).to_owned());
    let auto_create = settings.auto_create_topics.to_string();
    let entries = [
        (
            "advertised.listeners",
            Kind::Text,
            Source::Default,
            advertised(broker),
        ),
        (
            "auto.create.topics.enable",
            Kind::Boolean,
            Source::StaticNode,
            auto_create,
        ),
        number("broker.id", &settings.node),
        number(
            "default.replication.factor",
            &settings.default_replication_factor,
        ),
        topics_long("log.retention.bytes", "retention.bytes"),
        topics_long("log.retention.ms", "retention.ms"),
        topics_long("message.max.bytes", "max.message.bytes"),
        number(MIN_INSYNC_REPLICAS, &settings.min_insync_replicas),
        number("node.id", &settings.node),
        number("num.partitions", &settings.default_partitions),
        number("offsets.topic.num.partitions", &settings.offsets_partitions),
    ];
    entries
        .into_iter()
        .map(|entry| node_entry(entry, detail))
        .collect()
}

/// Where this node tells clients to find it.
fn advertised(broker: &Broker) -> String {
    let view = broker.view();
    let node = view.catalog.nodes.get(&broker.settings().node);
    node.map_or_else(String::new, |node| {
        format!("PLAINTEXT://{}:{}", node.kafka_host, node.kafka_port)
    })
}

fn topic_entry(
    row: &Row,
    topic: &Topic,
    broker: &Broker,
    detail: Detail,
) -> DescribeConfigsResourceResult {
    let default = broker.default_of(row);
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
    (name, kind, source, value): (&str, Kind, Source, String),
    detail: Detail,
) -> DescribeConfigsResourceResult {
    let synonyms = match detail.synonyms {
        true => vec![synonym(name, &value, source)],
        false => Vec::new(),
    };
    DescribeConfigsResourceResult::default()
        .with_name(text(name))
        .with_value(Some(text(&value)))
        .with_read_only(true)
        .with_config_source(source.number())
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
