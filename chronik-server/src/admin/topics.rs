//! Topics as the catalog has them, with who leads and who keeps up as this node knows it.

use std::sync::Arc;

use chronik_admin::v1::{
    Partition, Topic, TopicDescribeRequest, TopicList, TopicListRequest, TopicSummary,
};
use chronik_admin::{AdminError, Code};
use chronik_core::catalog::{self, Catalog, NewTopic};

use super::desk::Desk;
use crate::broker::View;

impl Desk {
    pub(super) async fn topic_list(
        &self,
        request: TopicListRequest,
    ) -> Result<TopicList, AdminError> {
        let view = self.rooms()?.broker.view();
        let topics = view.catalog.topics.values();
        let topics = topics.filter(|topic| request.internal || !topic.internal);
        Ok(TopicList {
            topics: topics.map(|topic| summary(&view, topic)).collect(),
        })
    }

    pub(super) async fn topic_describe(
        &self,
        request: TopicDescribeRequest,
    ) -> Result<Topic, AdminError> {
        let view = self.rooms()?.broker.view();
        let topic = find(&view.catalog, &request.name)?;
        Ok(described(&view, topic))
    }
}

pub(super) fn find<'a>(
    catalog: &'a Catalog,
    name: &str,
) -> Result<&'a Arc<catalog::Topic>, AdminError> {
    catalog.topic(name).ok_or_else(|| {
        AdminError::new(Code::NotFound, format!("there is no topic {name:?}"))
            .hint("chronikctl topic list")
    })
}

/// A topic as it is.
pub(super) fn described(view: &View, topic: &catalog::Topic) -> Topic {
    let configs = topic.configs.iter();
    Topic {
        name: topic.name.to_string(),
        topic_id: topic.id.to_string(),
        internal: topic.internal,
        configs: configs
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
        partitions: partitions(view, topic).collect(),
    }
}

/// A topic as it would be made.
pub(super) fn planned(topic: &NewTopic) -> Topic {
    let numbered = topic.partitions.iter().enumerate();
    let partitions = numbered.map(|(number, replicas)| Partition {
        partition: number as u32,
        replicas: replicas.iter().map(|node| node.0).collect(),
        ..Partition::default()
    });
    Topic {
        name: topic.name.clone(),
        internal: topic.internal,
        configs: topic.configs.iter().cloned().collect(),
        partitions: partitions.collect(),
        ..Topic::default()
    }
}

fn summary(view: &View, topic: &catalog::Topic) -> TopicSummary {
    let mut summary = TopicSummary {
        name: topic.name.to_string(),
        topic_id: topic.id.to_string(),
        internal: topic.internal,
        partitions: topic.partitions.len() as u32,
        ..TopicSummary::default()
    };
    for partition in partitions(view, topic) {
        let replicas = partition.replicas.len();
        summary.replication_factor = summary.replication_factor.max(replicas as u32);
        summary.leaderless += u32::from(partition.leader.is_none());
        summary.under_replicated += u32::from(partition.in_sync.len() < replicas);
    }
    summary
}

fn partitions<'a>(
    view: &'a View,
    topic: &'a catalog::Topic,
) -> impl Iterator<Item = Partition> + 'a {
    let numbered = topic.partitions.iter().enumerate();
    numbered.map(|(number, partition)| {
        let leader = view.leader(partition.group);
        let in_sync = partition.replicas.iter();
        let in_sync = in_sync.filter(|node| view.is_in_sync(partition.group, **node));
        Partition {
            partition: number as u32,
            group_id: partition.group.0,
            leader: leader.node.map(|node| node.0),
            term: u64::try_from(leader.epoch).unwrap_or_default(),
            replicas: partition.replicas.iter().map(|node| node.0).collect(),
            in_sync: in_sync.map(|node| node.0).collect(),
        }
    })
}
