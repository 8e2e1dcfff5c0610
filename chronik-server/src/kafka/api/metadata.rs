//! Metadata: where everything is. Topics that a client asks for by name may be created on the way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::{Node, Partition, Refused, Topic, name};
use chronik_core::ids::{GroupUid, TopicId};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::convert::{
    CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS, broker_id, text, topic_id,
    topic_name, uuid,
};
use crate::broker::{CreateRefused, Settings, TopicSpec, View};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// How long an automatic creation may take before the client is told to come back.
const CREATION_TIMEOUT: Duration = Duration::from_secs(5);
/// One request creates at most so many topics; the next metadata request goes on.
const MOST_CREATIONS: usize = 1_000;
/// Earlier versions cannot say "none": an empty list means all.
const NONE_FROM: i16 = 1;
/// Earlier versions cannot say whether they want creation.
const CREATION_FLAG_FROM: i16 = 4;
/// Later versions may leave the name of an unknown id out.
const NULL_NAME_FROM: i16 = 12;
const NOBODY: BrokerId = BrokerId(-1);
/// Between these versions the cluster's operations are asked for here.
const CLUSTER_OPERATIONS_IN: std::ops::RangeInclusive<i16> = 8..=10;

pub(in crate::kafka) async fn handle(call: &Call, request: MetadataRequest) -> MetadataResponse {
    let topics = request
        .topics
        .filter(|topics| call.version() >= NONE_FROM || !topics.is_empty());
    let refused = match &topics {
        Some(asked) if may_create(call, request.allow_auto_topic_creation) => {
            create_missing(call, asked).await
        }
        _ => BTreeMap::new(),
    };
    let view = call.broker().view();
    let answer = Answer {
        call,
        view: &view,
        with_operations: request.include_topic_authorized_operations,
    };
    let topics = match topics {
        None => view
            .catalog
            .topics
            .values()
            .map(|topic| answer.known(topic))
            .collect(),
        Some(asked) => asked
            .iter()
            .map(|asked| answer.asked(asked, &refused))
            .collect(),
    };
    let own = call.broker().settings().node;
    let controller = view.reachable_leader(GroupUid::META).node.unwrap_or(own);
    let cluster_operations = request.include_cluster_authorized_operations
        && CLUSTER_OPERATIONS_IN.contains(&call.version());
    MetadataResponse::default()
        .with_brokers(brokers(&view, call.broker().settings()))
        .with_cluster_id(Some(text(&view.catalog.cluster_id)))
        .with_controller_id(broker_id(controller))
        .with_topics(topics)
        .with_cluster_authorized_operations(operations(cluster_operations, CLUSTER_OPERATIONS))
}

fn may_create(call: &Call, client_wants_it: bool) -> bool {
    call.broker().settings().auto_create_topics
        && (call.version() < CREATION_FLAG_FROM || client_wants_it)
}

/// Creates the legal names that do not exist, and says why the others could not be.
async fn create_missing(
    call: &Call,
    asked: &[MetadataRequestTopic],
) -> BTreeMap<StrBytes, ErrorCode> {
    let view = call.broker().view();
    let is_missing =
        |name: &&StrBytes| view.catalog.topic(name).is_none() && name::check(name).is_ok();
    let named = asked
        .iter()
        .filter(|topic| topic.topic_id.is_nil())
        .filter_map(|topic| topic.name.as_ref())
        .map(|name| &name.0);
    let mut missing: Vec<&StrBytes> = named
        .filter(is_missing)
        .filter(|name| !name.starts_with("__"))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    missing.truncate(MOST_CREATIONS);
    if missing.is_empty() {
        return BTreeMap::new();
    }
    let spec = |name: &&StrBytes| TopicSpec {
        name: name.to_string(),
        ..TopicSpec::default()
    };
    let specs: Vec<TopicSpec> = missing.iter().map(spec).collect();
    let created = call.broker().create_topics(&specs, CREATION_TIMEOUT).await;
    let refused = |result: Result<Arc<Topic>, CreateRefused>| match result {
        // Somebody was faster: the topic is there.
        Ok(_) | Err(CreateRefused::Catalog(Refused::TopicExists(_))) => None,
        // It will be there soon, or another node can do it.
        Err(CreateRefused::Propose(_)) => Some(ErrorCode::LeaderNotAvailable),
        Err(error) => Some((&error).into()),
    };
    let pairs = missing.into_iter().zip(created);
    pairs
        .filter_map(|(name, result)| Some((name.clone(), refused(result)?)))
        .collect()
}

