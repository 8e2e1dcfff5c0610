//! Static members (KIP-345): a process that comes back under its name takes over its place, and its twin is fenced.

use super::append::Purpose;
use super::coordinator::Turn;
use super::error::GroupError;
use super::group::{Group, Phase};
use super::member::Member;
use super::message::{JoinRefused, JoinRequest, Joined, Reply, StableLeader, Ticket};

/// A change of id that is being written while the generation goes on.
#[derive(Debug)]
pub(super) struct Replacement {
    pub(super) group: String,
    generation: i32,
    ticket: Ticket,
    old_member_id: String,
    new_member_id: String,
    /// How the place looked before, in case the log refuses.
    old_member: Member,
    old_leader: Option<String>,
    stable_leader: StableLeader,
}

impl Group {
    /// Gives the place of `old_member_id` to `new_member_id`. Who waits under the old id is fenced.
    pub(super) fn replace_static(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        old_member_id: &str,
        new_member_id: String,
        request: JoinRequest,
    ) {
        let old_leader = self.leader.clone();
        let mut member = self
            .members
            .remove(old_member_id)
            .expect("an instance names a member");
        fence(turn, &mut member);
        let old_member = member.clone();
        member.take_over(&request);
        member.parked_join = Some(ticket);
        member.is_new = false;
        member.renew(turn.now_ms);
        self.put_in_place(old_member_id, &new_member_id, member);
        match self.phase {
            Phase::Stable if self.protocol_name == self.elect_protocol() => {
                let replacement = Replacement {
                    group: self.id.clone(),
                    generation: self.generation,
                    ticket,
                    old_member_id: old_member_id.to_owned(),
                    new_member_id,
                    old_member,
                    old_leader,
                    stable_leader: request.stable_leader,
                };
                let record = self.to_record(|_, member| member.assignment.clone());
                self.store(
                    turn,
                    vec![record],
                    Purpose::Replacement(Box::new(replacement)),
                );
            }
            // The leader may be assigning to the old id right now, so that the new one would get nothing.
            Phase::Stable | Phase::Completing { .. } => self.prepare(turn),
            Phase::Empty | Phase::Preparing { .. } | Phase::Deleting => {}
        }
    }

    pub(super) fn replacement_stored(
        &mut self,
        turn: &mut Turn<'_>,
        replacement: Replacement,
        error: Option<GroupError>,
    ) {
        let waits = |member: &Member| member.parked_join == Some(replacement.ticket);
        let still_waits = self
            .members
            .get(&replacement.new_member_id)
            .is_some_and(waits);
        let is_same_round =
            matches!(self.phase, Phase::Stable) && self.generation == replacement.generation;
        if !still_waits || !is_same_round {
            // A rebalance came in between: its end answers.
            return;
        }
        match error {
            None => self.confirm_replacement(turn, &replacement),
            Some(error) => self.revert_replacement(turn, replacement, error),
        }
    }

    fn confirm_replacement(&mut self, turn: &mut Turn<'_>, replacement: &Replacement) {
        let member_id = &replacement.new_member_id;
        let member = self.member_mut(member_id);
        member.parked_join = None;
        member.renew(turn.now_ms);
        let joined = match replacement.stable_leader {
            StableLeader::SkipsAssignment => Joined {
                skip_assignment: self.leads(member_id),
                ..self.joined(member_id)
            },
            StableLeader::IsNotTold => Joined {
                leader: replacement.old_leader.clone().unwrap_or_default(),
                members: Vec::new(),
                ..self.joined(member_id)
            },
        };
        turn.reply(replacement.ticket, Reply::Join(Ok(joined)));
    }

    fn revert_replacement(
        &mut self,
        turn: &mut Turn<'_>,
        replacement: Replacement,
        error: GroupError,
    ) {
        let Replacement {
            old_member_id,
            new_member_id,
            old_member: mut member,
            ..
        } = replacement;
        self.members.remove(&new_member_id);
        member.renew(turn.now_ms);
        self.put_in_place(&new_member_id, &old_member_id, member);
        let refused = JoinRefused {
            error,
            member_id: String::new(),
        };
        turn.reply(replacement.ticket, Reply::Join(Err(refused)));
    }

    fn put_in_place(&mut self, from_id: &str, to_id: &str, member: Member) {
        let instance_id = member
            .instance_id
            .clone()
            .expect("only static members are replaced");
        self.instances.insert(instance_id, to_id.to_owned());
        if self.leads(from_id) {
            self.leader = Some(to_id.to_owned());
        }
        self.members.insert(to_id.to_owned(), member);
    }
}

fn fence(turn: &mut Turn<'_>, member: &mut Member) {
    if let Some(ticket) = member.parked_join.take() {
        turn.reply(
            ticket,
            Reply::Join(Err(GroupError::FencedInstanceId.into())),
        );
    }
    if let Some(ticket) = member.parked_sync.take() {
        turn.reply(ticket, Reply::Sync(Err(GroupError::FencedInstanceId)));
    }
}
