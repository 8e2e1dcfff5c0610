//! Joining: a member gets an id, is parked until its round ends, or learns the generation that is.

use super::coordinator::Turn;
use super::error::GroupError;
use super::group::{Group, Phase};
use super::groups::Groups;
use super::member::Member;
use super::message::{FirstJoin, JoinRefused, JoinRequest, Joined, MemberRef, Reply, Ticket};
use super::records::TEXT_BYTES_MAX;

/// The end of a generated id: a dash and a UUID.
const ID_SUFFIX_BYTES: usize = 1 + 36;

pub(super) fn join(groups: &mut Groups, turn: &mut Turn<'_>, ticket: Ticket, request: JoinRequest) {
    if let Err(error) = check(groups, turn, &request) {
        return refuse(turn, ticket, &request, error);
    }
    let group_id = request.group.clone();
    groups
        .get_or_new(&group_id, turn.now_ms)
        .join(turn, ticket, request);
    groups.settle(turn, &group_id);
}

fn check(groups: &Groups, turn: &Turn<'_>, request: &JoinRequest) -> Result<(), GroupError> {
    let sessions_ms = turn.config.session_timeout_min_ms..=turn.config.session_timeout_max_ms;
    if request.group.is_empty() || request.group.len() > TEXT_BYTES_MAX {
        return Err(GroupError::InvalidGroupId);
    }
    if !texts_fit(request) {
        return Err(GroupError::InvalidRequest);
    }
    if !sessions_ms.contains(&request.session_timeout_ms) {
        return Err(GroupError::InvalidSessionTimeout);
    }
    let added_bytes = added_bytes(groups, request);
    if added_bytes > 0 && groups.members_bytes() + added_bytes > turn.config.members_bytes_max {
        return Err(GroupError::CoordinatorNotAvailable);
    }
    if groups.get(&request.group).is_none() && !request.member_id.is_empty() {
        return Err(GroupError::UnknownMemberId);
    }
    Ok(())
}

fn texts_fit(request: &JoinRequest) -> bool {
    let JoinRequest {
        member_id,
        client_id,
        client_host,
        protocol_type,
        protocols,
        ..
    } = request;
    let mut texts = [member_id, client_id, client_host, protocol_type]
        .into_iter()
        .chain(&request.instance_id)
        .chain(protocols.iter().map(|protocol| &protocol.name));
    texts.all(|text| text.len() + ID_SUFFIX_BYTES <= TEXT_BYTES_MAX)
}

/// How much more than now the coordinator will have to remember of this member.
fn added_bytes(groups: &Groups, request: &JoinRequest) -> usize {
    let known = groups
        .get(&request.group)
        .and_then(|group| group.members.get(&request.member_id));
    Member::from_join(request, 0)
        .weight_bytes()
        .saturating_sub(known.map_or(0, Member::weight_bytes))
}

fn refuse(turn: &mut Turn<'_>, ticket: Ticket, request: &JoinRequest, error: GroupError) {
    let refused = JoinRefused {
        error,
        member_id: request.member_id.clone(),
    };
    turn.reply(ticket, Reply::Join(Err(refused)));
}

impl Group {
    fn join(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: JoinRequest) {
        let refusal = if matches!(self.phase, Phase::Deleting) {
            Some(GroupError::CoordinatorNotAvailable)
        } else if !self.has_room_for(&request, turn.config.group_size_max) {
            Some(GroupError::GroupMaxSizeReached)
        } else if !self.accepts_protocols(&request.protocol_type, &request.protocols) {
            Some(GroupError::InconsistentGroupProtocol)
        } else {
            None
        };
        match refusal {
            Some(error) => refuse(turn, ticket, &request, error),
            None if request.member_id.is_empty() => self.first_join(turn, ticket, request),
            None => self.rejoin(turn, ticket, request),
        }
    }