/// Every node that is there. A node that belongs to none yet names itself, so that clients know whom they talk to.
fn brokers(view: &View, settings: &Settings) -> Vec<MetadataResponseBroker> {
    if view.catalog.nodes.is_empty() {
        let (host, port) = &settings.kafka_address;
        let this = MetadataResponseBroker::default()
            .with_node_id(broker_id(settings.node))
            .with_host(text(host))
            .with_port((*port).into());
        return vec![this];
    }
    let broker = |node: &Arc<Node>| {
        MetadataResponseBroker::default()
            .with_node_id(broker_id(node.id))
            .with_host(text(&node.kafka_host))
            .with_port(node.kafka_port.into())
            .with_rack(node.rack.as_deref().map(text))
    };
    view.present_nodes().map(broker).collect()
}

/// What all topics of one response share.
struct Answer<'a> {
    call: &'a Call,
    view: &'a View,
    with_operations: bool,
}

impl Answer<'_> {
    fn asked(
        &self,
        asked: &MetadataRequestTopic,
        refused: &BTreeMap<StrBytes, ErrorCode>,
    ) -> MetadataResponseTopic {
        let id = topic_id(asked.topic_id);
        let name = match &asked.name {
            // A client that gives an id means the id, whatever it puts into the name.
            Some(TopicName(name)) if id == TopicId::ZERO => name,
            _ => return self.by_id(id),
        };
        match self.view.catalog.topic(name) {
            Some(topic) => self.known(topic),
            None if name::check(name).is_err() => self.unknown(Some(name), ErrorCode::InvalidTopic),
            None => {
                let error = refused
                    .get(name)
                    .copied()
                    .unwrap_or(ErrorCode::UnknownTopicOrPartition);
                self.unknown(Some(name), error)
            }
        }
    }

    fn by_id(&self, id: TopicId) -> MetadataResponseTopic {
        match self.view.catalog.topic_by_id(id) {
            Some(topic) => self.known(topic),
            None => self
                .unknown(None, ErrorCode::UnknownTopicId)
                .with_topic_id(uuid(id)),
        }
    }

    fn known(&self, topic: &Arc<Topic>) -> MetadataResponseTopic {
        let partitions = topic.partitions.iter().enumerate();
        MetadataResponseTopic::default()
            .with_name(Some(topic_name(&topic.name)))
            .with_topic_id(uuid(topic.id))
            .with_is_internal(topic.internal)
            .with_partitions(
                partitions
                    .map(|(index, partition)| self.partition(index, partition))
                    .collect(),
            )
            .with_topic_authorized_operations(operations(self.with_operations, TOPIC_OPERATIONS))
    }

    fn unknown(&self, name: Option<&StrBytes>, error: ErrorCode) -> MetadataResponseTopic {
        let name = match name {
            None if self.call.version() < NULL_NAME_FROM => Some(TopicName(StrBytes::new())),
            name => name.cloned().map(TopicName),
        };
        MetadataResponseTopic::default()
            .with_error_code(error.number())
            .with_name(name)
            .with_topic_authorized_operations(OPERATIONS_NOT_ASKED)
    }

    fn partition(&self, index: usize, partition: &Partition) -> MetadataResponsePartition {
        let leader = self.view.reachable_leader(partition.group);
        let holders = partition.holders();
        let replicas: Vec<_> = holders.iter().map(|node| broker_id(*node)).collect();
        let error = if leader.node.is_some() {
            ErrorCode::None
        } else {
            ErrorCode::LeaderNotAvailable
        };
        let in_sync = holders
            .iter()
            .filter(|node| self.view.is_in_sync(partition.group, **node))
            .map(|node| broker_id(*node));
        MetadataResponsePartition::default()
            .with_error_code(error.number())
            .with_partition_index(index as i32)
            .with_leader_id(leader.node.map_or(NOBODY, broker_id))
            .with_leader_epoch(leader.epoch)
            .with_isr_nodes(in_sync.collect())
            .with_replica_nodes(replicas)
    }
}

fn operations(asked: bool, allowed: i32) -> i32 {
    if asked { allowed } else { OPERATIONS_NOT_ASKED }
}
