//! What groups are called: `meta`, `TOPIC/PARTITION`, or a number.

use std::collections::BTreeMap;

use chronik_admin::{AdminError, Code};
use chronik_core::catalog::Catalog;
use chronik_core::ids::{GroupUid, NodeId};

/// A group that should exist, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) nodes: Vec<NodeId>,
    /// Those of the nodes that only hold it once its move has arrived, and others that hold it until then.
    pub(super) coming: Vec<NodeId>,
    pub(super) going: Vec<NodeId>,
}

/// Every group of the catalog, the catalog's own first.
pub(super) fn all(catalog: &Catalog) -> BTreeMap<GroupUid, Wanted> {
    let meta = Wanted {
        name: "meta".to_owned(),
        nodes: catalog.meta_voters.clone(),
        coming: Vec::new(),
        going: Vec::new(),
    };
    let partitions = catalog.topics.values().flat_map(|topic| {
        let numbered = topic.partitions.iter().enumerate();
        numbered.map(|(number, partition)| {
            let wanted = Wanted {
                name: format!("{}/{number}", topic.name),
                nodes: partition.replicas.clone(),
                coming: partition.adding(),
                going: partition.removing(),
            };
            (partition.group, wanted)
        })
    });
    std::iter::once((GroupUid::META, meta))
        .chain(partitions)
        .collect()
}

/// The group that somebody means.
pub(super) fn find(catalog: &Catalog, name: &str) -> Result<GroupUid, AdminError> {
    if name == "meta" {
        return Ok(GroupUid::META);
    }
    let not_found = |message: String| {
        AdminError::new(Code::NotFound, message).hint("chronikctl raft status --all")
    };
    if let Some((topic, partition)) = name.rsplit_once('/') {
        let known = catalog.topic(topic);
        let known = known.ok_or_else(|| not_found(format!("there is no topic {topic:?}")))?;
        let number: usize = partition
            .parse()
            .map_err(|_| not_found(format!("{partition:?} is no number of a partition")))?;
        let found = known
            .partitions
            .get(number)
            .map(|partition| partition.group);
        let count = known.partitions.len();
        return found
            .ok_or_else(|| not_found(format!("{topic} has {count} partitions, not {number}")));
    }
    let uid: u64 = name.parse().map_err(|_| {
        let message = format!("{name:?} is neither meta, nor TOPIC/PARTITION, nor a number");
        AdminError::new(Code::InvalidArgument, message).hint("chronikctl raft status --all")
    })?;
    let uid = GroupUid(uid);
    let exists = uid == GroupUid::META
        || catalog.topics.values().any(|topic| {
            topic
                .partitions
                .iter()
                .any(|partition| partition.group == uid)
        });
    exists
        .then_some(uid)
        .ok_or_else(|| not_found(format!("there is no group {uid}")))
}

/// Nodes in a sentence.
pub(super) fn listed(nodes: &[NodeId]) -> String {
    let numbers: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    numbers.join(",")
}
