//! Syncing: the leader hands in who does what, and once that is written everyone is told their part.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::append::Purpose;
use super::coordinator::Turn;
use super::error::GroupError;
use super::group::{Group, Phase};
use super::groups::Groups;
use super::message::{Reply, SyncRequest, Synced, Ticket};

pub(super) fn sync(groups: &mut Groups, turn: &mut Turn<'_>, ticket: Ticket, request: SyncRequest) {
    let group_id = request.group.clone();
    match groups.get_mut(&group_id) {
        None => turn.reply(ticket, Reply::Sync(Err(GroupError::UnknownMemberId))),
        Some(group) => {
            group.sync(turn, ticket, request);
            groups.settle(turn, &group_id);
        }
    }
}

impl Group {
    fn sync(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: SyncRequest) {
        if let Err(error) = self.check_sync(&request) {
            return turn.reply(ticket, Reply::Sync(Err(error)));
        }
        let member_id = &request.member.member_id;
        match self.phase {
            Phase::Completing { storing } => {
                let member = self.member_mut(member_id);
                member.has_synced = true;
                if let Some(given_up) = member.parked_sync.replace(ticket) {
                    turn.reply(given_up, Reply::Sync(Err(GroupError::RebalanceInProgress)));
                }
                if self.leads(member_id) && !storing {
                    self.store_assignment(turn, request.assignments);
                }
            }
            Phase::Stable => {
                let member = self.member_mut(member_id);
                member.has_synced = true;
                member.renew(turn.now_ms);
                let assignment = member.assignment.clone();
                turn.reply(ticket, Reply::Sync(Ok(self.synced(assignment))));
            }
            Phase::Preparing { .. } | Phase::Empty | Phase::Deleting => {
                turn.reply(ticket, Reply::Sync(Err(GroupError::RebalanceInProgress)));
            }
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), GroupError> {
        self.check_member(&request.member)?;
        // Clients before version 5 do not say which protocol they think they use.
        let differs =
            |theirs: &Option<String>, ours: &Option<String>| theirs.is_some() && theirs != ours;
        if request.generation != self.generation {
            Err(GroupError::IllegalGeneration)
        } else if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol_name)
        {
            Err(GroupError::InconsistentGroupProtocol)
        } else {
            Ok(())
        }
    }

    fn store_assignment(&mut self, turn: &mut Turn<'_>, handed_in: Vec<(String, Bytes)>) {
        let mut assignments: BTreeMap<String, Bytes> = handed_in.into_iter().collect();
        assignments.retain(|member_id, _| self.members.contains_key(member_id));
        let record =
            self.to_record(|member_id, _| assignments.get(member_id).cloned().unwrap_or_default());
        self.phase = Phase::Completing { storing: true };
        let purpose = Purpose::Assignment {
            group: self.id.clone(),
            generation: self.generation,
            assignments,
        };
        self.store(turn, vec![record], purpose);
    }

    pub(super) fn assignment_stored(
        &mut self,
        turn: &mut Turn<'_>,
        generation: i32,
        mut assignments: BTreeMap<String, Bytes>,
        error: Option<GroupError>,
    ) {
        if !matches!(self.phase, Phase::Completing { .. }) || self.generation != generation {
            // Another round has begun meanwhile, and has told everyone so.
            return;
        }
        if let Some(error) = error {
            self.abandon_assignment(turn, error);
            return self.prepare(turn);
        }
        self.enter(Phase::Stable, turn.now_ms);
        let (protocol_type, protocol_name) =
            (self.protocol_type.clone(), self.protocol_name.clone());
        for (member_id, member) in &mut self.members {
            member.assignment = assignments.remove(member_id).unwrap_or_default();
            let Some(ticket) = member.parked_sync.take() else {
                continue;
            };
            member.renew(turn.now_ms);
            let synced = Synced {
                protocol_type: protocol_type.clone(),
                protocol_name: protocol_name.clone(),
                assignment: member.assignment.clone(),
            };
            turn.reply(ticket, Reply::Sync(Ok(synced)));
        }
    }

    fn synced(&self, assignment: Bytes) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment,
        }
    }
}
