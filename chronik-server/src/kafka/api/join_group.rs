//! JoinGroup: a member comes, and is answered when its round is complete.

use chronik_core::consumer_group::message::{
    FirstJoin, JoinRefused, JoinRequest, Joined, JoinedMember, Protocol, StableLeader,
};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::convert::text;
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// From here on a client comes back with the id it is given (KIP-394).
const NAME_FIRST_FROM: i16 = 4;
/// From here on a protocol may be null in the answer.
const NULL_PROTOCOL_FROM: i16 = 7;
/// From here on a leader can be told to skip the assignment (KIP-814).
const SKIP_FROM: i16 = 9;
const NO_GENERATION: i32 = -1;

pub(in crate::kafka) async fn handle(call: &Call, request: JoinGroupRequest) -> JoinGroupResponse {
    let version = call.version();
    match call.coordinator().join(join_request(call, request)).await {
        Ok(joined) => accepted(version, joined),
        Err(JoinRefused { error, member_id }) => JoinGroupResponse::default()
            .with_error_code(ErrorCode::from(error).number())
            .with_generation_id(NO_GENERATION)
            .with_protocol_name(nullable(version, None))
            .with_protocol_type(None)
            .with_member_id(text(&member_id)),
    }
}

fn join_request(call: &Call, request: JoinGroupRequest) -> JoinRequest {
    let version = call.version();
    let protocol =
        |protocol: kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol| {
            Protocol {
                name: protocol.name.to_string(),
                metadata: protocol.metadata,
            }
        };
    JoinRequest {
        group: request.group_id.to_string(),
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
        client_id: call.client_id().to_owned(),
        client_host: format!("/{}", call.peer.ip()),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        protocol_type: request.protocol_type.to_string(),
        protocols: request.protocols.into_iter().map(protocol).collect(),
        first_join: if version >= NAME_FIRST_FROM {
            FirstJoin::NameFirst
        } else {
            FirstJoin::Admit
        },
        stable_leader: if version >= SKIP_FROM {
            StableLeader::SkipsAssignment
        } else {
            StableLeader::IsNotTold
        },
        fresh_id: Uuid::new_v4().as_u128(),
    }
}

fn accepted(version: i16, joined: Joined) -> JoinGroupResponse {
    let member = |member: JoinedMember| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&member.member_id))
            .with_group_instance_id(member.instance_id.as_deref().map(text))
            .with_metadata(member.metadata)
    };
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.as_deref().map(text))
        .with_protocol_name(nullable(version, joined.protocol_name.as_deref().map(text)))
        .with_leader(text(&joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(text(&joined.member_id))
        .with_members(joined.members.into_iter().map(member).collect())
}

fn nullable(version: i16, name: Option<StrBytes>) -> Option<StrBytes> {
    if version >= NULL_PROTOCOL_FROM {
        name
    } else {
        Some(name.unwrap_or_default())
    }
}
