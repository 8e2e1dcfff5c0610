//! Which partition of `__consumer_offsets` a group belongs to, and that the topic exists when it is needed.

use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::{Refused, Topic};
use chronik_core::ids::GroupUid;

use crate::broker::{Broker, CreateRefused, TopicSpec};

pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
const CREATION_TIMEOUT: Duration = Duration::from_secs(5);
/// Records only go once a kept state covers them; and one generation of a large group is one record.
const CONFIGS: [(&str, &str); 2] = [("retention.ms", "-1"), ("max.message.bytes", "67108864")];

/// The partition of a group: Kafka's choice, so that any tool looks in the right place.
pub(super) fn partition_of(group: &str, partitions: usize) -> usize {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    (hash & i32::MAX) as usize % partitions.max(1)
}

/// The Raft group that keeps a consumer group, if the topic exists.
pub(super) fn find(broker: &Broker, group: &str) -> Option<GroupUid> {
    let topic = broker.topic(OFFSETS_TOPIC)?;
    let partition = topic
        .partitions
        .get(partition_of(group, topic.partitions.len()))?;
    Some(partition.group)
}

/// The topic, created if this is the first time that anyone asks for it.
pub(super) async fn ensure_topic(broker: &Broker) -> Result<Arc<Topic>, CreateRefused> {
    if let Some(topic) = broker.topic(OFFSETS_TOPIC) {
        return Ok(topic);
    }
    let spec = TopicSpec {
        name: OFFSETS_TOPIC.to_owned(),
        partitions: Some(broker.settings().offsets_partitions),
        configs: CONFIGS
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
        internal: true,
        ..TopicSpec::default()
    };
    let created = broker
        .create_topics(&[spec], CREATION_TIMEOUT)
        .await
        .pop()
        .expect("one result for one topic");
    match created {
        Err(CreateRefused::Catalog(refused @ Refused::TopicExists(_))) => {
            // Someone else asked at the same moment.
            broker
                .topic(OFFSETS_TOPIC)
                .ok_or(CreateRefused::Catalog(refused))
        }
        other => other,
    }
}
