//! DescribeGroups: state and members of groups.

use chronik_core::consumer_group::message::{GroupDescription, GroupState, MemberDescription};
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

use super::convert::{GROUP_OPERATIONS, OPERATIONS_NOT_ASKED, text};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// From here on an unknown group is an error; before, it is a dead one.
const NOT_FOUND_FROM: i16 = 6;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let operations = if request.include_authorized_operations {
        GROUP_OPERATIONS
    } else {
        OPERATIONS_NOT_ASKED
    };
    let mut groups = Vec::with_capacity(request.groups.len());
    for GroupId(id) in request.groups {
        let described = match call.coordinator().describe(id.to_string()).await {
            Ok(Some(group)) => described(group).with_authorized_operations(operations),
            Ok(None) => unknown(call.version(), &id),
            Err(error) => {
                DescribedGroup::default().with_error_code(ErrorCode::from(error).number())
            }
        };
        groups.push(described.with_group_id(GroupId(id)));
    }
    DescribeGroupsResponse::default().with_groups(groups)
}

fn unknown(version: i16, id: &str) -> DescribedGroup {
    let dead = DescribedGroup::default().with_group_state(text(GroupState::Dead.name()));
    if version < NOT_FOUND_FROM {
        return dead;
    }
    dead.with_error_code(ErrorCode::GroupIdNotFound.number())
        .with_error_message(Some(text(&format!("there is no group {id}"))))
}

fn described(group: GroupDescription) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_state(text(group.state.name()))
        .with_protocol_type(text(&group.protocol_type))
        .with_protocol_data(text(&group.protocol_name))
        .with_members(group.members.into_iter().map(described_member).collect())
}

fn described_member(member: MemberDescription) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(text(&member.member.member_id))
        .with_group_instance_id(member.member.instance_id.as_deref().map(text))
        .with_client_id(text(&member.client_id))
        .with_client_host(text(&member.client_host))
        .with_member_metadata(member.metadata)
        .with_member_assignment(member.assignment)
}
