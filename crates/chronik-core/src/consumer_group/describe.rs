//! Telling operators which groups there are and what they are doing.

use bytes::Bytes;

use super::coordinator::Turn;
use super::group::{Group, Phase};
use super::groups::Groups;
use super::member::Member;
use super::message::{GroupDescription, GroupListing, MemberDescription, MemberRef, Reply, Ticket};

pub(super) fn describe(groups: &Groups, turn: &mut Turn<'_>, ticket: Ticket, group_id: &str) {
    let description = groups.get(group_id).map(Group::describe);
    turn.reply(ticket, Reply::Describe(description));
}

pub(super) fn list(groups: &Groups, turn: &mut Turn<'_>, ticket: Ticket) {
    let listing = groups.iter().map(|group| GroupListing {
        group: group.id.clone(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        state: group.state(),
    });
    turn.reply(ticket, Reply::List(listing.collect()));
}

impl Group {
    fn describe(&self) -> GroupDescription {
        let stable_protocol = self
            .protocol_name
            .as_deref()
            .filter(|_| matches!(self.phase, Phase::Stable));
        let entry = |(member_id, member): (&String, &Member)| MemberDescription {
            member: MemberRef {
                member_id: member_id.clone(),
                instance_id: member.instance_id.clone(),
            },
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: stable_protocol
                .map(|name| member.metadata_for(name))
                .unwrap_or_default(),
            assignment: stable_protocol.map_or_else(Bytes::new, |_| member.assignment.clone()),
        };
        GroupDescription {
            group: self.id.clone(),
            state: self.state(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_name: stable_protocol.unwrap_or_default().to_owned(),
            members: self.members.iter().map(entry).collect(),
        }
    }
}
