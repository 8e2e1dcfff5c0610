//! LeaveGroup: members go, or an operator takes static ones out.

use chronik_core::consumer_group::GroupError;
use chronik_core::consumer_group::message::{LeaveRequest, LeftMember};
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::convert::{member, text};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// From here on a request names many members, and each has its own error.
const MANY_FROM: i16 = 3;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let members = if call.version() >= MANY_FROM {
        request
            .members
            .into_iter()
            .map(|leaving| member(leaving.member_id, leaving.group_instance_id))
            .collect()
    } else {
        vec![member(request.member_id, None)]
    };
    let request = LeaveRequest {
        group: request.group_id.to_string(),
        members,
    };
    match call.coordinator().leave(request).await {
        Ok(left) if call.version() >= MANY_FROM => {
            LeaveGroupResponse::default().with_members(left.into_iter().map(gone).collect())
        }
        Ok(left) => LeaveGroupResponse::default()
            .with_error_code(number(left.first().and_then(|left| left.error))),
        Err(error) => LeaveGroupResponse::default().with_error_code(number(Some(error))),
    }
}

fn gone(left: LeftMember) -> MemberResponse {
    MemberResponse::default()
        .with_member_id(text(&left.member.member_id))
        .with_group_instance_id(left.member.instance_id.as_deref().map(text))
        .with_error_code(number(left.error))
}

fn number(error: Option<GroupError>) -> i16 {
    error.map_or(ErrorCode::None, ErrorCode::from).number()
}
