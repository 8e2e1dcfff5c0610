//! Committing offsets: by members of the current generation, or by anyone while the group has no members.

use chronik_fault::Fault;

use super::append::Purpose;
use super::coordinator::Turn;
use super::error::GroupError;
use super::group::{Group, Phase};
use super::groups::Groups;
use super::message::{CommitRequest, CommittedPartition, Reply, Ticket, TopicOutcome};
use super::records::{OffsetKey, OffsetValue, Record, TEXT_BYTES_MAX};

pub(super) fn commit(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    ticket: Ticket,
    request: CommitRequest,
) {
    if let Err(error) = check(groups, &request) {
        return turn.reply(ticket, Reply::CommitOffsets(Err(error)));
    }
    let group = groups.get_or_new(&request.group, turn.now_ms);
    let checked = match turn.config.planted.is(Fault::NoGenerationFencing) {
        true => Ok(()),
        false => group.check_commit(turn.now_ms, &request),
    };
    match checked {
        Err(error) => turn.reply(ticket, Reply::CommitOffsets(Err(error))),
        Ok(()) => group.commit(turn, ticket, &request),
    }
    groups.settle(turn, &request.group);
}

fn check(groups: &Groups, request: &CommitRequest) -> Result<(), GroupError> {
    if request.group.len() > TEXT_BYTES_MAX {
        return Err(GroupError::InvalidGroupId);
    }
    // Whoever names a generation of a group we do not know is behind; anyone else may begin it.
    if groups.get(&request.group).is_none() && request.generation >= 0 {
        return Err(GroupError::IllegalGeneration);
    }
    Ok(())
}

impl Group {
    fn check_commit(&mut self, now_ms: u64, request: &CommitRequest) -> Result<(), GroupError> {
        if matches!(self.phase, Phase::Deleting) {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        if request.generation < 0 && matches!(self.phase, Phase::Empty) {
            return Ok(());
        }
        self.check_member(&request.member)?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let is_completing = matches!(self.phase, Phase::Completing { .. });
        self.member_mut(&request.member.member_id).renew(now_ms);
        // It knows the new generation but not yet what it may commit for.
        if is_completing {
            Err(GroupError::RebalanceInProgress)
        } else {
            Ok(())
        }
    }

    fn commit(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: &CommitRequest) {
        let (mut records, mut offsets, mut outcome) = (Vec::new(), Vec::new(), Vec::new());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for committed in &topic.partitions {
                let error = refusal(turn, &topic.topic, committed);
                partitions.push((committed.partition, error));
                if error.is_none() {
                    records.push(self.offset_record(turn.now_ms, request, &topic.topic, committed));
                    offsets.push((topic.topic.clone(), committed.partition));
                }
            }
            outcome.push(TopicOutcome {
                topic: topic.topic.clone(),
                partitions,
            });
        }
        if records.is_empty() {
            return turn.reply(ticket, Reply::CommitOffsets(Ok(outcome)));
        }
        if turn.config.planted.is(Fault::CommitAckedEarly) {
            turn.reply(ticket, Reply::CommitOffsets(Ok(outcome)));
            let group = self.id.clone();
            return self.store(turn, records, Purpose::Tombstones { group });
        }
        offsets
            .iter()
            .for_each(|(topic, partition)| self.count_in_flight(topic, *partition));
        let purpose = Purpose::Commit {
            group: self.id.clone(),
            ticket,
            outcome,
            offsets,
        };
        self.store(turn, records, purpose);
    }

    fn offset_record(
        &self,
        now_ms: u64,
        request: &CommitRequest,
        topic: &str,
        committed: &CommittedPartition,
    ) -> Record {
        let committed_at_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let lives_ms = request
            .retention_ms
            .map(|retention_ms| i64::try_from(retention_ms).unwrap_or(i64::MAX));
        Record::Offset {
            key: OffsetKey {
                group: self.id.clone(),
                topic: topic.to_owned(),
                partition: committed.partition,
            },
            value: Some(OffsetValue {
                offset: committed.offset,
                leader_epoch: committed.leader_epoch,
                metadata: committed.metadata.clone(),
                committed_at_ms,
                expires_at_ms: lives_ms.map(|lives_ms| committed_at_ms.saturating_add(lives_ms)),
            }),
        }
    }
}

fn refusal(turn: &Turn<'_>, topic: &str, committed: &CommittedPartition) -> Option<GroupError> {
    if committed.metadata.len() > turn.config.offset_metadata_bytes_max {
        Some(GroupError::OffsetMetadataTooLarge)
    } else if topic.len() > TEXT_BYTES_MAX {
        Some(GroupError::UnknownTopicOrPartition)
    } else {
        None
    }
}
