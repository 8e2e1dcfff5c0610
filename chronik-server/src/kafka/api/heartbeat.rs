//! Heartbeat: a member lives, and learns whether it has to join again.

use chronik_core::consumer_group::message::HeartbeatRequest as Beat;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::convert::member;
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

pub(in crate::kafka) async fn handle(call: &Call, request: HeartbeatRequest) -> HeartbeatResponse {
    let beat = Beat {
        group: request.group_id.to_string(),
        member: member(request.member_id, request.group_instance_id),
        generation: request.generation_id,
    };
    let error = call.coordinator().heartbeat(beat).await.err();
    HeartbeatResponse::default()
        .with_error_code(error.map_or(ErrorCode::None, ErrorCode::from).number())
}
