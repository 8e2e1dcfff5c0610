//! Orders to consumer groups: other positions, and their end.

use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{Group, GroupDeleteRequest, GroupDeleted, GroupPosition, GroupSeekRequest};
use chronik_admin::{AdminError, Code};
use chronik_core::consumer_group::message::{
    CommitRequest, CommittedPartition, CommittedTopic, MemberRef,
};
use tracing::info;

use super::desk::{Desk, ask_there};
use super::groups::refused;

/// Where a group shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    End,
    Offset(i64),
}

/// Of a commit that no member makes.
const NO_GENERATION: i32 = -1;
const NO_EPOCH: i32 = -1;

impl Desk {
    pub(super) async fn group_seek(&self, request: GroupSeekRequest) -> Result<Group, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        let place = place(&request.to)?;
        let Some(node) = self.coordinator_elsewhere(&request.group)? else {
            return self.group_seek_here(&request, place).await;
        };
        ask_there!(self, node, Seek(request) -> Group)
    }

    pub(super) async fn group_seek_once(
        &self,
        request: &GroupSeekRequest,
    ) -> Result<Group, AdminError> {
        self.group_seek_here(request, place(&request.to)?).await
    }

    pub(super) async fn group_delete(
        &self,
        request: GroupDeleteRequest,
    ) -> Result<GroupDeleted, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        let Some(node) = self.coordinator_elsewhere(&request.group)? else {
            return self.group_delete_here(&request).await;
        };
        ask_there!(self, node, DeleteGroup(request) -> GroupDeleted)
    }

    pub(super) async fn group_delete_here(
        &self,
        request: &GroupDeleteRequest,
    ) -> Result<GroupDeleted, AdminError> {
        let group = self.group_here(&request.group).await?;
        check_empty(&group)?;
        if !request.dry_run {
            let groups = &self.rooms()?.groups;
            let name = request.group.clone();
            groups.delete_group(name).await.map_err(refused)?;
            info!(request = request.request_id, group = %request.group, "an operator deletes a group");
        }
        Ok(GroupDeleted {
            group: group.group,
            positions: group.positions.len() as u64,
            dry_run: request.dry_run,
        })
    }

    async fn group_seek_here(
        &self,
        request: &GroupSeekRequest,
        place: Place,
    ) -> Result<Group, AdminError> {
        let mut group = self.group_here(&request.group).await?;
        check_empty(&group)?;
        self.add_positions(&mut group, request)?;
        group.positions.retain(|position| {
            let is_topic = request.topic.is_empty() || request.topic == position.topic;
            let partition = request.partition;
            is_topic && partition.is_none_or(|partition| partition == position.partition)
        });
        if group.positions.is_empty() {
            let message = format!("group {} has no such position", request.group);
            return Err(AdminError::new(Code::NotFound, message).hint("name a topic"));
        }
        self.measure(&mut group).await?;
        for position in &mut group.positions {
            position.committed = target(position, place)?;
        }
        if !request.dry_run {
            self.commit(&group).await?;
            info!(request = request.request_id, group = %request.group, to = request.to, "an operator moves the positions of a group");
        }
        self.measure(&mut group).await?;
        group.dry_run = request.dry_run;
        Ok(group)
    }

    /// A topic that is named gives the group positions in all its partitions, also where it had none.
    fn add_positions(
        &self,
        group: &mut Group,
        request: &GroupSeekRequest,
    ) -> Result<(), AdminError> {
        if request.topic.is_empty() {
            return Ok(());
        }
        let view = self.rooms()?.broker.view();
        let topic = view.catalog.topic(&request.topic).ok_or_else(|| {
            let message = format!("there is no topic {:?}", request.topic);
            AdminError::new(Code::NotFound, message).hint("chronikctl topic list")
        })?;
        for partition in 0..topic.partitions.len() as u32 {
            let mut known = group.positions.iter();
            let is_known = |known: &GroupPosition| {
                known.topic == request.topic && known.partition == partition
            };
            if !known.any(is_known) {
                group.positions.push(GroupPosition {
                    topic: request.topic.clone(),
                    partition,
                    ..GroupPosition::default()
                });
            }
        }
        Ok(())
    }

    async fn commit(&self, group: &Group) -> Result<(), AdminError> {
        let mut topics: Vec<CommittedTopic> = Vec::new();
        for position in &group.positions {
            let partition = CommittedPartition {
                partition: position.partition.cast_signed(),
                offset: position.committed,
                leader_epoch: NO_EPOCH,
                metadata: String::new(),
            };
            match topics.last_mut() {
                Some(topic) if topic.topic == position.topic => topic.partitions.push(partition),
                _ => topics.push(CommittedTopic {
                    topic: position.topic.clone(),
                    partitions: vec![partition],
                }),
            }
        }
        let request = CommitRequest {
            group: group.group.clone(),
            member: MemberRef::default(),
            generation: NO_GENERATION,
            retention_ms: None,
            topics,
        };
        let outcomes = self.rooms()?.groups.commit_offsets(request).await;
        let outcomes = outcomes.map_err(refused)?.into_iter();
        let mut errors = outcomes.flat_map(|outcome| outcome.partitions);
        match errors.find_map(|(_, error)| error) {
            Some(error) => Err(refused(error)),
            None => Ok(()),
        }
    }
}

fn check_empty(group: &Group) -> Result<(), AdminError> {
    match group.members.len() {
        0 => Ok(()),
        count => {
            let message = format!("GROUP_NOT_EMPTY: group {} has {count} members", group.group);
            Err(AdminError::new(Code::Blocked, message).hint("stop its members first"))
        }
    }
}

fn place(text: &str) -> Result<Place, AdminError> {
    match (text, text.parse::<i64>()) {
        ("start", _) => Ok(Place::Start),
        ("end", _) => Ok(Place::End),
        (_, Ok(offset)) if offset >= 0 => Ok(Place::Offset(offset)),
        _ => {
            let message = format!("{text:?} is neither start, nor end, nor an offset");
            Err(AdminError::new(Code::InvalidArgument, message))
        }
    }
}

/// Within the edges of the partition, which must be known.
fn target(position: &GroupPosition, place: Place) -> Result<i64, AdminError> {
    let Some((start, end)) = position.start.zip(position.end) else {
        let name = format!("{}/{}", position.topic, position.partition);
        return Err(
            AdminError::new(Code::NoLeader, format!("{name} has no leader that answers"))
                .hint(format!("chronikctl raft status --group {name}")),
        );
    };
    Ok(match place {
        Place::Start => start,
        Place::End => end,
        Place::Offset(offset) => offset.clamp(start, end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_stay_within_the_log() {
        let position = GroupPosition {
            start: Some(40),
            end: Some(100),
            ..GroupPosition::default()
        };
        for (text, expected) in [
            ("start", 40),
            ("end", 100),
            ("7", 40),
            ("60", 60),
            ("900", 100),
        ] {
            let place = place(text).unwrap();
            assert_eq!(target(&position, place).unwrap(), expected, "{text}");
        }
        for text in ["", "-1", "soon", "1e9", "99999999999999999999"] {
            assert_eq!(
                place(text).unwrap_err().code,
                Code::InvalidArgument,
                "{text}"
            );
        }
        let unknown = GroupPosition::default();
        assert_eq!(
            target(&unknown, Place::End).unwrap_err().code,
            Code::NoLeader
        );
    }
}
