//! Between the codec's types and the domain's: what several APIs need.

use std::time::Duration;

use chronik_core::consumer_group::message::MemberRef;
use chronik_core::ids::{NodeId, TopicId};
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// What a topic allows to everybody, as bits of Kafka's operation numbers: read, write, create, delete, alter,
/// describe, describe configs, alter configs.
pub(in crate::kafka) const TOPIC_OPERATIONS: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);
/// The same for the cluster: create, alter, describe, cluster action, describe configs, alter configs and
/// idempotent write.
pub(in crate::kafka) const CLUSTER_OPERATIONS: i32 = bits(&[5, 7, 8, 9, 10, 11, 12]);
/// The same for a group: read, delete and describe.
pub(in crate::kafka) const GROUP_OPERATIONS: i32 = bits(&[3, 6, 8]);
/// The answer to a client that did not ask for operations.
pub(in crate::kafka) const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

pub(in crate::kafka) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(in crate::kafka) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

pub(in crate::kafka) fn broker_id(node: NodeId) -> BrokerId {
    BrokerId(i32::try_from(node.0).expect("node ids fit 31 bits"))
}

/// A node as a client names it; negative ids are nobody.
pub(in crate::kafka) fn node_id(broker: BrokerId) -> NodeId {
    NodeId(u64::try_from(broker.0).unwrap_or(u64::MAX))
}

pub(in crate::kafka) fn uuid(id: TopicId) -> Uuid {
    Uuid::from_bytes(id.0)
}

pub(in crate::kafka) fn member(member_id: StrBytes, instance_id: Option<StrBytes>) -> MemberRef {
    MemberRef {
        member_id: member_id.to_string(),
        instance_id: instance_id.map(|id| id.to_string()),
    }
}

pub(in crate::kafka) fn topic_id(uuid: Uuid) -> TopicId {
    TopicId(uuid.into_bytes())
}

/// A client's timeout; negative ones leave no time.
pub(in crate::kafka) fn timeout(timeout_ms: i32) -> Duration {
    Duration::from_millis(timeout_ms.max(0) as u64)
}

/// The elements that occur more than once are to be refused: the client cannot mean both.
pub(in crate::kafka) fn repeated<T: Ord + Clone>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    let mut twice: Vec<T> = items
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0].clone())
        .collect();
    twice.dedup();
    twice
}

const fn bits(operations: &[u32]) -> i32 {
    let (mut bits, mut at) = (0, 0);
    while at < operations.len() {
        bits |= 1 << operations[at];
        at += 1;
    }
    bits
}
