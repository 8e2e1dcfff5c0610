//! SyncGroup: the leader hands in assignments, everyone gets theirs.

use chronik_core::consumer_group::GroupError;
use chronik_core::consumer_group::message::SyncRequest;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::convert::{member, text};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// From here on a client must say which protocol it believes in.
const PROTOCOL_FROM: i16 = 5;

pub(in crate::kafka) async fn handle(call: &Call, request: SyncGroupRequest) -> SyncGroupResponse {
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    let result = if call.version() >= PROTOCOL_FROM && !names_protocol {
        Err(GroupError::InconsistentGroupProtocol)
    } else {
        call.coordinator().sync(sync_request(request)).await
    };
    match result {
        Ok(synced) => SyncGroupResponse::default()
            .with_protocol_type(synced.protocol_type.as_deref().map(text))
            .with_protocol_name(synced.protocol_name.as_deref().map(text))
            .with_assignment(synced.assignment),
        Err(error) => SyncGroupResponse::default().with_error_code(ErrorCode::from(error).number()),
    }
}

fn sync_request(request: SyncGroupRequest) -> SyncRequest {
    let assignment =
        |handed: SyncGroupRequestAssignment| (handed.member_id.to_string(), handed.assignment);
    SyncRequest {
        group: request.group_id.to_string(),
        member: member(request.member_id, request.group_instance_id),
        generation: request.generation_id,
        protocol_type: request.protocol_type.map(|name| name.to_string()),
        protocol_name: request.protocol_name.map(|name| name.to_string()),
        assignments: request.assignments.into_iter().map(assignment).collect(),
    }
}
