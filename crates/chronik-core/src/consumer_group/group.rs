//! One group while it lives: its members and where it stands between two generations.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::append::Purpose;
use super::coordinator::Turn;
use super::error::GroupError;
use super::image::GroupImage;
use super::member::Member;
use super::message::{GroupState, JoinedMember, MemberRef, Protocol, Reply};
use super::records::{GroupMetadata, MemberMetadata, Record};
use super::subscription;

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol_name: Option<String>,
    pub(super) leader: Option<String>,
    pub(super) members: BTreeMap<String, Member>,
    /// Static members: instance id to the member id that holds it now.
    pub(super) instances: BTreeMap<String, String>,
    /// Ids given to clients that have yet to join with them (KIP-394), with the end of our patience.
    pub(super) named: BTreeMap<String, u64>,
    pub(super) phase: Phase,
    pub(super) phase_since_ms: u64,
    /// Until when every member must have asked for its assignment.
    pub(super) sync_ends_ms: Option<u64>,
    /// Offsets on their way to the log, with the number of commits that carry them.
    pub(super) offsets_in_flight: BTreeMap<(String, i32), u32>,
    /// Appends of any kind on their way.
    pub(super) stores_in_flight: u32,
    /// What its members weigh, as counted into the sum of all groups.
    pub(super) counted_bytes: usize,
    /// The deadline under which the group is queued.
    pub(super) due_ms: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Empty,
    /// Members are asked to join again.
    Preparing {
        ends_ms: u64,
        first: Option<FirstRound>,
    },
    /// All have joined; the leader assigns.
    Completing {
        storing: bool,
    },
    Stable,
    /// Its end is being written; nothing may change it any more.
    Deleting,
}

/// A group that begins waits a little for more members, and again while they keep coming.
#[derive(Clone, Debug)]
pub(super) struct FirstRound {
    pub(super) left_ms: u64,
    pub(super) member_came: bool,
}

impl Group {
    pub(super) fn new(id: String, now_ms: u64) -> Group {
        Group {
            id,
            generation: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            named: BTreeMap::new(),
            phase: Phase::Empty,
            phase_since_ms: now_ms,
            sync_ends_ms: None,
            offsets_in_flight: BTreeMap::new(),
            stores_in_flight: 0,
            counted_bytes: 0,
            due_ms: None,
        }
    }

    /// The group as the log remembers it: the last stored generation goes on as if nothing had happened.
    pub(super) fn from_log(id: String, image: &GroupImage, now_ms: u64) -> Group {
        let mut group = Group::new(id, now_ms);
        let Some(logged) = &image.metadata else {
            return group;
        };
        group.generation = logged.generation;
        group.protocol_type = Some(logged.protocol_type.clone()).filter(|name| !name.is_empty());
        group.phase_since_ms = u64::try_from(logged.state_since_ms).unwrap_or(now_ms);
        let Some(protocol_name) = logged
            .protocol_name
            .as_ref()
            .filter(|_| !logged.members.is_empty())
        else {
            return group;
        };
        for member in &logged.members {
            if let Some(instance_id) = &member.instance_id {
                group
                    .instances
                    .insert(instance_id.clone(), member.member_id.clone());
            }
            group.members.insert(
                member.member_id.clone(),
                Member::from_log(member, protocol_name, now_ms),
            );
        }
        group.protocol_name = Some(protocol_name.clone());
        group.leader.clone_from(&logged.leader);
        group.phase = Phase::Stable;
        group
    }

    pub(super) fn state(&self) -> GroupState {
        match self.phase {
            Phase::Empty => GroupState::Empty,
            Phase::Preparing { .. } => GroupState::PreparingRebalance,
            Phase::Completing { .. } => GroupState::CompletingRebalance,
            Phase::Stable => GroupState::Stable,
            Phase::Deleting => GroupState::Dead,
        }
    }

    pub(super) fn enter(&mut self, phase: Phase, now_ms: u64) {
        self.phase = phase;
        self.phase_since_ms = now_ms;
    }

    pub(super) fn leads(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Roughly what it takes to remember its members.
    pub(super) fn weight_bytes(&self) -> usize {
        let members = self
            .members
            .iter()
            .map(|(id, member)| id.len() + member.weight_bytes());
        let named = self
            .named
            .keys()
            .map(|id| id.len() + size_of::<(String, u64)>());
        members.chain(named).sum()
    }

    /// Nothing in memory is worth keeping: what the log says, if anything, says it all.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self.phase, Phase::Empty) && self.named.is_empty() && self.stores_in_flight == 0
    }

