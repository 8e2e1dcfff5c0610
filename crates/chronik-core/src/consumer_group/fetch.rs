//! Fetching committed offsets: what the log holds, and -1 where it holds nothing.

use super::coordinator::Turn;
use super::error::GroupError;
use super::group::Group;
use super::groups::Groups;
use super::image::GroupImage;
use super::message::{FetchRequest, FetchedPartition, FetchedTopic, Reply, Stability, Ticket};

pub(super) fn fetch(groups: &Groups, turn: &mut Turn<'_>, ticket: Ticket, request: FetchRequest) {
    let image = turn.image.group(&request.group);
    let group = groups
        .get(&request.group)
        .filter(|_| request.stability == Stability::Required);
    let topics = match &request.topics {
        None => all_topics(image),
        Some(topics) => topics.clone(),
    };
    let fetched = topics.into_iter().map(|(topic, partitions)| {
        let partitions = partitions
            .into_iter()
            .map(|partition| fetched(image, group, &topic, partition))
            .collect();
        FetchedTopic { topic, partitions }
    });
    let reply = Reply::FetchOffsets(Ok(fetched.collect()));
    turn.reply(ticket, reply);
}

fn all_topics(image: Option<&GroupImage>) -> Vec<(String, Vec<i32>)> {
    let offsets = image.into_iter().flat_map(|image| &image.offsets);
    offsets
        .map(|(topic, partitions)| (topic.clone(), partitions.keys().copied().collect()))
        .collect()
}

fn fetched(
    image: Option<&GroupImage>,
    group: Option<&Group>,
    topic: &str,
    partition: i32,
) -> FetchedPartition {
    let nothing = FetchedPartition {
        partition,
        offset: -1,
        leader_epoch: -1,
        metadata: String::new(),
        error: None,
    };
    if group.is_some_and(|group| group.is_in_flight(topic, partition)) {
        return FetchedPartition {
            error: Some(GroupError::UnstableOffsetCommit),
            ..nothing
        };
    }
    let Some(value) = image.and_then(|image| image.offset(topic, partition)) else {
        return nothing;
    };
    FetchedPartition {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.clone(),
        ..nothing
    }
}
