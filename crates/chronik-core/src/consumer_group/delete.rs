//! Deleting: a whole group without members, single offsets, or what all groups know about a topic that is gone.

use std::collections::BTreeSet;

use super::append::Purpose;
use super::coordinator::Turn;
use super::error::GroupError;
use super::group::{Group, Phase};
use super::groups::Groups;
use super::message::{DeleteOffsetsRequest, Reply, Ticket, TopicOutcome};
use super::records::{OffsetKey, Record};
use super::subscription::CONSUMER;

pub(super) fn delete_group(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    ticket: Ticket,
    group_id: &str,
) {
    match groups.get_mut(group_id) {
        None => turn.reply(ticket, Reply::DeleteGroup(Err(GroupError::GroupIdNotFound))),
        Some(group) => group.delete(turn, ticket),
    }
}

pub(super) fn delete_offsets(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    ticket: Ticket,
    request: DeleteOffsetsRequest,
) {
    match groups.get_mut(&request.group) {
        None => turn.reply(
            ticket,
            Reply::DeleteOffsets(Err(GroupError::GroupIdNotFound)),
        ),
        Some(group) => group.delete_offsets(turn, ticket, request.topics),
    }
}

pub(super) fn forget_topic(groups: &mut Groups, turn: &mut Turn<'_>, topic: &str) {
    for group in groups.iter_mut() {
        let keys: Vec<(String, i32)> = group
            .known_offsets(turn)
            .into_iter()
            .filter(|(name, _)| name == topic)
            .collect();
        if !keys.is_empty() {
            let records = keys
                .iter()
                .map(|(topic, partition)| group.offset_tombstone(topic, *partition))
                .collect();
            let purpose = Purpose::Tombstones {
                group: group.id.clone(),
            };
            group.store(turn, records, purpose);
        }
    }
}

impl Group {
    fn delete(&mut self, turn: &mut Turn<'_>, ticket: Ticket) {
        let refusal = match self.phase {
            Phase::Empty if self.named.is_empty() => None,
            Phase::Deleting => Some(GroupError::GroupIdNotFound),
            _ => Some(GroupError::NonEmptyGroup),
        };
        if let Some(error) = refusal {
            return turn.reply(ticket, Reply::DeleteGroup(Err(error)));
        }
        let mut records: Vec<Record> = Vec::new();
        for (topic, partition) in self.known_offsets(turn) {
            records.push(self.offset_tombstone(&topic, partition));
        }
        records.push(Record::Group {
            group: self.id.clone(),
            value: None,
        });
        self.enter(Phase::Deleting, turn.now_ms);
        let purpose = Purpose::DeleteGroup {
            group: self.id.clone(),
            ticket,
        };
        self.store(turn, records, purpose);
    }

    fn delete_offsets(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        topics: Vec<(String, Vec<i32>)>,
    ) {
        let is_read = match self.read_topics() {
            Ok(is_read) => is_read,
            Err(error) => return turn.reply(ticket, Reply::DeleteOffsets(Err(error))),
        };
        let (mut records, mut outcome) = (Vec::new(), Vec::new());
        let known = self.known_offsets(turn);
        for (topic, partitions) in topics {
            let error = is_read(&topic).then_some(GroupError::GroupSubscribedToTopic);
            for partition in &partitions {
                if error.is_none() && known.contains(&(topic.clone(), *partition)) {
                    records.push(self.offset_tombstone(&topic, *partition));
                }
            }
            let partitions = partitions
                .into_iter()
                .map(|partition| (partition, error))
                .collect();
            outcome.push(TopicOutcome { topic, partitions });
        }
        if records.is_empty() {
            return turn.reply(ticket, Reply::DeleteOffsets(Ok(outcome)));
        }
        let purpose = Purpose::DeleteOffsets {
            group: self.id.clone(),
            ticket,
            outcome,
        };
        self.store(turn, records, purpose);
    }

    /// Which topics are off limits because members read them.
    fn read_topics(&self) -> Result<impl Fn(&str) -> bool + use<>, GroupError> {
        let topics = match self.phase {
            Phase::Deleting => return Err(GroupError::GroupIdNotFound),
            Phase::Empty => Some(BTreeSet::new()),
            _ if self.protocol_type.as_deref() == Some(CONSUMER) => self.subscribed_topics(),
            _ => return Err(GroupError::NonEmptyGroup),
        };
        Ok(move |topic: &str| topics.as_ref().is_none_or(|topics| topics.contains(topic)))
    }

    /// Offsets in the log and on their way there.
    pub(super) fn known_offsets(&self, turn: &Turn<'_>) -> BTreeSet<(String, i32)> {
        let logged = turn
            .image
            .group(&self.id)
            .into_iter()
            .flat_map(|image| image.offsets());
        let logged = logged.map(|(topic, partition, _)| (topic.to_owned(), partition));
        logged
            .chain(self.offsets_in_flight.keys().cloned())
            .collect()
    }

    pub(super) fn offset_tombstone(&self, topic: &str, partition: i32) -> Record {
        let key = OffsetKey {
            group: self.id.clone(),
            topic: topic.to_owned(),
            partition,
        };
        Record::Offset { key, value: None }
    }
}