    /// Is this who it says it is? A static member whose name is held by another id was replaced.
    pub(super) fn check_member(&self, member: &MemberRef) -> Result<(), GroupError> {
        if matches!(self.phase, Phase::Deleting) {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let holder = member
            .instance_id
            .as_ref()
            .map(|instance_id| self.instances.get(instance_id));
        match holder {
            Some(Some(holder)) if *holder != member.member_id => Err(GroupError::FencedInstanceId),
            Some(Some(_)) => Ok(()),
            Some(None) => Err(GroupError::UnknownMemberId),
            None if self.members.contains_key(&member.member_id) => Ok(()),
            None => Err(GroupError::UnknownMemberId),
        }
    }

    pub(super) fn member_mut(&mut self, member_id: &str) -> &mut Member {
        self.members
            .get_mut(member_id)
            .expect("the member was checked before")
    }

    pub(super) fn add_member(&mut self, member_id: String, member: Member) {
        self.named.remove(&member_id);
        if let Some(instance_id) = &member.instance_id {
            self.instances
                .insert(instance_id.clone(), member_id.clone());
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        self.members.insert(member_id, member);
    }

    /// Takes a member out and answers whatever it waits for.
    pub(super) fn remove_member(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        let Some(member) = self.members.remove(member_id) else {
            return;
        };
        let holds_name = |instance_id: &String| {
            self.instances
                .get(instance_id)
                .is_some_and(|holder| holder == member_id)
        };
        if let Some(instance_id) = member.instance_id.as_ref().filter(|id| holds_name(id)) {
            self.instances.remove(instance_id);
        }
        if self.leads(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        if let Some(ticket) = member.parked_join {
            turn.reply(ticket, Reply::Join(Err(GroupError::UnknownMemberId.into())));
        }
        if let Some(ticket) = member.parked_sync {
            turn.reply(ticket, Reply::Sync(Err(GroupError::UnknownMemberId)));
        }
    }

    /// Could a member with these protocols work with everyone who is here?
    pub(super) fn accepts_protocols(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.members.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let all_support = |name: &str| self.members.values().all(|member| member.supports(name));
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| all_support(&protocol.name))
    }

    /// The protocol most members like best among those all of them know; the first candidate wins a draw.
    pub(super) fn elect_protocol(&self) -> Option<String> {
        let candidates: Vec<&str> = (self
            .members
            .values()
            .next()?
            .protocols
            .iter()
            .map(|protocol| protocol.name.as_str()))
        .filter(|name| self.members.values().all(|member| member.supports(name)))
        .collect();
        let favourite = |member: &Member| {
            let mut names = member
                .protocols
                .iter()
                .map(|protocol| protocol.name.as_str());
            names.find_map(|name| candidates.iter().position(|candidate| *candidate == name))
        };
        let mut votes = vec![0_usize; candidates.len()];
        self.members
            .values()
            .filter_map(favourite)
            .for_each(|candidate| votes[candidate] += 1);
        let most = votes.iter().max()?;
        let winner = votes.iter().position(|count| count == most)?;
        Some(candidates[winner].to_owned())
    }

    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol_name = self.protocol_name.as_deref().unwrap_or_default();
        let entry = |(member_id, member): (&String, &Member)| JoinedMember {
            member_id: member_id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata_for(protocol_name),
        };
        self.members.iter().map(entry).collect()
    }

    /// The topics its members read; none if that cannot be told, for it is not a group of consumers.
    pub(super) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type.as_deref() != Some(subscription::CONSUMER) {
            return None;
        }
        let mut topics = BTreeSet::new();
        for protocol in self.members.values().flat_map(|member| &member.protocols) {
            topics.append(&mut subscription::topics(&protocol.metadata)?);
        }
        Some(topics)
    }

    /// This generation as a record, with the assignments it is going to have.
    pub(super) fn to_record(&self, assignment_of: impl Fn(&str, &Member) -> Bytes) -> Record {
        let protocol_name = self.protocol_name.as_deref().unwrap_or_default();
        let entry = |(member_id, member): (&String, &Member)| MemberMetadata {
            member_id: member_id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: i32::try_from(member.rebalance_timeout_ms).unwrap_or(i32::MAX),
            session_timeout_ms: i32::try_from(member.session_timeout_ms).unwrap_or(i32::MAX),
            subscription: member.metadata_for(protocol_name),
            assignment: assignment_of(member_id, member),
        };
        let metadata = GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            state_since_ms: i64::try_from(self.phase_since_ms).unwrap_or(i64::MAX),
            members: self.members.iter().map(entry).collect(),
        };
        Record::Group {
            group: self.id.clone(),
            value: Some(metadata),
        }
    }

    /// Orders an append on behalf of this group.
    pub(super) fn store(&mut self, turn: &mut Turn<'_>, records: Vec<Record>, purpose: Purpose) {
        self.stores_in_flight += 1;
        turn.append(records, purpose);
    }

    pub(super) fn count_in_flight(&mut self, topic: &str, partition: i32) {
        *self
            .offsets_in_flight
            .entry((topic.to_owned(), partition))
            .or_default() += 1;
    }

    pub(super) fn is_in_flight(&self, topic: &str, partition: i32) -> bool {
        self.offsets_in_flight
            .contains_key(&(topic.to_owned(), partition))
    }

    pub(super) fn landed(&mut self, topic: &str, partition: i32) {
        let key = (topic.to_owned(), partition);
        let left = self.offsets_in_flight.get_mut(&key).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            self.offsets_in_flight.remove(&key);
        }
    }
}