    fn has_room_for(&self, request: &JoinRequest, group_size_max: usize) -> bool {
        let is_known = self.members.contains_key(&request.member_id)
            || self.named.contains_key(&request.member_id)
            || request
                .instance_id
                .as_ref()
                .is_some_and(|id| self.instances.contains_key(id));
        is_known || self.members.len() + self.named.len() < group_size_max
    }

    fn first_join(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: JoinRequest) {
        let member_id = new_member_id(&request);
        let holder = request
            .instance_id
            .as_ref()
            .and_then(|id| self.instances.get(id))
            .cloned();
        match (holder, request.first_join) {
            (Some(old_member_id), _) => {
                self.replace_static(turn, ticket, &old_member_id, member_id, request)
            }
            (None, FirstJoin::NameFirst) if request.instance_id.is_none() => {
                let patience_ms = u64::try_from(request.session_timeout_ms).unwrap_or(0);
                self.named
                    .insert(member_id.clone(), turn.now_ms.saturating_add(patience_ms));
                let refused = JoinRefused {
                    error: GroupError::MemberIdRequired,
                    member_id,
                };
                turn.reply(ticket, Reply::Join(Err(refused)));
            }
            (None, _) => self.admit(turn, ticket, member_id, request),
        }
    }

    fn rejoin(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: JoinRequest) {
        if self.named.contains_key(&request.member_id) && request.instance_id.is_none() {
            let member_id = request.member_id.clone();
            return self.admit(turn, ticket, member_id, request);
        }
        let member = MemberRef {
            member_id: request.member_id.clone(),
            instance_id: request.instance_id.clone(),
        };
        if let Err(error) = self.check_member(&member) {
            return refuse(turn, ticket, &request, error);
        }
        let knows_all = self.members[&request.member_id].protocols == request.protocols;
        let may_keep_generation = match self.phase {
            // It may not have received our answer to its join.
            Phase::Completing { .. } => knows_all,
            // A leader joins again because it saw something that asks for new assignments.
            Phase::Stable => knows_all && !self.leads(&request.member_id),
            Phase::Empty | Phase::Preparing { .. } | Phase::Deleting => false,
        };
        if may_keep_generation {
            self.member_mut(&request.member_id).renew(turn.now_ms);
            turn.reply(ticket, Reply::Join(Ok(self.joined(&request.member_id))));
        } else {
            self.member_mut(&request.member_id).take_over(&request);
            self.park_join(turn, &request.member_id, ticket);
            self.prepare_unless_preparing(turn);
        }
    }

    fn admit(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        member_id: String,
        request: JoinRequest,
    ) {
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        let patience_ends_ms = turn
            .now_ms
            .saturating_add(turn.config.new_member_patience_ms);
        let mut member = Member::from_join(&request, patience_ends_ms);
        member.parked_join = Some(ticket);
        self.add_member(member_id, member);
        if let Phase::Preparing {
            first: Some(first), ..
        } = &mut self.phase
        {
            first.member_came = true;
        }
        self.prepare_unless_preparing(turn);
    }

    /// Lets a join wait for its round. An earlier one of the same member was given up by its client.
    pub(super) fn park_join(&mut self, turn: &mut Turn<'_>, member_id: &str, ticket: Ticket) {
        if let Some(given_up) = self.member_mut(member_id).parked_join.replace(ticket) {
            turn.reply(
                given_up,
                Reply::Join(Err(GroupError::RebalanceInProgress.into())),
            );
        }
    }

    pub(super) fn joined(&self, member_id: &str) -> Joined {
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.to_owned(),
            skip_assignment: false,
            members: if self.leads(member_id) {
                self.joined_members()
            } else {
                Vec::new()
            },
        }
    }
}

fn new_member_id(request: &JoinRequest) -> String {
    let stem = request.instance_id.as_ref().unwrap_or(&request.client_id);
    let hex = format!("{:032x}", request.fresh_id);
    format!(
        "{stem}-{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
