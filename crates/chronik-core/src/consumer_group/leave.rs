//! Leaving: members say goodbye, or an operator removes static ones by name.

use super::coordinator::Turn;
use super::error::GroupError;
use super::group::{Group, Phase};
use super::groups::Groups;
use super::message::{LeaveRequest, LeftMember, MemberRef, Reply, Ticket};

pub(super) fn leave(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    ticket: Ticket,
    request: LeaveRequest,
) {
    let result = match groups.get_mut(&request.group) {
        None => Ok(request
            .members
            .into_iter()
            .map(|member| left(member, Err(GroupError::UnknownMemberId)))
            .collect()),
        Some(group) if matches!(group.phase, Phase::Deleting) => {
            Err(GroupError::CoordinatorNotAvailable)
        }
        Some(group) => Ok(group.leave(turn, request.members)),
    };
    turn.reply(ticket, Reply::Leave(result));
    groups.settle(turn, &request.group);
}

impl Group {
    fn leave(&mut self, turn: &mut Turn<'_>, members: Vec<MemberRef>) -> Vec<LeftMember> {
        members
            .into_iter()
            .map(|member| {
                let result = self.leave_one(turn, &member);
                left(member, result)
            })
            .collect()
    }

    fn leave_one(&mut self, turn: &mut Turn<'_>, member: &MemberRef) -> Result<(), GroupError> {
        if self.named.remove(&member.member_id).is_some() {
            return Ok(());
        }
        let member_id = match &member.instance_id {
            // An operator knows the name of a static member, not its id of the day.
            Some(instance_id) if member.member_id.is_empty() => self
                .instances
                .get(instance_id)
                .cloned()
                .ok_or(GroupError::UnknownMemberId)?,
            _ => {
                self.check_member(member)?;
                member.member_id.clone()
            }
        };
        self.remove_member(turn, &member_id);
        self.prepare_unless_preparing(turn);
        Ok(())
    }
}

fn left(member: MemberRef, result: Result<(), GroupError>) -> LeftMember {
    LeftMember {
        member,
        error: result.err(),
    }
}
