//! DescribeLogDirs: how many bytes each partition takes on this node. All of them share one directory.

use std::sync::Arc;

use chronik_core::catalog::Topic;
use chronik_core::ids::GroupUid;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::convert::{text, topic_name};
use crate::broker::View;
use crate::kafka::call::Call;

/// A topic and those of its partitions that are to be described.
type Wanted = (Arc<Topic>, Vec<usize>);

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let view = call.broker().view();
    let wanted = wanted(&view, request);
    drop(view);
    let groups: Vec<GroupUid> = wanted.iter().flat_map(groups).collect();
    let mut described = call.broker().describe(groups).await.into_iter();
    let topic = |(topic, indexes): &Wanted| {
        let partition = |index: &usize| {
            let description = described.next().flatten()?;
            Some(
                DescribeLogDirsPartition::default()
                    .with_partition_index(*index as i32)
                    .with_partition_size(description.bytes as i64),
            )
        };
        let partitions = indexes.iter().filter_map(partition).collect();
        DescribeLogDirsTopic::default()
            .with_name(topic_name(&topic.name))
            .with_partitions(partitions)
    };
    let topics = wanted
        .iter()
        .map(topic)
        .filter(|topic| !topic.partitions.is_empty())
        .collect();
    let (total_bytes, usable_bytes) = space(call);
    let result = DescribeLogDirsResult::default()
        .with_log_dir(text(&call.door.log_dir.to_string_lossy()))
        .with_topics(topics)
        .with_total_bytes(total_bytes)
        .with_usable_bytes(usable_bytes);
    DescribeLogDirsResponse::default().with_results(vec![result])
}

/// No list means everything; topics and partitions that do not exist are left out.
fn wanted(view: &View, request: DescribeLogDirsRequest) -> Vec<Wanted> {
    let Some(asked) = request.topics else {
        let all = |topic: &Arc<Topic>| (topic.clone(), (0..topic.partitions.len()).collect());
        return view.catalog.topics.values().map(all).collect();
    };
    let find =
        |asked: kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic| {
            let topic = view.catalog.topic(&asked.topic)?.clone();
            let mut indexes: Vec<usize> = asked
                .partitions
                .into_iter()
                .filter_map(|index| index.try_into().ok())
                .collect();
            indexes.sort_unstable();
            indexes.dedup();
            indexes.retain(|index| *index < topic.partitions.len());
            Some((topic, indexes))
        };
    asked.into_iter().filter_map(find).collect()
}

fn groups((topic, indexes): &Wanted) -> impl Iterator<Item = GroupUid> {
    indexes.iter().map(|index| topic.partitions[*index].group)
}

/// The file system's size and what is free of it; -1 where it cannot be told.
fn space(call: &Call) -> (i64, i64) {
    let Ok(space) = rustix::fs::statvfs(&call.door.log_dir) else {
        return (-1, -1);
    };
    let bytes = |blocks: u64| {
        blocks
            .saturating_mul(space.f_frsize)
            .try_into()
            .unwrap_or(i64::MAX)
    };
    (bytes(space.f_blocks), bytes(space.f_bavail))
}
