//! Heartbeats: a member lives on and learns whether it has to join again.

use super::coordinator::Turn;
use super::error::GroupError;
use super::group::{Group, Phase};
use super::groups::Groups;
use super::message::{HeartbeatRequest, Reply, Ticket};

pub(super) fn heartbeat(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    ticket: Ticket,
    request: HeartbeatRequest,
) {
    let result = match groups.get_mut(&request.group) {
        None => Err(GroupError::UnknownMemberId),
        Some(group) => group.heartbeat(turn.now_ms, &request),
    };
    turn.reply(ticket, Reply::Heartbeat(result));
    groups.settle(turn, &request.group);
}

impl Group {
    fn heartbeat(&mut self, now_ms: u64, request: &HeartbeatRequest) -> Result<(), GroupError> {
        self.check_member(&request.member)?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let is_preparing = matches!(self.phase, Phase::Preparing { .. });
        let member = self.member_mut(&request.member.member_id);
        // The patience with a new member is longer than a session; only its first answer ends it.
        if !member.is_new {
            member.renew(now_ms);
        }
        if is_preparing {
            Err(GroupError::RebalanceInProgress)
        } else {
            Ok(())
        }
    }
}
